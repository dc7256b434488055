//! Deleting a resource, which no event may use any more.

use askama::Template;
use axum::extract::{Path, State};

use super::PATH;
use crate::catalog::resource;
use crate::portal::Site;
use crate::portal::flash::Flash;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

#[derive(Template)]
#[template(path = "admin/resources/delete.html")]
struct Delete {
    frame: Frame,
    id: String,
    name: String,
    /// The names of the events that use it.
    events: Vec<String>,
}

pub async fn ask_delete(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    // Not the resource itself: one that cannot be read can be deleted.
    let name = resource::name(&site.db, &me.owner.id, &id).await?;
    let mut users = resource::users(&site.db, &me.owner.id).await?;
    let events = users.remove(&id).unwrap_or_default();
    page::ok(&Delete { frame: me.frame(Section::Resources), id, name, events })
}

pub async fn delete(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let name = resource::name(&site.db, &me.owner.id, &id).await?;
    resource::delete(&site.db, &me.actor(), &id).await?;
    let text = format!("{name} is deleted, with its endpoint and key.");
    me.done(&site, PATH, Flash::done(text)).await
}
