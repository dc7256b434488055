//! The attendees of an event: who they are, how they fare, and keys in bulk.

pub mod cards;
pub mod person;

use std::fmt::Write as _;

use askama::Template;
use axum::extract::{Path, Query, State};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{Tab, Tabs};
use crate::catalog::attendee::listing::{self, Part};
use crate::catalog::attendee::{self, claim};
use crate::catalog::event::{self, Event};
use crate::clock;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

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
    part: Part,
    /// Whether anybody is there, found or not.
    is_empty: bool,
    page: u32,
    cards: claim::Waiting,
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

/// What the bulk form holds, as it was typed.
#[derive(Default, Deserialize)]
pub struct Issue {
    count: String,
    names: String,
}

fn tabs(event: &Event) -> Tabs {
    Tabs { event_id: event.id.clone(), event_name: event.name.clone(), current: Tab::Attendees }
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
    let (owner, today) = (&me.owner.id, clock::day_of(clock::now_ms()));
    let rows = ((page - 1) * ROWS, ROWS);
    let part = listing::page(&site.db, owner, id, today, &asked.q, rows).await?;
    Ok(Attendees {
        frame: me.frame(Section::Events),
        tabs: tabs(&event),
        path: path(id),
        search: asked.q.trim(),
        is_empty: part.all == 0 && asked.q.trim().is_empty(),
        part,
        page,
        cards: claim::waiting(&site.db, owner, id).await?,
        issue,
        problems,
        event,
    })
}

pub async fn issue(
    State(site): State<Site>,
    me: SignedIn,
    Path(id): Path<String>,
    Form(typed): Form<Issue>,
) -> Answer {
    let lines = typed.names.trim_start_matches('\u{feff}').lines().map(str::trim);
    let names: Vec<String> = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let done = match read_count(&typed.count, names.len()) {
        Ok(count) => attendee::issue(&site.db, &site.vault, &me.actor(), &id, count, &names).await,
        Err(error) => Err(error),
    };
    let issued = match done {
        Ok(issued) => issued,
        Err(error) => {
            let problems = Problems::from_error(error)?;
            let asked = Asked::default();
            return page::unprocessable(&list(&site, &me, &id, &asked, &typed, problems).await?);
        }
    };
    let mut text = match issued.as_slice() {
        [one] => format!("One attendee is added: {}.", one.user_id),
        [first, .., last] => {
            format!("{} attendees are added: {} to {}.", issued.len(), first.user_id, last.user_id)
        }
        [] => "Nobody was added.".to_owned(),
    };
    let _ = write!(text, " Make their cards now, and hand them out.");
    me.done(&site, &path(&id), Flash::done(text)).await
}

/// Nothing typed: as many as there are names.
fn read_count(typed: &str, names: usize) -> Result<u32, crate::catalog::Error> {
    let invalid =
        |field, reason: &str| crate::catalog::Error::Invalid { field, reason: reason.into() };
    let count = match typed.trim() {
        "" if names == 0 => return Err(invalid("count", "is required where there are no names")),
        "" => u32::try_from(names).unwrap_or(u32::MAX),
        text => text.parse().map_err(|_| invalid("count", "must be a whole number"))?,
    };
    if names > attendee::MAX_ISSUED as usize {
        return Err(invalid("names", "are more than 5000; add them in several goes"));
    }
    if names > count as usize {
        return Err(invalid("count", "is less than there are names; leave it empty"));
    }
    Ok(count)
}
