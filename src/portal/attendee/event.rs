//! `/event/{id}`: what an event is, whether it is open, and the ways to join. Whoever is signed in
//! to it sees their own page here instead ([`person`](super::person)).

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;

use super::{Here, cookie_seconds, path, person};
use crate::catalog;
use crate::catalog::attendee::account;
use crate::catalog::event::{Event, EventState, JoinBy};
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
    /// Seconds until another code is compared, where too many were wrong.
    pub wait: Option<u64>,
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
    /// When personal data is removed.
    forgets: Option<String>,
    /// The form of the shared code, where people can join with it now.
    ways: Option<Ways>,
    github: Option<ByGitHub>,
    /// The name of whoever can continue with their account at the gateway.
    gateway: Option<String>,
    /// The event has ways to join, but nobody new can at the moment, or any more.
    is_closed: bool,
    path: String,
}

/// Signing in with GitHub.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ByGitHub {
    /// Anybody can join.
    Anybody,
    /// Those who have joined can come back.
    Known,
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
        return page(&site, here, Ways::default()).await;
    };
    // Renewed at each visit, as the event may have been extended.
    let seconds = cookie_seconds(&here.event, here.now);
    if let Some(token) = here.visitor.attendee_token(&here.event.id) {
        here.visitor.keep_attendee(&here.event.id, &token, seconds);
    }
    person::show(&site, here, session, asked.since).await
}

/// The page of the event, for somebody who is not signed in to it.
pub async fn page(site: &Site, here: Here, ways: Ways) -> Answer {
    let github = by_github(site, &here).await?;
    let gateway = by_gateway(site, &here).await?;
    let Here { event, state, now, mut visitor, .. } = here;
    visitor.opens_form()?;
    let (is_right, wait) = (ways.problems.is_empty(), ways.wait);
    let has_ways = event.shared_code.is_some() || event.registration.admits(JoinBy::GitHub);
    let can_join = event.shared_code.is_some() && event.shut_to(JoinBy::SharedCode).is_none();
    let shown = Shown {
        window: times::window(event.starts_at, event.ends_at, &event.time_zone),
        description: markdown::to_html(&event.description),
        terms: terms::terms(&event),
        forgets: event.forgets_at().map(|at| times::moment(at, &event.time_zone)),
        ways: can_join.then_some(ways),
        github,
        gateway,
        is_closed: event.shut().is_some() && has_ways,
        path: path(&event.id),
        event,
        state,
        now,
    };
    let page = if is_right { page::ok(&shown)? } else { page::again(&shown, wait)? };
    Ok((visitor.cookies(), page).into_response())
}

/// For whom signing in with GitHub is offered: those who have joined that way can come back as long as
/// the event has not ended, whoever else may join.
async fn by_github(site: &Site, here: &Here) -> catalog::Result<Option<ByGitHub>> {
    let Here { event, state, .. } = here;
    if !site.identity.has_github() || matches!(state, EventState::Draft | EventState::Ended) {
        return Ok(None);
    }
    if *state == EventState::Open && event.shut_to(JoinBy::GitHub).is_none() {
        return Ok(Some(ByGitHub::Anybody));
    }
    let has_any = account::has_any(&site.db, &event.id, JoinBy::GitHub).await?;
    Ok(has_any.then_some(ByGitHub::Known))
}

/// Who can continue with their account at the gateway, if anybody: whoever has joined with it, and others
/// where registration is open.
async fn by_gateway(site: &Site, here: &Here) -> catalog::Result<Option<String>> {
    let Here { event, state, visitor, .. } = here;
    let Some(account) = &visitor.gateway else { return Ok(None) };
    let can_join = match state {
        EventState::Draft | EventState::Ended => return Ok(None),
        EventState::Open => event.shut_to(JoinBy::Gateway).is_none(),
        EventState::Paused | EventState::Scheduled => false,
    };
    let can_continue = can_join || account::find(&site.db, &event.id, account).await?.is_some();
    Ok(can_continue.then(|| account.shown().to_owned()))
}
