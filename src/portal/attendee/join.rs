//! Joining an event with its shared code and a name.
//!
//! A typed name proves nothing. Whoever is the first under a name joins in this browser, which shows
//! later that it is them; under a name that is there already, somebody is asked whether they are that
//! person, and their page then keeps the key to itself.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::event::{self, Ways};
use super::{Here, path};
use crate::catalog::attendee::session::Way;
use crate::catalog::attendee::{self, Joined};
use crate::catalog::event::{Event, EventState, Shut};
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer};
use crate::portal::visitor::Visitor;
use crate::proxy::error::ProxyError;

#[derive(Deserialize)]
pub struct Typed {
    code: SecretString,
    name: String,
    /// They said that they are the person who is here under this name.
    #[serde(default)]
    is_me: Option<String>,
}

#[derive(Template)]
#[template(path = "attendee/known.html")]
struct Known<'a> {
    event: &'a Event,
    back: String,
    name: &'a str,
    code: &'a str,
}

pub async fn submit(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(typed): Form<Typed>,
) -> Answer {
    let here = Here::find(&site, visitor, &id).await?;
    if here.state != EventState::Open {
        // It says why.
        return event::page(here, Ways::default());
    }
    let code = typed.code.expose_secret().trim();
    let name = typed.name.trim();
    if let Some(problems) = missing(code, name) {
        return refused(here, &typed, problems);
    }
    // As in a key, where a percent sign would begin an encoded character.
    let sent = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
    let source = here.visitor.source;
    match site.plane.keys.check_typed_code(&here.event, code, sent.as_bytes(), source).await {
        Ok(()) => {}
        Err(ProxyError::TooManyAttempts { retry_after }) => {
            let reason = format!(
                "was not compared: too many wrong codes came from your network. Wait {retry_after} s, then try \
                 again"
            );
            let answer = refused(here, &typed, Problems::one("code", reason))?;
            return Ok(too_many(answer, retry_after));
        }
        Err(ProxyError::StoreUnavailable) => return Err(PageError::Unavailable),
        Err(_) => {
            let reason =
                "is not this event's. Check it with the organiser; capital letters do not matter";
            return refused(here, &typed, Problems::one("code", reason));
        }
    }
    let (db, vault) = (&site.db, &site.vault);
    let joined =
        attendee::join_by_shared_code(db, vault, &here.event, sent.as_bytes(), here.now).await;
    match joined? {
        Joined::New(attendee) => here.let_in(&site, &attendee.id, Way::Joined).await,
        Joined::Known(attendee) => {
            let session = here.session.as_ref();
            let is_theirs = session.is_some_and(|session| session.attendee.id == attendee.id);
            if is_theirs {
                return Ok(Redirect::to(&path(&here.event.id)).into_response());
            }
            if typed.is_me.is_some() {
                return here.let_in(&site, &attendee.id, Way::Named).await;
            }
            page::with_status(
                StatusCode::CONFLICT,
                &Known {
                    event: &here.event,
                    back: path(&here.event.id),
                    name: &attendee.display_name,
                    code,
                },
            )
        }
        Joined::Deleted(_) => {
            let reason =
                "was removed from this event by the organiser. Ask them to let you in again";
            refused(here, &typed, Problems::one("name", reason))
        }
        Joined::Full => {
            let reason = "is right, but the event is full: no more people can join with it. Ask the \
                          organiser";
            refused(here, &typed, Problems::one("code", reason))
        }
        Joined::Shut(Shut::Closed | Shut::Stopped) => {
            let reason =
                "is right, but registration is closed. Ask the organiser to open it, or for a card";
            refused(here, &typed, Problems::one("code", reason))
        }
        Joined::NameNotUsable => {
            let reason = "must have 2 to 64 characters and no control characters";
            refused(here, &typed, Problems::one("name", reason))
        }
    }
}

fn missing(code: &str, name: &str) -> Option<Problems> {
    let mut problems = Problems::none();
    if code.is_empty() {
        problems.add("code", "is required; the organiser says it in the room");
    }
    if name.is_empty() {
        problems.add("name", "is required, so that the organiser can help you");
    }
    (!problems.is_empty()).then_some(problems)
}

fn refused(here: Here, typed: &Typed, problems: Problems) -> Answer {
    let code = page::shown_again(typed.code.expose_secret()).to_owned();
    let name = page::shown_again(&typed.name).to_owned();
    event::page(here, Ways { code, name, problems })
}

fn too_many(mut answer: Response, seconds: u64) -> Response {
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    answer
}
