//! The attendees' pages: the front page, an event and the ways to join it, and the page of a person
//! in an event, which every way in leads to.
//!
//! An attendee is signed in by a cookie of their event ([`Visitor::attendee_token`]), found again in
//! the store at each request. To add a way in, prove who somebody is, then call [`Here::let_in`].

mod account;
pub mod authorize;
pub mod card;
pub mod continued;
pub mod event;
pub mod front;
pub mod gateway;
pub mod github;
pub mod join;
pub mod person;
pub mod tryout;
pub mod yours;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::response::{IntoResponse, Redirect, Response};
use http::request::Parts;
use secrecy::SecretString;

use super::Site;
use super::error::PageError;
use super::page::Answer;
use super::visitor::Visitor;
use crate::catalog;
use crate::catalog::attendee::session::{self, AttendeeSession, NewSession, Way};
use crate::catalog::event::{self as events, Event, EventState};
use crate::clock::DAY_MS;
use crate::identity::session::SessionAsker;

/// How long a cookie outlives the event as it stands: the event may still be extended.
const AFTER_THE_END_MS: i64 = 7 * DAY_MS;

/// The page of an event; for whoever is signed in to it, their own.
pub fn path(event_id: &str) -> String {
    format!("/event/{event_id}")
}

/// A browser at an event.
pub struct Here {
    pub event: Event,
    pub state: EventState,
    /// UTC milliseconds.
    pub now: i64,
    /// The attendee who is signed in here.
    pub session: Option<AttendeeSession>,
    pub visitor: Visitor,
}

impl Here {
    /// # Errors
    /// As of [`find_event`].
    pub async fn find(site: &Site, visitor: Visitor, id: &str) -> Result<Self, PageError> {
        let event = find_event(site, &visitor, id).await?;
        Ok(Self::at(site, visitor, event).await?)
    }

    /// The browser at this event.
    pub async fn at(site: &Site, visitor: Visitor, event: Event) -> catalog::Result<Self> {
        let now = site.clock.now_ms();
        let session = session_at(site, &visitor, &event.id).await?;
        Ok(Self { state: event.state(now), event, now, session, visitor })
    }

    /// Signs an attendee of the event in, and leads to `next`: to their page, or to what they signed in
    /// for.
    pub async fn let_in(self, site: &Site, attendee_id: &str, way: Way, next: &str) -> Answer {
        let held = self.visitor.attendee_tokens();
        let new = NewSession { way, agent: &self.visitor.agent, held: &held };
        let token = session::start(&site.db, attendee_id, &new, self.now).await?;
        Ok(welcome(self.visitor, &self.event, &token, self.now, next))
    }
}

/// An attendee who is signed in to the event in the path. Whoever is not is led to its page, where
/// people sign in.
pub struct Mine {
    pub here: Here,
    pub session: AttendeeSession,
}

impl FromRequestParts<Site> for Mine {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, PageError> {
        let visitor = Visitor::from_request_parts(parts, site).await?;
        let parameters = RawPathParams::from_request_parts(parts, site).await;
        let parameters = parameters.map_err(|_| PageError::NotFound)?;
        let id = parameters.iter().find(|(name, _)| *name == "id").map(|(_, id)| id);
        let id = id.ok_or_else(|| PageError::internal("a path without the id of an event"))?;
        let mut here = Here::find(site, visitor, id).await?;
        match here.session.take() {
            Some(session) => Ok(Self { here, session }),
            None => Err(PageError::NotInEvent { page: path(&here.event.id) }),
        }
    }
}

/// The event with this id, as far as this browser may see it.
///
/// # Errors
/// [`PageError::UnknownEvent`] also for a draft, unless its owner looks at it.
async fn find_event(site: &Site, visitor: &Visitor, id: &str) -> Result<Event, PageError> {
    match visible_event(site, visitor, id).await? {
        Some(event) => Ok(event),
        // Ids of events can be guessed as little as keys, and count like them.
        None => {
            let wait = site.plane.keys.count_unknown(visitor.source).err();
            Err(PageError::UnknownEvent { wait })
        }
    }
}

/// The same event, where its id is not one that somebody typed.
async fn visible_event(
    site: &Site,
    visitor: &Visitor,
    id: &str,
) -> Result<Option<Event>, PageError> {
    let event = events::anyones(&site.db, &site.vault, id).await?;
    match event {
        Some(event) if event.is_draft() && !is_owners(site, visitor, &event).await? => Ok(None),
        event => Ok(event),
    }
}

/// The attendee who is signed in to this event here.
async fn session_at(
    site: &Site,
    visitor: &Visitor,
    event_id: &str,
) -> catalog::Result<Option<AttendeeSession>> {
    let Some(token) = visitor.attendee_token(event_id) else { return Ok(None) };
    let found = session::find(&site.db, &token, event_id, site.clock.now_ms()).await?;
    Ok(found.filter(|session| is_still_theirs(session, visitor)))
}

/// Whether the person whom a gateway signed in is still the one before this browser: who signs out at the
/// gateway does not sign out here.
fn is_still_theirs(session: &AttendeeSession, visitor: &Visitor) -> bool {
    let now = visitor.gateway.as_ref();
    session.way != Way::Gateway || now.is_none_or(|now| now.user_id() == session.attendee.user_id)
}

/// The way to `next` for whoever has just signed in, with the cookie that opens their page.
fn welcome(
    mut visitor: Visitor,
    event: &Event,
    token: &SecretString,
    now: i64,
    next: &str,
) -> Response {
    visitor.keep_attendee(&event.id, token, cookie_seconds(event, now));
    (visitor.cookies(), Redirect::to(next)).into_response()
}

/// The life of the cookie: the session behind it ends with the event.
fn cookie_seconds(event: &Event, now: i64) -> i64 {
    (event.ends_at + AFTER_THE_END_MS - now).max(0) / 1000
}

/// Whether the owner of the event is signed in here.
async fn is_owners(site: &Site, visitor: &Visitor, event: &Event) -> Result<bool, PageError> {
    let Some(token) = visitor.session_token() else { return Ok(false) };
    let session = site.identity.session(&token, SessionAsker::Script).await?;
    Ok(session.is_some_and(|session| session.owner.id == event.owner_id))
}
