//! `/claim`: where a card leads. Its code signs its attendee in, and their page has the key.
//!
//! The code comes in the fragment of the card's link, which no browser sends, and goes into a form.
//! Wrong ones are counted by address; right ones pass however many were wrong before, since a room
//! shares one address. What keeps guessers out are the code's 60 bits.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{path, welcome};
use crate::catalog::attendee::claim::{self, CardReader, Claim};
use crate::catalog::event::{self, Event};
use crate::identity::throttle::Wait;
use crate::portal::error::PageError;
use crate::portal::form::{Form, Problems};
use crate::portal::page::{self, Answer};
use crate::portal::visitor::Visitor;
use crate::portal::{Site, times};

#[derive(Template)]
#[template(path = "attendee/card.html")]
struct Ask<'a> {
    code: &'a str,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "attendee/card_refused.html")]
struct Refused {
    title: &'static str,
    text: String,
    event: Event,
}

pub async fn show(mut visitor: Visitor) -> Answer {
    visitor.opens_form()?;
    let page = page::ok(&Ask { code: "", problems: Problems::none() })?;
    Ok((visitor.cookies(), page).into_response())
}

#[derive(Deserialize)]
pub struct Typed {
    code: SecretString,
}

pub async fn submit(
    State(site): State<Site>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Answer {
    let typed = typed.code.expose_secret();
    let ask = |problems| Ask { code: page::shown_again(typed), problems };
    open(&site, visitor, typed, "code", ask).await
}

/// What a typed code of a card leads to.
pub enum Read {
    /// Its attendee is signed in to this event with this token.
    Open {
        event: Box<Event>,
        token: SecretString,
    },
    /// It is a card's, and this page says why it opens nothing now.
    Refused(Response),
    Unknown,
}

/// Opens the page of whoever has the card with the code that was `typed` into this field. `ask` is the
/// page with the form, for a code that is wrong.
pub async fn open<P: Template>(
    site: &Site,
    visitor: Visitor,
    typed: &str,
    field: &'static str,
    ask: impl FnOnce(Problems) -> P,
) -> Answer {
    match read(site, &visitor, typed).await? {
        Read::Open { event, token } => {
            let next = path(&event.id);
            Ok(welcome(visitor, &event, &token, site.clock.now_ms(), &next))
        }
        Read::Refused(page) => Ok(page),
        Read::Unknown => {
            let (reason, wait) = count_wrong(site, &visitor);
            page::again(&ask(Problems::one(field, reason)), wait)
        }
    }
}

/// Signs the attendee in who has the card with the code that was `typed`.
pub async fn read(site: &Site, visitor: &Visitor, typed: &str) -> Result<Read, PageError> {
    let (form, held) = (visitor.form_token(), visitor.attendee_tokens());
    let reader = CardReader { agent: &visitor.agent, form: form.as_ref(), held: &held };
    let of = async |owner: &str, id: &str| event::get(&site.db, &site.vault, owner, id).await;
    match claim::claim(&site.db, &site.vault, typed, &reader, site.clock.now_ms()).await? {
        Claim::Open { attendee, token } => {
            let event = event::anyones(&site.db, &site.vault, &attendee.event_id).await?;
            let event = Box::new(event.ok_or(PageError::NotFound)?);
            Ok(Read::Open { event, token })
        }
        Claim::Used { event_id, owner_id, at } => {
            let event = of(&owner_id, &event_id).await?;
            let text = format!(
                "It was used on {} ({}), and this card works only once. If that was not you, or you no \
                 longer have your key, ask the organiser for a new card.",
                times::moment(at, &event.time_zone),
                times::place(&event.time_zone)
            );
            refuse("This card was used", text, event)
        }
        Claim::Ended { event_id, owner_id } => {
            let event = of(&owner_id, &event_id).await?;
            let text = format!(
                "It ended on {} ({}). Its keys no longer work.",
                times::moment(event.ends_at, &event.time_zone),
                times::place(&event.time_zone)
            );
            refuse("The event has ended", text, event)
        }
        Claim::NotReady { event_id, owner_id } => {
            let event = of(&owner_id, &event_id).await?;
            let text =
                "The organiser is still preparing it. Your card is not used up: try again later.";
            refuse("The event is not ready yet", text.to_owned(), event)
        }
        Claim::Deactivated { event_id, owner_id } => {
            let event = of(&owner_id, &event_id).await?;
            let text = "The organiser switched it off. It works again once they switch it on.";
            refuse("This card is switched off", text.to_owned(), event)
        }
        Claim::Unknown => Ok(Read::Unknown),
    }
}

fn refuse(title: &'static str, text: String, event: Event) -> Result<Read, PageError> {
    page::with_status(StatusCode::GONE, &Refused { title, text, event }).map(Read::Refused)
}

/// Counts a code or key that is nobody's. What is said of it, and the seconds until the next wrong one
/// should come.
pub fn count_wrong(site: &Site, visitor: &Visitor) -> (String, Option<u64>) {
    match site.identity.wrong_card(visitor.source) {
        Ok(()) => {
            let reason =
                "is not one that we recognise. Check it; a newer card or key voids an older one";
            (reason.to_owned(), None)
        }
        Err(Wait(seconds)) => {
            let reason = format!(
                "is not one that we recognise, and too many wrong ones came from your network. The right one \
                 still works at once; wait {seconds} s before you guess again"
            );
            (reason, Some(seconds))
        }
    }
}
