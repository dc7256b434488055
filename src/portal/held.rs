//! Forms that wait: for an owner whose sign-in had ended when they sent one, or who is asked first
//! who they are. What was typed stays here, sealed, and no page has it; a form is found by an id
//! that nobody can guess, at its own path, by its owner alone, in the browser that sent it.
//!
//! `admin::held` keeps forms and sends them again; [`super::confirmed`] asks for a password or for
//! Microsoft before it does.

use axum::body::Body;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Request, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Site;
use super::error::PageError;
use crate::catalog::owner::held_form::{self, NewForm, WaitsIn};
use crate::catalog::owner::session::OwnerSession;
use crate::identity::session::CONFIRMED_MS;

/// The content type of a form without a file, and of one without fields.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// How long a form waits for its owner to sign in again.
const SIGNED_OUT_MS: i64 = SIGNED_OUT_SECONDS * 1000;

/// The same, for a cookie.
pub const SIGNED_OUT_SECONDS: i64 = 30 * 60;

/// What a route says of its forms that are kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// What sending it does: follows "This will".
    pub does: &'static str,
    /// Whether the owner is asked before it is sent.
    pub asks: bool,
}

/// For whom a form waits.
#[derive(Clone, Copy)]
pub enum WaitsFor<'a> {
    /// The owner with this id, to sign in again in the browser that holds this token.
    Owner(&'a str, &'a SecretString),
    /// Whoever is signed in here, to confirm who they are.
    Session(&'a OwnerSession),
}

/// A form that waits. It holds what somebody typed, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub struct Held {
    fields: String,
    pub does: String,
    pub asks: bool,
}

/// What is found of an id.
pub enum Found {
    /// This owner's, to be sent to that path.
    Theirs(String, Held),
    Anothers,
    /// It was sent, has expired, or waits for another sign-in.
    Gone,
}

impl Held {
    /// The fields as they were sent.
    pub fn into_fields(self) -> Vec<u8> {
        self.fields.into_bytes()
    }
}

/// Keeps the fields of a form that was sent to `path`.
///
/// # Errors
/// [`PageError::BadForm`]: they are not the fields of a form, which browsers send percent-encoded.
pub async fn keep(
    site: &Site,
    waits_for: WaitsFor<'_>,
    path: &str,
    fields: &[u8],
    kept: Kept,
) -> Result<SecretString, PageError> {
    // Each other byte could take six in what is sealed.
    if !fields.iter().all(u8::is_ascii_graphic) {
        return Err(PageError::BadForm);
    }
    let fields = std::str::from_utf8(fields).map_err(|_| PageError::BadForm)?.to_owned();
    let held = Held { fields, does: kept.does.to_owned(), asks: kept.asks };
    let text = serde_json::to_string(&held).map_err(PageError::internal)?;
    let now = site.clock.now_ms();
    let (owner_id, waits_in, for_ms) = match waits_for {
        WaitsFor::Owner(id, token) => (id, WaitsIn::Browser(token), SIGNED_OUT_MS),
        WaitsFor::Session(session) => {
            (&*session.owner.id, WaitsIn::Session(session.id()), CONFIRMED_MS)
        }
    };
    let form = NewForm { owner_id, waits_in, path, text: &text, expires_at: now + for_ms };
    Ok(held_form::keep(&site.db, &site.vault, &form, now).await?)
}

/// The form with this id, as far as the owner of `session` may send it there, in the browser that
/// holds the token `browser`.
pub async fn find(
    site: &Site,
    session: &OwnerSession,
    browser: Option<&SecretString>,
    id: &SecretString,
) -> Result<Found, PageError> {
    let now = site.clock.now_ms();
    let Some(form) = held_form::find(&site.db, &site.vault, id, now).await? else {
        return Ok(Found::Gone);
    };
    if form.owner_id != session.owner.id {
        return Ok(Found::Anothers);
    }
    if !form.waits_in(session.id(), browser) {
        return Ok(Found::Gone);
    }
    let held: Option<Held> = serde_json::from_str(form.text.expose_secret()).ok();
    Ok(held.map_or(Found::Gone, |held| Found::Theirs(form.path, held)))
}

/// The same, where it is to be sent to this path.
pub async fn find_for(
    site: &Site,
    session: &OwnerSession,
    browser: Option<&SecretString>,
    id: &SecretString,
    uri: &Uri,
) -> Result<Option<Held>, PageError> {
    match find(site, session, browser, id).await? {
        Found::Theirs(path, held) if path == uri.path() => Ok(Some(held)),
        _ => Ok(None),
    }
}

/// Begins to send the form, which is done once. Its end is [`discard`], or [`wait_on`].
pub async fn begin_sending(site: &Site, id: &SecretString) -> Result<bool, PageError> {
    Ok(held_form::begin_sending(&site.db, id).await?)
}

/// Lets a form wait on that could not be sent.
pub async fn wait_on(site: &Site, id: &SecretString) -> Result<(), PageError> {
    Ok(held_form::wait_on(&site.db, id).await?)
}

pub async fn discard(site: &Site, id: &SecretString) -> Result<(), PageError> {
    Ok(held_form::discard(&site.db, id).await?)
}

/// The request by which these fields were sent, once more.
pub fn request(mut head: Parts, fields: Vec<u8>) -> Request<Body> {
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
    head.headers.insert(CONTENT_LENGTH, fields.len().into());
    Request::from_parts(head, Body::from(fields))
}

/// The page of a form that waits, at which its owner sends it.
pub fn page(id: &SecretString) -> String {
    format!("/admin/held/{}", id.expose_secret())
}
