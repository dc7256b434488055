//! `/`: for attendees first. One field takes what they were given: the code of a card, the id or the
//! link of an event, or the code by which they continue here from their phone.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{card, path, welcome};
use crate::catalog::attendee::continued;
use crate::catalog::event;
use crate::catalog::owner::password;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer};
use crate::portal::visitor::Visitor;

#[derive(Template)]
#[template(path = "attendee/front.html")]
struct Front<'a> {
    given: &'a str,
    problems: Problems,
    /// Nobody has signed in as an organiser yet.
    is_new: bool,
}

pub async fn show(State(site): State<Site>, mut visitor: Visitor) -> Answer {
    visitor.opens_form()?;
    let is_new = !password::is_any_set(&site.db).await?;
    let page = page::ok(&Front { given: "", problems: Problems::none(), is_new })?;
    Ok((visitor.cookies(), page).into_response())
}

#[derive(Deserialize)]
pub struct Typed {
    given: SecretString,
}

pub async fn submit(
    State(site): State<Site>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Answer {
    let typed = typed.given.expose_secret();
    if let Some(id) = event::id_in(typed) {
        return Ok(Redirect::to(&path(&id)).into_response());
    }
    if continued::is_code(typed) {
        let (held, now) = (visitor.attendee_tokens(), site.clock.now_ms());
        let opened =
            continued::open(&site.db, &site.vault, typed, &visitor.agent, &held, now).await?;
        if let Some((attendee, token)) = opened {
            let event = event::anyones(&site.db, &site.vault, &attendee.event_id).await?;
            let event = event.ok_or(PageError::NotFound)?;
            return Ok(welcome(visitor, &event, &token, now, &path(&event.id)));
        }
    }
    let given = page::shown_again(typed);
    let ask = |problems| Front { given, problems, is_new: false };
    card::open(&site, visitor, typed, "given", ask).await
}
