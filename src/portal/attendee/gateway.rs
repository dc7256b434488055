//! Joining an event with the account with which a gateway in front of the proxy has signed somebody in.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};

use super::{Here, account, path};
use crate::catalog::attendee::session::Way;
use crate::portal::Site;
use crate::portal::page::Answer;
use crate::portal::visitor::Visitor;

/// Lets them in as whom the gateway says they are.
pub async fn submit(State(site): State<Site>, visitor: Visitor, Path(id): Path<String>) -> Answer {
    let mut here = Here::find(&site, visitor, &id).await?;
    let page = path(&here.event.id);
    match here.visitor.gateway.take() {
        Some(account) => account::let_in(&site, here, &account, Way::Gateway, &page).await,
        // Signed out at the gateway meanwhile: the page has the ways that are left.
        None => Ok(Redirect::to(&page).into_response()),
    }
}
