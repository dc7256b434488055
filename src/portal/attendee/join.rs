//! Joining an event with its shared code and a name.
//!
//! A typed name proves nothing. Whoever is the first under a name joins in this browser, which shows
//! later that it is them; under a name that is there already, somebody is asked whether they are that
//! person, and their page then keeps the key to itself.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use http::StatusCode;
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

/// The result of presenting a code and a name.
pub enum Entered {
    In {
        attendee_id: String,
        way: Way,
    },
    /// This browser is signed in under the name already.
    Theirs,
    /// Somebody is here under this name.
    Known(String),
    /// Something is wrong; with the seconds until another code is compared, where too many were wrong.
    Refused(Problems, Option<u64>),
    /// The event is not open.
    NotOpen,
}

pub async fn submit(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(typed): Form<Typed>,
) -> Answer {
    let here = Here::find(&site, visitor, &id).await?;
    let code = typed.code.expose_secret().trim();
    match enter(&site, &here, code, typed.name.trim(), typed.is_me.is_some()).await? {
        Entered::In { attendee_id, way } => {
            let next = path(&here.event.id);
            here.let_in(&site, &attendee_id, way, &next).await
        }
        Entered::Theirs => Ok(Redirect::to(&path(&here.event.id)).into_response()),
        Entered::Known(name) => page::with_status(
            StatusCode::CONFLICT,
            &Known { event: &here.event, back: path(&here.event.id), name: &name, code },
        ),
        Entered::Refused(problems, wait) => {
            let code = page::shown_again(code).to_owned();
            let name = page::shown_again(&typed.name).to_owned();
            event::page(&site, here, Ways { code, name, problems, wait }).await
        }
        // It says why.
        Entered::NotOpen => event::page(&site, here, Ways::default()).await,
    }
}

/// Lets somebody into the event by its shared code, as the person of this name. `is_me`: they said that
/// they are the one who is here under it.
pub async fn enter(
    site: &Site,
    here: &Here,
    code: &str,
    name: &str,
    is_me: bool,
) -> Result<Entered, PageError> {
    if here.state != EventState::Open {
        return Ok(Entered::NotOpen);
    }
    if let Some(problems) = missing(code, name) {
        return Ok(Entered::Refused(problems, None));
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
            return Ok(Entered::Refused(Problems::one("code", reason), Some(retry_after)));
        }
        Err(ProxyError::StoreUnavailable) => return Err(PageError::Unavailable),
        Err(_) => {
            let reason =
                "is not this event's. Check it with the organiser; capital letters do not matter";
            return Ok(Entered::Refused(Problems::one("code", reason), None));
        }
    }
    let (db, vault) = (&site.db, &site.vault);
    let joined =
        attendee::join_by_shared_code(db, vault, &here.event, sent.as_bytes(), here.now).await;
    let (field, reason) = match joined? {
        Joined::New(attendee) => {
            return Ok(Entered::In { attendee_id: attendee.id, way: Way::Joined });
        }
        Joined::Known(attendee) => {
            let session = here.session.as_ref();
            let is_theirs = session.is_some_and(|session| session.attendee.id == attendee.id);
            return Ok(match (is_theirs, is_me) {
                (true, _) => Entered::Theirs,
                (false, true) => Entered::In { attendee_id: attendee.id, way: Way::Named },
                (false, false) => Entered::Known(attendee.display_name),
            });
        }
        Joined::Deleted(_) => {
            ("name", "was removed from this event by the organiser. Ask them to let you in again")
        }
        Joined::Full => {
            let reason = "is right, but the event is full: no more people can join with it. Ask the \
                          organiser";
            ("code", reason)
        }
        Joined::Shut(Shut::Closed | Shut::Stopped) => {
            let reason =
                "is right, but registration is closed. Ask the organiser to open it, or for a card";
            ("code", reason)
        }
        Joined::NameNotUsable => ("name", "must have 2 to 64 characters and no control characters"),
    };
    Ok(Entered::Refused(Problems::one(field, reason), None))
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
