//! Switching a resource on and off.

use axum::extract::{Path, State};
use serde::Deserialize;

use super::PATH;
use crate::catalog::resource;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::Form;
use crate::portal::page::Answer;
use crate::portal::visitor::SignedIn;

#[derive(Deserialize)]
pub struct Switch {
    active: String,
}

pub async fn set_active(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Form(typed): Form<Switch>,
) -> Answer {
    let active = match typed.active.as_str() {
        "yes" => true,
        "no" => false,
        _ => return Err(PageError::BadForm),
    };
    resource::set_active(&site.db, &me.actor(), &id, active).await?;
    let resource = resource::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let text = if active {
        format!("{} is active again: attendees of its events can call it.", resource.name)
    } else {
        format!("{} is deactivated: nobody can call it until you activate it.", resource.name)
    };
    site.health.check_soon(resource);
    me.done(&site, PATH, Flash::done(text)).await
}
