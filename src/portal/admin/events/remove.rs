//! Deleting an event with all that came with it. One that people were in asks for
//! its name, so that a click is not enough.

use askama::Template;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::PATH;
use crate::catalog::{self, attendee, event};
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

#[derive(Template)]
#[template(path = "admin/events/delete.html")]
struct Delete {
    frame: Frame,
    id: String,
    name: String,
    attendees: u32,
    typed: String,
    problems: Problems,
}

impl Delete {
    async fn new(site: &Site, me: &SignedIn, id: &str) -> Result<Self, PageError> {
        // Not the event itself: one that cannot be read can be deleted.
        let mut connection = site.db.pool().acquire().await.map_err(catalog::Error::from)?;
        let name = event::name(&mut connection, &me.owner.id, id).await?;
        let counts = attendee::counts(&site.db, &me.owner.id).await?;
        Ok(Self {
            frame: me.frame(Section::Events),
            attendees: counts.get(id).copied().unwrap_or_default(),
            id: id.to_owned(),
            name,
            typed: String::new(),
            problems: Problems::none(),
        })
    }
}

#[derive(Deserialize)]
pub struct Typed {
    #[serde(default)]
    name: String,
}

pub async fn ask_delete(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    page::ok(&Delete::new(&site, &me, &id).await?)
}

pub async fn delete(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Form(typed): Form<Typed>,
) -> Answer {
    let page = Delete::new(&site, &me, &id).await?;
    if page.attendees > 0 && typed.name.trim() != page.name {
        let problems = Problems::one("name", "is not that of the event; nothing was deleted");
        return page::unprocessable(&Delete { typed: typed.name, problems, ..page });
    }
    event::delete(&site.db, &me.actor(), &id).await?;
    site.preflights.forget(&me.owner.id, &id);
    let text = match page.attendees {
        0 => format!("{} is deleted.", page.name),
        1 => format!("{} is deleted, with its attendee and all figures.", page.name),
        many => {
            format!("{} is deleted, with its {many} attendees and all figures.", page.name)
        }
    };
    me.done(&site, PATH, Flash::done(text)).await
}
