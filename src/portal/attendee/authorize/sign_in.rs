//! The ways to show on this page who one is: what stands on a card, a key, or an event with its shared code
//! and a name, GitHub or the account at a gateway. Each leads back to the page, as the attendee.

use askama::Template;
use axum::response::IntoResponse;
use secrecy::ExposeSecret;

use super::people::is_stale;
use super::{Asked, Typed};
use crate::catalog::attendee;
use crate::catalog::attendee::session::{self, NewSession, Way};
use crate::catalog::event::{self as events, Event, EventState};
use crate::portal::Site;
use crate::portal::attendee::join::{self, Entered};
use crate::portal::attendee::{Here, account, card, find_event, github, welcome};
use crate::portal::error::PageError;
use crate::portal::form::Problems;
use crate::portal::page::{self, Answer};
use crate::portal::visitor::Visitor;

/// Longest address of this page, in bytes, with which a browser can go to GitHub: it is kept in a cookie
/// until the browser is back.
const LONGEST_TO_GITHUB: usize = 2500;

#[derive(Default)]
pub struct Typing<'a> {
    event: &'a str,
    code: &'a str,
    name: &'a str,
    problems: Problems,
    /// Somebody is there under this name.
    is_known: bool,
}

impl<'a> Typing<'a> {
    /// Nothing but the event that they wanted to sign in to.
    pub fn at(event: &'a str) -> Self {
        Self { event: page::shown_again(event), ..Self::default() }
    }

    fn of(typed: &'a Typed) -> Self {
        Self {
            event: page::shown_again(&typed.event),
            code: page::shown_again(typed.code.expose_secret()),
            name: page::shown_again(&typed.name),
            ..Self::default()
        }
    }
}

#[derive(Template)]
#[template(path = "attendee/authorize_sign_in.html")]
pub struct SignIn<'a> {
    pub asked: &'a Asked,
    /// Names of events to which the sign-in has ended.
    pub ended: Vec<String>,
    /// Whether people can sign in with GitHub.
    pub has_github: bool,
    /// The name of the account at the gateway.
    pub gateway: Option<String>,
    pub typing: Typing<'a>,
}

impl<'a> SignIn<'a> {
    pub fn new(site: &Site, visitor: &Visitor, asked: &'a Asked, typing: Typing<'a>) -> Self {
        let has_github = site.identity.has_github();
        let gateway = visitor.gateway.as_ref().map(|account| account.shown().to_owned());
        Self { asked, ended: Vec::new(), has_github, gateway, typing }
    }
}

/// Signs in with what stands on a card, or with a key.
pub async fn by_card_or_key(site: &Site, visitor: Visitor, asked: &Asked, given: &str) -> Answer {
    match card::read(site, &visitor, given).await? {
        card::Read::Open { event, token } => {
            let next = asked.path_as(&event.id);
            return Ok(welcome(visitor, &event, &token, site.clock.now_ms(), &next));
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
            let typing = Typing { problems, ..Typing::default() };
            return again(site, visitor, asked, typing, None);
        };
        let (next, key) = (asked.path_as(&event.id), given.trim());
        let held = visitor.attendee_tokens();
        let new = NewSession { way: Way::Key, agent: &visitor.agent, held: &held };
        let (db, vault) = (&site.db, &site.vault);
        if let Some(token) = session::start_by_key(db, vault, &found.id, key, &new, now).await? {
            return Ok(welcome(visitor, &event, &token, now, &next));
        }
    }
    let (reason, wait) = card::count_wrong(site, &visitor);
    let problems = Problems::one("given", reason);
    again(site, visitor, asked, Typing { problems, ..Typing::default() }, wait)
}

