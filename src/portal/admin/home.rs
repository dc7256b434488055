//! The first page: for owners what is live, what comes next and what needs
//! attention; for others where to go.

use askama::Template;
use axum::extract::State;

use crate::catalog::event::{self, Event};
use crate::catalog::usage::overview::{self, AtCap};
use crate::catalog::usage::{self, LiveFigures};
use crate::clock::day_of;
use crate::health::{Health, Verdict};
use crate::portal::Site;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::{SignedIn, Visitor};

/// Events to come that are shown.
const NEXT: usize = 5;

#[derive(Template)]
#[template(path = "admin/home.html")]
struct Home {
    frame: Frame,
    live: Vec<Open>,
    next: Vec<Event>,
    concerns: Vec<Concern>,
    is_empty: bool,
    /// The base of all links where it is not sure to lead here.
    unconfirmed: Option<String>,
}

/// An event that is open, and how it stands.
struct Open {
    event: Event,
    figures: LiveFigures,
}

/// Something about an event that its people will run into.
struct Concern {
    event_id: String,
    event: String,
    text: String,
}

pub async fn show(State(site): State<Site>, me: SignedIn, visitor: Visitor) -> Answer {
    let events = event::list(&site.db, &site.vault, &me.owner.id).await?;
    let now = site.clock.now_ms();
    let is_empty = events.is_empty();
    let mut concerns: Vec<_> =
        events.iter().flat_map(|event| concerns(&site.health, event, now)).collect();
    let (mut live, mut next) = (Vec::new(), Vec::new());
    for event in events.into_iter().filter(|event| event.active) {
        if is_in_window(&event, now) {
            let at_cap = overview::at_cap(&site.db, &event, day_of(now)).await?;
            concerns.extend(cap_reached(&event, at_cap));
            let figures = usage::live(&site.db, &event.owner_id, &event.id, now).await?;
            live.push(Open { event, figures });
        } else if event.starts_at > now {
            next.push(event);
        }
    }
    next.sort_by_key(|event| event.starts_at);
    next.truncate(NEXT);
    let base = visitor.base_url;
    let unconfirmed = (!base.is_confirmed()).then(|| base.as_str().to_owned());
    let frame = me.frame(Section::Home);
    page::ok(&Home { frame, live, next, concerns, is_empty, unconfirmed })
}

fn is_in_window(event: &Event, now: i64) -> bool {
    (event.starts_at..=event.ends_at).contains(&now)
}

fn concerns(health: &Health, event: &Event, now: i64) -> Vec<Concern> {
    let mut texts = Vec::new();
    if event.ends_at >= now {
        if event.resources.is_empty() {
            texts.push("has no resources, so there is nothing to call".to_owned());
        }
        for resource in &event.resources {
            let deployment = &resource.deployment;
            if !resource.active {
                texts.push(format!("links the resource {deployment}, which is switched off"));
            } else if let Some(Verdict::Fails(reason)) = health.of(resource).map(|c| c.verdict) {
                texts.push(format!(
                    "links the resource {deployment}, which failed its last check: {reason}"
                ));
            }
        }
    }
    if !event.active && is_in_window(event, now) {
        texts.push("is switched off, although it would be open now".to_owned());
    }
    texts
        .into_iter()
        .map(|text| Concern { event_id: event.id.clone(), event: event.name.clone(), text })
        .collect()
}

/// Where many have used up their day.
fn cap_reached(event: &Event, at_cap: AtCap) -> Option<Concern> {
    at_cap.are_many().then(|| Concern {
        event_id: event.id.clone(),
        event: event.name.clone(),
        text: format!(
            "has {} attendees, of {} who called today, with no requests left until midnight UTC",
            at_cap.at_cap, at_cap.called
        ),
    })
}

/// A wall clock of an event, as people write it.
fn wall_clock(local: &str) -> String {
    local.replace('T', " ")
}
