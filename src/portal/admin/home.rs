//! The first page: for owners what there is, for others where to go.

use askama::Template;
use axum::response::{IntoResponse, Redirect};

use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

#[derive(Template)]
#[template(path = "admin/home.html")]
struct Home {
    frame: Frame,
}

pub async fn show(me: SignedIn) -> Answer {
    page::ok(&Home { frame: me.frame(Section::Home) })
}

/// `/`, until attendees have pages of their own.
pub async fn landing() -> Answer {
    Ok(Redirect::to("/admin").into_response())
}
