//! One event while it is on: what is going on, readable from the back of the
//! room, and what an organiser changes there, with one click each.
//!
//! Every control is a form that says what it found: sent twice, or from a page of
//! a while ago, it changes nothing that was not asked for.

mod controls;

use askama::Template;
use axum::extract::{Path, State};

pub use controls::{activity, cap, end, registration, resource};

use super::{Tab, Tabs};
use crate::catalog::event::{self, Event, Shut};
use crate::catalog::usage;
use crate::clock;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::filters;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::SignedIn;

#[derive(Template)]
#[template(path = "admin/events/room.html")]
struct Room {
    frame: Frame,
    tabs: Tabs,
    state: RoomState,
    /// When that changes by itself, in words.
    until: String,
    figures: Vec<Figure>,
    /// Tries of the shared code that look like guessing, in the last ten minutes.
    guesses: u64,
    event: Event,
    resources: Vec<Switch>,
}

/// Whether calls pass, and if not why.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RoomState {
    Open,
    Paused,
    NotStarted,
    Ended,
}

impl RoomState {
    fn of(event: &Event, now: i64) -> Self {
        if now > event.ends_at {
            RoomState::Ended
        } else if !event.active {
            RoomState::Paused
        } else if now < event.starts_at {
            RoomState::NotStarted
        } else {
            RoomState::Open
        }
    }

    fn name(self) -> &'static str {
        match self {
            RoomState::Open => "open",
            RoomState::Paused => "paused",
            RoomState::NotStarted => "not started",
            RoomState::Ended => "ended",
        }
    }

    fn style(self) -> &'static str {
        match self {
            RoomState::Open => "badge good",
            RoomState::Paused => "badge warn",
            RoomState::NotStarted | RoomState::Ended => "badge",
        }
    }
}

/// A number and what it counts.
pub(super) struct Figure {
    pub label: &'static str,
    pub hint: &'static str,
    pub value: u64,
    /// More than none is something to look at.
    pub is_trouble: bool,
}

/// A linked resource and its switch.
struct Switch {
    id: String,
    deployment: String,
    active: bool,
    /// Other events that it is switched in as well.
    elsewhere: Vec<String>,
}

pub async fn show(State(site): State<Site>, me: SignedIn, Path(id): Path<String>) -> Answer {
    let event = event::get(&site.db, &site.vault, &me.owner.id, &id).await?;
    let now = site.clock.now_ms();
    page::ok(&Room {
        frame: me.frame(Section::Events),
        tabs: Tabs::of(&event, Tab::Room, site.clock.now_ms()),
        state: RoomState::of(&event, now),
        until: until(&event, now),
        figures: figures(&site, &event, now).await?,
        guesses: event::guesses::recent(&site.db, &event.id, now).await?,
        resources: switches(&site, &event).await?,
        event,
    })
}

fn until(event: &Event, now: i64) -> String {
    let (start, end) = (event.start_local.replace('T', " "), event.end_local.replace('T', " "));
    let zone = &event.time_zone;
    if now > event.ends_at {
        format!("ended {end} ({zone})")
    } else if now < event.starts_at {
        format!("from {start} to {end} ({zone})")
    } else {
        format!("until {end} ({zone}), {} left", clock::in_words(event.ends_at - now))
    }
}

/// How things stand at `now`.
pub(super) async fn figures(
    site: &Site,
    event: &Event,
    now: i64,
) -> Result<Vec<Figure>, PageError> {
    let live = usage::live(&site.db, &event.owner_id, &event.id, now).await?;
    let figure = |label, hint, value| Figure { label, hint, value, is_trouble: false };
    let trouble = |label, hint, value| Figure { label, hint, value, is_trouble: true };
    Ok(vec![
        figure("now active", "called within five minutes", live.active),
        figure("calls a minute", "to all resources", live.calls),
        trouble("errors a minute", "of these calls", live.errors),
        figure("registered", "may call", live.registered),
        figure("connected", "have called at least once", live.connected),
        figure("first success", "a call has worked", live.succeeded),
        trouble("stuck", "have called, and nothing worked yet", live.stuck()),
    ])
}

async fn switches(site: &Site, event: &Event) -> Result<Vec<Switch>, PageError> {
    let all = event::list(&site.db, &site.vault, &event.owner_id).await?;
    let switch = |resource: &std::sync::Arc<crate::catalog::resource::Resource>| {
        let uses = |other: &&Event| {
            other.id != event.id && other.resources.iter().any(|used| used.id == resource.id)
        };
        Switch {
            id: resource.id.clone(),
            deployment: resource.deployment.to_string(),
            active: resource.active,
            elsewhere: all.iter().filter(uses).map(|other| other.name.clone()).collect(),
        }
    };
    Ok(event.resources.iter().map(switch).collect())
}
