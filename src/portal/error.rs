//! What is answered where there is no page to show: the only such map.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::body::Unread;
use super::html;
use crate::catalog;
use crate::turns::Full;

/// Seconds after which to come back where too much is under way.
pub const BUSY_SECONDS: u64 = 5;

/// Why a handler shows another page than its own.
#[derive(Debug)]
pub enum PageError {
    /// Nobody is signed in; `next` is where to go after that.
    SignIn { next: Option<String> },
    /// Nobody is signed in, and a form was sent, which is lost unless it is sent again.
    SignedOut,
    /// No attendee of the event is signed in; its page, at this path, has the ways in.
    NotInEvent { page: String },
    /// No such page, or not this owner's.
    NotFound,
    /// There is no such event for attendees. `wait`: the seconds until another is looked up for this
    /// source, which has asked for too many.
    UnknownEvent { wait: Option<u64> },
    /// For administrators only.
    Forbidden,
    /// Fields are missing that the page's own form sends.
    BadForm,
    /// A field holds a NUL character.
    Nul,
    /// More than the form can hold.
    TooLarge,
    /// The form did not arrive in time.
    Late,
    /// Too many requests are under way, here or of this owner.
    Busy,
    /// The catalog refuses, for a reason that has no field.
    Refused(String),
    /// The store cannot be asked at the moment.
    Unavailable,
    /// Ours to mend; what it was is logged.
    Internal,
}

impl PageError {
    /// Logs the cause, which is not for the reader.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a page could not be made");
        PageError::Internal
    }
}

impl From<Unread> for PageError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => PageError::TooLarge,
            Unread::Late => PageError::Late,
            Unread::Broken => PageError::BadForm,
        }
    }
}

impl From<Full> for PageError {
    fn from(Full: Full) -> Self {
        PageError::Busy
    }
}

impl From<catalog::Error> for PageError {
    fn from(error: catalog::Error) -> Self {
        match error {
            catalog::Error::NotFound { .. } => PageError::NotFound,
            catalog::Error::Invalid { .. } | catalog::Error::Conflict { .. } => {
                PageError::Refused(error.to_string())
            }
            catalog::Error::Store(_) => {
                tracing::warn!(%error, "the store could not be asked for a page");
                PageError::Unavailable
            }
            catalog::Error::Seal(_) => PageError::internal(error),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            PageError::SignIn { next } => {
                let next = next.map_or(String::new(), |path| {
                    format!("?next={}", utf8_percent_encode(&path, NON_ALPHANUMERIC))
                });
                return Redirect::to(&format!("/admin/sign-in{next}")).into_response();
            }
            PageError::SignedOut => return signed_out(),
            PageError::NotInEvent { page } => return Redirect::to(&page).into_response(),
            PageError::NotFound => (
                StatusCode::NOT_FOUND,
                "Not found",
                "There is no such page, or it is not yours to see. Check the address.".to_owned(),
            ),
            PageError::UnknownEvent { wait: None } => (
                StatusCode::NOT_FOUND,
                "No such event",
                "There is no event at this address, or it is not ready for attendees yet. Check the link, or \
                 ask whoever gave it to you."
                    .to_owned(),
            ),
            PageError::UnknownEvent { wait: Some(seconds) } => return too_many_unknown(seconds),
            PageError::Forbidden => (
                StatusCode::FORBIDDEN,
                "Not allowed",
                "This page is for administrators. Ask one of them.".to_owned(),
            ),
            PageError::BadForm => (
                StatusCode::BAD_REQUEST,
                "Incomplete form",
                "The form came without some of its fields. Go back, reload the page and send it again."
                    .to_owned(),
            ),
            PageError::Nul => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "Not text",
                "A field holds a NUL character, which is no part of any text. Nothing was changed; \
                 go back, delete what was pasted there and type it."
                    .to_owned(),
            ),
            PageError::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "Too large",
                "The form holds more than is read: 1 MB, or 8 KB from somebody who is not signed in. Nothing was \
                 changed. Go back, where most browsers still have what you typed, and shorten it."
                    .to_owned(),
            ),
            PageError::Late => (
                StatusCode::REQUEST_TIMEOUT,
                "Took too long",
                "The form did not arrive in time. Nothing was changed; check your connection and \
                 send it again."
                    .to_owned(),
            ),
            PageError::Busy => return busy(),
            PageError::Refused(reason) => {
                (StatusCode::CONFLICT, "Not done", format!("Nothing was changed: {reason}."))
            }
            PageError::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not available",
                "The store does not answer. Nothing was changed; try again in a moment.".to_owned(),
            ),
            PageError::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong",
                "The fault is ours, and it is in the log. Try again; if it stays, tell the operator."
                    .to_owned(),
            ),
        };
        dead_end(status, title, &text)
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct DeadEnd<'a> {
    status: u16,
    title: &'a str,
    text: &'a str,
}

/// A page that leads nowhere else.
pub fn dead_end(status: StatusCode, title: &str, text: &str) -> Response {
    shown(status, &DeadEnd { status: status.as_u16(), title, text })
}

/// A page in place of another one, or its status alone if it cannot be made.
fn shown(status: StatusCode, page: &impl Template) -> Response {
    html::rendered(status, page).unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be made");
        status.into_response()
    })
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOut;

/// Reloaded, the page has the browser send the form once more, with all that was typed, secrets
/// and files too: none of it has to be kept here for somebody who is not signed in.
fn signed_out() -> Response {
    shown(StatusCode::FORBIDDEN, &SignedOut)
}

fn too_many_unknown(seconds: u64) -> Response {
    let text = format!(
        "There is no event at this address, and too many unknown ones were asked for from your network. \
         Check the link, then wait {seconds} seconds and try again."
    );
    let mut response = dead_end(StatusCode::TOO_MANY_REQUESTS, "Too many attempts", &text);
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

fn busy() -> Response {
    let text = "Too many people are using this page at once. Nothing was changed; wait a few \
                seconds and try again.";
    let mut response = dead_end(StatusCode::SERVICE_UNAVAILABLE, "Too busy right now", text);
    response.headers_mut().insert(RETRY_AFTER, BUSY_SECONDS.into());
    response
}
