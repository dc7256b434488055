//! Lets people in again who were deleted after they had joined by themselves. They
//! are found by their user id, because their names are not kept.

use axum::extract::{Path, State};
use serde::Deserialize;

use super::path;
use crate::catalog::attendee::deleted;
use crate::portal::Site;
use crate::portal::flash::Flash;
use crate::portal::form::Form;
use crate::portal::page::Answer;
use crate::portal::visitor::SignedIn;

#[derive(Deserialize)]
pub struct Who {
    user_id: String,
}

pub async fn let_in_again(
    State(site): State<Site>,
    me: SignedIn,
    Path(event): Path<String>,
    Form(who): Form<Who>,
) -> Answer {
    deleted::let_in_again(&site.db, &site.vault, &me.actor(), &event, &who.user_id).await?;
    let text = "They can join again within two seconds, in the same way and with the same name. What \
                they used of a day's cap still counts for that day.";
    me.done(&site, &path(&event), Flash::done(text)).await
}