/// Signs in with an event's shared code and a name.
pub async fn by_code(site: &Site, visitor: Visitor, asked: &Asked, typed: &Typed) -> Answer {
    let here = match at_event(site, visitor, asked, typed).await {
        Ok(here) => here,
        Err(answer) => return answer,
    };
    let (code, name) = (typed.code.expose_secret().trim(), typed.name.trim());
    let entered = join::enter(site, &here, code, name, typed.is_me.is_some()).await?;
    let (problems, wait, is_known) = match entered {
        Entered::In { attendee_id, way } => {
            let next = asked.path_as(&here.event.id);
            return here.let_in(site, &attendee_id, way, &next).await;
        }
        Entered::Theirs => return Ok(asked.again_as(&here.event.id)),
        Entered::Known(_) => (Problems::none(), None, true),
        Entered::Refused(problems, wait) => (problems, wait, false),
        Entered::NotOpen => {
            let reason = "is not open, so nobody can join it now";
            (Problems::one("event", reason), None, false)
        }
    };
    let typing = Typing { problems, is_known, ..Typing::of(typed) };
    again(site, here.visitor, asked, typing, wait)
}

/// Sends the browser to GitHub, from where it comes back to this page.
pub async fn by_github(site: &Site, visitor: Visitor, asked: &Asked, typed: &Typed) -> Answer {
    let here = match at_event(site, visitor, asked, typed).await {
        Ok(here) => here,
        Err(answer) => return answer,
    };
    let next = asked.path_as(&here.event.id);
    let reason = if next.len() > LONGEST_TO_GITHUB {
        "has to be opened first: your client asks for too much to come back here from GitHub. Sign in \
         with GitHub on the event's page, then start again in your client"
    } else if !site.identity.has_github() {
        "cannot be opened with GitHub here"
    } else if !github::is_offered(site, &here) {
        "has ended, so nobody can sign in to it"
    } else {
        return github::leave(site, here, next);
    };
    let typing = Typing { problems: Problems::one("event", reason), ..Typing::of(typed) };
    again(site, here.visitor, asked, typing, None)
}

/// Signs in as whom the gateway says they are.
pub async fn by_gateway(site: &Site, visitor: Visitor, asked: &Asked, typed: &Typed) -> Answer {
    let mut here = match at_event(site, visitor, asked, typed).await {
        Ok(here) => here,
        Err(answer) => return answer,
    };
    let next = asked.path_as(&here.event.id);
    match here.visitor.gateway.take() {
        Some(account) => account::let_in(site, here, &account, Way::Gateway, &next).await,
        // Signed out at the gateway meanwhile: the page has the ways that are left.
        None => Ok(asked.again_as(&here.event.id)),
    }
}

/// This browser at the event that was typed.
///
/// # Errors
/// The page in place of it.
async fn at_event(
    site: &Site,
    visitor: Visitor,
    asked: &Asked,
    typed: &Typed,
) -> Result<Here, Answer> {
    let (reason, wait) = match events::id_in(&typed.event) {
        None => ("is not the id of an event, such as a1b2-c3d4", None),
        Some(id) => match find_event(site, &visitor, &id).await {
            Ok(event) => {
                let here = Here::at(site, visitor, event).await;
                let mut here = here.map_err(|error| Err(error.into()))?;
                // One that allows nothing any more does not stand in the way of the next.
                let now = here.now;
                here.session.take_if(|session| is_stale(session, now));
                return Ok(here);
            }
            Err(PageError::UnknownEvent { wait }) => ("is not known here. Check its id", wait),
            Err(error) => return Err(Err(error)),
        },
    };
    let typing = Typing { problems: Problems::one("event", reason), ..Typing::of(typed) };
    Err(again(site, visitor, asked, typing, wait))
}

/// The page once more, with what was typed. `wait`: seconds before another guess.
fn again(
    site: &Site,
    mut visitor: Visitor,
    asked: &Asked,
    typing: Typing<'_>,
    wait: Option<u64>,
) -> Answer {
    visitor.opens_form()?;
    let page = page::again(&SignIn::new(site, &visitor, asked, typing), wait)?;
    Ok((visitor.cookies(), page).into_response())
}
