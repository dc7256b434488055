//! The list of an owner's events.

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::Tab;
use crate::catalog::event::{self, Event};
use crate::catalog::{Noun, Rows, Unreadable, attendee};
use crate::portal::Site;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

#[derive(Template)]
#[template(path = "admin/events/list.html")]
struct List<'a> {
    frame: Frame,
    /// What is looked for, as it was typed.
    query: &'a str,
    /// Whether there are none at all, found or not.
    is_empty: bool,
    rows: Vec<Row>,
    unreadable: Vec<Unreadable>,
}

struct Row {
    event: Event,
    attendees: u32,
    phase: Phase,
}

/// Where an event stands by its dates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    Next,
    Ended,
}

impl Phase {
    fn of(event: &Event, now: i64) -> Self {
        if now > event.ends_at {
            Phase::Ended
        } else if now < event.starts_at {
            Phase::Next
        } else {
            Phase::Live
        }
    }

    fn name(self) -> &'static str {
        match self {
            Phase::Live => "live",
            Phase::Next => "next",
            Phase::Ended => "ended",
        }
    }
}

impl Row {
    fn holds(&self, query: &str) -> bool {
        let event = &self.event;
        let fields = [&event.name, &event.id, &event.organizer_name, &event.time_zone];
        let deployments = event.resources.iter().map(|resource| &*resource.deployment);
        (fields.into_iter().map(String::as_str).chain(deployments))
            .any(|field| field.to_lowercase().contains(query))
    }

    /// One that is off is live for nobody.
    fn style(&self) -> &'static str {
        match (self.phase, self.event.active) {
            (Phase::Live, true) => "badge good",
            (Phase::Live, false) => "badge warn",
            _ => "badge",
        }
    }

    /// The event's other pages, with their addresses.
    fn others(&self) -> impl Iterator<Item = (&'static str, String)> {
        let others = Tab::ALL.iter().filter(|tab| **tab != Tab::Event);
        others.map(|tab| (tab.name(), tab.path(&self.event.id)))
    }
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
}

pub async fn show(State(site): State<Site>, me: SignedIn, Query(asked): Query<Asked>) -> Answer {
    let Rows { read: events, mut unreadable } =
        event::all(&site.db, &site.vault, &me.owner.id).await?;
    unreadable.retain(|row| row.noun == Noun::Event);
    let counts = attendee::counts(&site.db, &me.owner.id).await?;
    let now = site.clock.now_ms();
    let row = |event: Event| Row {
        attendees: counts.get(&event.id).copied().unwrap_or_default(),
        phase: Phase::of(&event, now),
        event,
    };
    let is_empty = events.is_empty() && unreadable.is_empty();
    let mut rows: Vec<Row> = events.into_iter().map(row).collect();
    let query = asked.q.trim();
    rows.retain(|row| row.holds(&query.to_lowercase()));
    page::ok(&List { frame: me.frame(Section::Events), query, is_empty, rows, unreadable })
}
