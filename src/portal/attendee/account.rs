//! The end of the ways in by an account that somebody else has checked: the page of the person, or why
//! they are not let in.

use askama::Template;
use axum::response::IntoResponse;
use http::StatusCode;

use super::Here;
use crate::catalog::attendee::account::{self, Account, Admitted};
use crate::catalog::attendee::session::Way;
use crate::catalog::event::{Event, EventState, Shut};
use crate::portal::Site;
use crate::portal::page::{self, Answer};

#[derive(Template)]
#[template(path = "attendee/not_let_in.html")]
struct NotLetIn<'a> {
    title: &'static str,
    text: String,
    /// Where the other ways to join are.
    back: &'a str,
    event: Event,
}

/// Lets whoever has the account in, as the one attendee that they are in the event, and leads to `next`.
pub async fn let_in(site: &Site, here: Here, account: &Account, way: Way, next: &str) -> Answer {
    if here.state == EventState::Ended {
        let text = "The event has ended, and its keys no longer work.".to_owned();
        return refuse(here, next, "The event has ended", text);
    }
    let name = here.event.organizer_name.clone();
    match account::admit(&site.db, &site.vault, &here.event, account, here.now).await? {
        Admitted::In(attendee) => here.let_in(site, &attendee.id, way, next).await,
        Admitted::Deleted => {
            let text = format!("{name} removed you from this event. Ask them to let you in again.");
            refuse(here, next, "You were removed", text)
        }
        Admitted::Shut(Shut::Stopped) => {
            let text = format!(
                "We know who you are now, but registration is closed at the moment, and you have not \
                 joined yet. Ask {name} to reopen it, or for a card."
            );
            refuse(here, next, "Registration is closed", text)
        }
        Admitted::Shut(Shut::Closed) => {
            let text = format!(
                "We know who you are now, but nobody new can join this event in this way. Ask {name} to \
                 open it, or for a card."
            );
            refuse(here, next, "Registration is closed", text)
        }
        Admitted::NotOpen => {
            let text = "You can join once the event is open. Sign in again then.".to_owned();
            refuse(here, next, "The event is not open", text)
        }
    }
}

fn refuse(here: Here, next: &str, title: &'static str, text: String) -> Answer {
    let page = NotLetIn { title, text, back: next, event: here.event };
    let answer = page::with_status(StatusCode::FORBIDDEN, &page)?;
    Ok((here.visitor.cookies(), answer).into_response())
}
