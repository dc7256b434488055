//! The attendees of an event: who they are, how they fare, and keys in bulk.

pub mod cards;
pub mod deleted;
mod issue;
pub mod person;

use askama::Template;
use axum::extract::{Path, Query, State};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use self::issue::Issue;
use super::{Tab, Tabs};
use crate::catalog::attendee;
use crate::catalog::attendee::card::{self, Printable};
use crate::catalog::attendee::claim;
use crate::catalog::attendee::deleted::Deleted;
use crate::catalog::attendee::listing::{self, AttendeePage};
use crate::catalog::event::{self, Event};
use crate::clock;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::filters;
use crate::portal::form::Problems;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

pub use issue::{issue, upload_limit};

/// Attendees a page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "admin/events/attendees/list.html")]
struct Attendees<'a> {
    frame: Frame,
    tabs: Tabs,
    path: String,
    event: Event,
    search: &'a str,
    part: AttendeePage,
    /// Whether anybody is there, found or not.
    is_empty: bool,
    page: u32,
    cards: claim::Waiting,
    printable: Printable,
    deleted: Vec<Deleted>,
    issue: &'a Issue,
    problems: Problems,
}

impl Attendees<'_> {
    fn page_path(&self, page: u32) -> String {
        let search = utf8_percent_encode(self.search, NON_ALPHANUMERIC);
        format!("{}?q={search}&page={page}", self.path)
    }

    fn has_more(&self) -> bool {
        self.page.saturating_mul(ROWS) < self.part.all
    }

    fn day(&self, day: &u32) -> String {
        clock::date(i64::from(*day) * 86_400_000)
    }

    fn moment(&self, ms: &i64) -> String {
        clock::wall_clock(*ms, &self.event.time_zone).replace('T', " ")
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    q: String,
    page: String,
}

fn tabs(site: &Site, event: &Event) -> Tabs {
    Tabs::of(event, Tab::Attendees, site.clock.now_ms())
}

fn path(event_id: &str) -> String {
    format!("/admin/events/{event_id}/attendees")
}

pub async fn show(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    page::ok(&list(&site, &me, &id, &asked, &Issue::default(), Problems::none()).await?)
}

async fn list<'a>(
    site: &Site,
    me: &SignedIn,
    id: &str,
    asked: &'a Asked,
    issue: &'a Issue,
    problems: Problems,
) -> Result<Attendees<'a>, PageError> {
    let event = event::get(&site.db, &site.vault, &me.owner.id, id).await?;
    let page = asked.page.parse().unwrap_or(1_u32).clamp(1, 10_000);
    let (owner, today) = (&me.owner.id, clock::day_of(site.clock.now_ms()));
    let rows = ((page - 1) * ROWS, ROWS);
    let part = listing::page(&site.db, owner, id, today, &asked.q, rows).await?;
    Ok(Attendees {
        frame: me.frame(Section::Events),
        tabs: tabs(site, &event),
        path: path(id),
        search: asked.q.trim(),
        is_empty: part.all == 0 && asked.q.trim().is_empty(),
        part,
        page,
        cards: claim::waiting(&site.db, owner, id).await?,
        printable: card::printable(&site.db, owner, id).await?,
        deleted: attendee::deleted::list(&site.db, owner, id).await?,
        issue,
        problems,
        event,
    })
}
