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

use axum::response::{IntoResponse, Redirect, Response};
use secrecy::SecretString;

use super::Site;
use super::error::PageError;
use super::page::Answer;
use super::visitor::Visitor;
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
    /// [`PageError::UnknownEvent`] also for a draft, unless its owner looks at it.
    pub async fn find(site: &Site, visitor: Visitor, id: &str) -> Result<Self, PageError> {
        let now = site.clock.now_ms();
        let found = events::anyones(&site.db, &site.vault, id).await?;
        let Some(event) = found else { return Err(unknown_event(site, &visitor)) };
        let state = event.state(now);
        if state == EventState::Draft && !is_owners(site, &visitor, &event).await? {
            return Err(unknown_event(site, &visitor));
        }
        let session = match visitor.attendee_token(&event.id) {
            Some(token) => session::find(&site.db, &token, &event.id, now).await?,
            None => None,
        };
        let session = session.filter(|session| is_still_theirs(session, &visitor));
        Ok(Self { event, state, now, session, visitor })
    }

    /// The same for somebody who has to be signed in.
    ///
    /// # Errors
    /// Where nobody is: the way to the page of the event, where people sign in.
    pub async fn signed_in(
        site: &Site,
        visitor: Visitor,
        id: &str,
    ) -> Result<(Self, AttendeeSession), Response> {
        let mut here = Self::find(site, visitor, id).await.map_err(IntoResponse::into_response)?;
        match here.session.take() {
            Some(session) => Ok((here, session)),
            None => Err(Redirect::to(&path(&here.event.id)).into_response()),
        }
    }

    /// Signs an attendee of the event in, and leads to their page.
    pub async fn let_in(self, site: &Site, attendee_id: &str, way: Way) -> Answer {
        let held = self.visitor.attendee_tokens();
        let new = NewSession { way, agent: &self.visitor.agent, held: &held };
        let token = session::start(&site.db, attendee_id, &new, self.now).await?;
        Ok(welcome(self.visitor, &self.event, &token, self.now))
    }
}

/// Whether the person whom a gateway signed in is still the one before this browser: who signs out at the
/// gateway does not sign out here.
fn is_still_theirs(session: &AttendeeSession, visitor: &Visitor) -> bool {
    let now = visitor.gateway.as_ref();
    session.way != Way::Gateway || now.is_none_or(|now| now.user_id() == session.attendee.user_id)
}

/// The way to the attendee's page, with the cookie that opens it.
fn welcome(mut visitor: Visitor, event: &Event, token: &SecretString, now: i64) -> Response {
    visitor.keep_attendee(&event.id, token, cookie_seconds(event, now));
    (visitor.cookies(), Redirect::to(&path(&event.id))).into_response()
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

/// Ids of events can be guessed as little as keys, and count like them.
fn unknown_event(site: &Site, visitor: &Visitor) -> PageError {
    PageError::UnknownEvent { wait: site.plane.keys.count_unknown(visitor.source).err() }
}
