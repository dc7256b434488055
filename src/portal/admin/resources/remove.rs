//! Deleting a resource, which no event may use any more.

use askama::Template;
use axum::extract::{Path, State};

use super::PATH;
use crate::catalog::resource::{self, Resource};
use crate::portal::Site;
use crate::portal::flash::Flash;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

#[derive(Template)]
#[template(path = "admin/resources/delete.html")]
struct Delete {
    frame: Frame,
    resource: Resource,
    /// The names of the events that use it.
    events: Vec<String>,
}

pub async fn ask_delete(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let resource = resource::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let mut users = resource::users(&site.db, &me.owner.id).await?;
    let events = users.remove(&id).unwrap_or_default();
    page::ok(&Delete { frame: me.frame(Section::Resources), resource, events })
}

pub async fn delete(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let resource = resource::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    resource::delete(&site.db, &me.actor(), &id).await?;
    let text = format!("{} is deleted, with its endpoint and key.", resource.name);
    me.done(&site, PATH, Flash::done(text)).await
}
