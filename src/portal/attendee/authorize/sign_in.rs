//! The ways to show on this page who one is: what stands on a card, a key, or an event's shared code with
//! a name. Each leads back to the page, as the attendee.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::{ExposeSecret, SecretString};

use super::{Asked, Typed};
use crate::catalog::attendee;
use crate::catalog::attendee::session::Way;
use crate::catalog::event::{self as events, Event, EventState};
use crate::portal::Site;
use crate::portal::attendee::join::{self, Entered};
use crate::portal::attendee::{Here, card, cookie_seconds, find_event, start_session};
use crate::portal::error::PageError;
use crate::portal::form::Problems;
use crate::portal::page::{self, Answer};
use crate::portal::visitor::Visitor;

#[derive(Default)]
pub struct Typing<'a> {
    event: &'a str,
    code: &'a str,
    name: &'a str,
    problems: Problems,
    /// Somebody is there under this name.
    is_known: bool,
}

#[derive(Template)]
#[template(path = "attendee/authorize_sign_in.html")]
pub struct SignIn<'a> {
    pub asked: &'a Asked,
    /// Names of events to which the sign-in has ended.
    pub ended: Vec<String>,
    pub typing: Typing<'a>,
}

/// Signs in with what stands on a card, or with a key.
pub async fn by_card_or_key(site: &Site, visitor: Visitor, asked: &Asked, given: &str) -> Answer {
    match card::read(site, &visitor, given).await? {
        card::Read::Open { event, token } => {
            return Ok(signed_in(site, visitor, asked, &event, &token));
        }
        card::Read::Refused(page) => return Ok(page),
        card::Read::Unknown => {}
    }
    if let Some(found) = attendee::find_by_key(&site.db, &site.vault, given.trim()).await? {
        let event = events::anyones(&site.db, &site.vault, &found.event_id).await?;
        let now = site.clock.now_ms();
        let is_there =
            |event: &Event| !matches!(event.state(now), EventState::Draft | EventState::Ended);
        let Some(event) = event.filter(is_there) else {
            let problems =
                Problems::one("given", "is of an event that has ended or is not ready yet");
            return again(visitor, asked, Typing { problems, ..Typing::default() }, None);
        };
        let token = start_session(site, &visitor, &found.id, Way::Key).await?;
        return Ok(signed_in(site, visitor, asked, &event, &token));
    }
    let (reason, wait) = card::count_wrong(site, &visitor);
    let problems = Problems::one("given", reason);
    again(visitor, asked, Typing { problems, ..Typing::default() }, wait)
}

/// Signs in with an event's shared code and a name.
pub async fn by_code(site: &Site, visitor: Visitor, asked: &Asked, typed: &Typed) -> Answer {
    let typing = |problems, is_known| Typing {
        event: page::shown_again(&typed.event),
        code: page::shown_again(typed.code.expose_secret()),
        name: page::shown_again(&typed.name),
        problems,
        is_known,
    };
    let Some(id) = events::id_in(&typed.event) else {
        let problems = Problems::one("event", "is not the id of an event, such as a1b2-c3d4");
        return again(visitor, asked, typing(problems, false), None);
    };
    let event = match find_event(site, &visitor, &id).await {
        Ok(event) => event,
        Err(PageError::UnknownEvent { wait }) => {
            let problems = Problems::one("event", "is not known here. Check its id");
            return again(visitor, asked, typing(problems, false), wait);
        }
        Err(error) => return Err(error),
    };
    let here = Here::at(site, visitor, event).await?;
    let (code, name) = (typed.code.expose_secret().trim(), typed.name.trim());
    let entered = join::enter(site, &here, code, name, typed.is_me.is_some()).await?;
    let Here { event, visitor, .. } = here;
    let (attendee_id, way) = match entered {
        Entered::In { attendee_id, way } => (attendee_id, way),
        Entered::Theirs => return Ok(Redirect::to(&asked.path_as(&event.id)).into_response()),
        Entered::Known(_) => return again(visitor, asked, typing(Problems::none(), true), None),
        Entered::Refused(problems, wait) => {
            return again(visitor, asked, typing(problems, false), wait);
        }
        Entered::NotOpen => {
            let problems = Problems::one("event", "is not open, so nobody can join it now");
            return again(visitor, asked, typing(problems, false), None);
        }
    };
    let token = start_session(site, &visitor, &attendee_id, way).await?;
    Ok(signed_in(site, visitor, asked, &event, &token))
}

/// The page for whoever has signed in just now.
fn signed_in(
    site: &Site,
    mut visitor: Visitor,
    asked: &Asked,
    event: &Event,
    token: &SecretString,
) -> Response {
    visitor.keep_attendee(&event.id, token, cookie_seconds(event, site.clock.now_ms()));
    (visitor.cookies(), Redirect::to(&asked.path_as(&event.id))).into_response()
}

/// The page once more, with what was typed. `wait`: seconds before another guess.
fn again(mut visitor: Visitor, asked: &Asked, typing: Typing<'_>, wait: Option<u64>) -> Answer {
    visitor.opens_form()?;
    let page = page::again(&SignIn { asked, ended: Vec::new(), typing }, wait)?;
    Ok((visitor.cookies(), page).into_response())
}
