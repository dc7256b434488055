//! The page of a person in an event: whether their set-up works, their key, what to paste where, and
//! what is theirs to end. It can be opened until the event ends.

pub mod paste;
mod verdict;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use self::paste::Server;
use self::verdict::Verdict;
pub use self::verdict::advice;
use super::{Here, find_event, path, session_at};
use crate::catalog::attendee::session::{self, AttendeeSession, SignedInBrowser};
use crate::catalog::attendee::{Attendee, yours};
use crate::catalog::event::{Event, EventState};
use crate::catalog::oauth::{self, ConnectedApp};
use crate::catalog::quota;
use crate::net::base_url;
use crate::portal::error::PageError;
use crate::portal::filters;
use crate::portal::page::{self, Answer};
use crate::portal::visitor::Visitor;
use crate::portal::{Site, markdown, terms, times};

/// How a person fares, and how much of their cap is left: what is kept fresh while they look.
struct Standing {
    verdict: Verdict,
    used: u32,
    cap: u32,
    resets_at: i64,
    time_zone: String,
    /// They wait for their next call.
    is_waiting: bool,
    path: String,
    organizer_name: String,
    organizer_email: String,
}

impl Standing {
    async fn find(
        site: &Site,
        event: &Event,
        state: EventState,
        attendee: &Attendee,
        since: Option<i64>,
    ) -> crate::catalog::Result<Self> {
        let now = site.clock.now_ms();
        let used = quota::used(&site.db, &attendee.id, site.clock.today(now)).await?;
        let cap = attendee.daily_request_cap.unwrap_or(event.daily_request_cap);
        let verdict = Verdict::of((state, event.starts_at), attendee, used >= cap, since, now);
        Ok(Self {
            is_waiting: matches!(verdict, Verdict::Waiting { .. }),
            verdict,
            used,
            cap,
            resets_at: site.clock.next_midnight(now),
            time_zone: event.time_zone.clone(),
            path: path(&event.id),
            organizer_name: event.organizer_name.clone(),
            organizer_email: event.organizer_email.clone(),
        })
    }

    fn moment(&self, ms: &i64) -> String {
        times::moment(*ms, &self.time_zone)
    }

    fn place(&self) -> String {
        times::place(&self.time_zone)
    }
}

#[derive(Template)]
#[template(path = "attendee/person.html")]
struct Person {
    event: Event,
    state: EventState,
    window: String,
    /// As HTML.
    description: String,
    /// The terms of use, as HTML, and when they agreed to them.
    terms: String,
    terms_accepted_at: Option<i64>,
    name: String,
    standing: Standing,
    key: Key,
    servers: Vec<Server>,
    /// Whether the URLs are sure to lead here.
    is_confirmed: bool,
    sign_in: ClientSignIn,
    /// When personal data is removed, in UTC milliseconds.
    forgets_at: Option<i64>,
    browsers: Vec<SignedInBrowser>,
    /// Only for whoever showed who they are.
    apps: Vec<ConnectedApp>,
    /// This browser's among them.
    here: String,
    path: String,
}

impl Person {
    fn moment(&self, ms: &i64) -> String {
        times::moment(*ms, &self.event.time_zone)
    }
}

/// Whether clients can sign in without a key.
#[derive(Clone, Copy, PartialEq)]
enum ClientSignIn {
    Off,
    /// Those that run on computers which reach this proxy.
    Nearby,
    /// Also those that call from the internet.
    Anywhere,
}

impl ClientSignIn {
    fn of(site: &Site) -> Self {
        if !site.config.has_oauth() {
            return Self::Off;
        }
        let public = site.config.public_url.as_ref();
        let is_hosted = |url: &Url| url.scheme() == "https" && base_url::is_on_the_internet(url);
        if public.is_some_and(is_hosted) { Self::Anywhere } else { Self::Nearby }
    }
}

/// The key as far as the page may show it.
enum Key {
    Theirs {
        text: String,
        masked: String,
    },
    /// Only its form: a typed name does not show who they are.
    Form(String),
}

#[derive(Template)]
#[template(path = "attendee/standing.html")]
struct Live {
    standing: Standing,
}

/// The page of the attendee who is signed in. `since`: they wait for a call after this time.
pub async fn show(site: &Site, here: Here, session: AttendeeSession, since: Option<i64>) -> Answer {
    let Here { event, state, visitor, .. } = here;
    let attendee = &session.attendee;
    let apps = match session.way.is_proof() {
        true => oauth::connected(&site.db, &attendee.id).await?,
        false => Vec::new(),
    };
    let key = if session.way.is_proof() {
        let key = yours::key(&site.db, &site.vault, &session).await?;
        let text = key.expose_secret().to_owned();
        Key::Theirs { masked: masked(&text), text }
    } else {
        Key::Form(format!("{}@CODE/{}", event.id, attendee.display_name))
    };
    let servers = match &key {
        Key::Theirs { text, .. } | Key::Form(text) => {
            paste::servers(&event, &visitor.base_url, &text.as_str().into())
        }
    };
    let page = page::ok(&Person {
        standing: Standing::find(site, &event, state, attendee, since).await?,
        window: times::window(event.starts_at, event.ends_at, &event.time_zone),
        description: markdown::to_html(&event.description),
        terms: terms::terms(&event),
        terms_accepted_at: attendee.terms_accepted_at,
        name: attendee.display_name.clone(),
        key,
        servers,
        is_confirmed: visitor.base_url.is_confirmed(),
        sign_in: ClientSignIn::of(site),
        forgets_at: event.forgets_at(),
        browsers: session::list(&site.db, &attendee.id).await?,
        apps,
        here: session.id().to_owned(),
        path: path(&event.id),
        event,
        state,
    })?;
    Ok((visitor.cookies(), page).into_response())
}

/// The beginning and the end: enough to tell it from another.
fn masked(key: &str) -> String {
    let begins = if key.starts_with("aik_") { "aik_" } else { "" };
    let end = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    format!("{begins}…{}", &key[end..])
}

#[derive(Deserialize)]
pub struct Asked {
    since: Option<i64>,
}

/// The part of the page that is kept fresh, by itself. A room full of pages asks for it every few
/// seconds, so the event is the copy that calls use, and is not read again.
pub async fn live(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let Some(session) = session_at(&site, &visitor, &id).await? else {
        let event = find_event(&site, &visitor, &id).await?;
        return Err(PageError::NotInEvent { page: path(&event.id) });
    };
    let known = site.plane.snapshot.load().events.get(&id).cloned();
    let event = match known {
        Some(event) => event,
        None => Arc::new(find_event(&site, &visitor, &id).await?),
    };
    let state = event.state(site.clock.now_ms());
    let standing = Standing::find(&site, &event, state, &session.attendee, asked.since).await?;
    page::ok(&Live { standing })
}
