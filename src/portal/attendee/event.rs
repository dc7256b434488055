//! `/event/{id}`: what an event is, whether it is open, and the ways to join. Whoever is signed in
//! to it sees their own page here instead ([`person`](super::person)).

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;

use super::{Here, cookie_seconds, path, person};
use crate::catalog::event::{Event, EventState};
use crate::clock;
use crate::portal::form::Problems;
use crate::portal::page::{self, Answer};
use crate::portal::visitor::Visitor;
use crate::portal::{Site, markdown, terms, times};

/// What was typed into the form of the shared code, and what is wrong with it.
#[derive(Default)]
pub struct Ways {
    pub code: String,
    pub name: String,
    pub problems: Problems,
}

#[derive(Template)]
#[template(path = "attendee/event.html")]
struct Shown {
    event: Event,
    state: EventState,
    now: i64,
    window: String,
    /// As HTML.
    description: String,
    /// The terms of use, as HTML.
    terms: String,
    /// The form of the shared code, where people can join with it now.
    ways: Option<Ways>,
    path: String,
}

impl Shown {
    fn until(&self, ms: i64) -> String {
        clock::in_words(ms - self.now)
    }
}

#[derive(Deserialize)]
pub struct Asked {
    /// Wait for the next call, from now on.
    test: Option<String>,
    /// Wait for a call after this time, in UTC milliseconds.
    since: Option<i64>,
}

pub async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let mut here = Here::find(&site, visitor, &id).await?;
    if asked.test.is_some() {
        let since = format!("{}?since={}#setup", path(&here.event.id), here.now);
        return Ok(Redirect::to(&since).into_response());
    }
    let Some(session) = here.session.take() else {
        return page(here, Ways::default());
    };
    // Renewed at each visit, as the event may have been extended.
    let seconds = cookie_seconds(&here.event, here.now);
    if let Some(token) = here.visitor.attendee_token(&here.event.id) {
        here.visitor.keep_attendee(&here.event.id, &token, seconds);
    }
    person::show(&site, here, session, asked.since).await
}

/// The page of the event, for somebody who is not signed in to it.
pub fn page(here: Here, ways: Ways) -> Answer {
    let Here { event, state, now, mut visitor, .. } = here;
    visitor.opens_form()?;
    let has_problems = !ways.problems.is_empty();
    let can_join = event.shared_code.is_some() && event.shut().is_none();
    let shown = Shown {
        window: times::window(event.starts_at, event.ends_at, &event.time_zone),
        description: markdown::to_html(&event.description),
        terms: terms::terms(&event),
        ways: can_join.then_some(ways),
        path: path(&event.id),
        event,
        state,
        now,
    };
    let page = if has_problems { page::unprocessable(&shown)? } else { page::ok(&shown)? };
    Ok((visitor.cookies(), page).into_response())
}
