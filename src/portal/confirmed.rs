//! "Confirm it is you": what a browser that was left alone must not give away is done only
//! where the password was given in it within the last ten minutes.
//!
//! A handler takes [`Confirmed`] instead of a form. Where the password is wanted, the page that
//! asks for it carries the form, sealed, and posts to the same path; with the right password the
//! form goes on to the handler as if it had just been sent.

use askama::Template;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{StatusCode, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Site;
use super::body;
use super::error::PageError;
use super::form::Form;
use super::page::{self, Frame, Section};
use super::visitor::SignedIn;
use crate::catalog::seal::Place;
use crate::identity::local::SignInRefusal;
use crate::identity::session::CONFIRMED_MS;
use crate::identity::throttle::Wait;

/// Fields of a form that is not taken from a browser that was left alone.
pub trait Guarded: DeserializeOwned {
    /// What sending it does: follows "This will".
    const DOES: &'static str;
    const SECTION: Section;
}

/// The fields of a guarded form, and the owner, who has shown in this browser who they are.
pub struct Confirmed<T, W = SignedIn> {
    pub me: W,
    pub typed: T,
}

/// What comes back from the page that asks.
#[derive(Deserialize)]
struct Answered {
    held: String,
    password: SecretString,
}

/// A form that waits for the password.
#[derive(Serialize, Deserialize)]
struct Waiting {
    until: i64,
    fields: String,
}

#[derive(Template)]
#[template(path = "admin/confirm.html")]
struct Ask<'a> {
    frame: Frame,
    action: &'a str,
    held: &'a str,
    does: &'static str,
    problem: String,
}

impl<T, W> FromRequest<Site> for Confirmed<T, W>
where
    T: Guarded,
    W: FromRequestParts<Site, Rejection = PageError> + AsRef<SignedIn> + Send,
{
    type Rejection = Response;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Response> {
        // When it was sent: a turn, the session and the body may take minutes to come.
        let sent_at = site.clock.now_ms();
        let (mut head, body) = request.into_parts();
        let me = W::from_request_parts(&mut head, site).await.map_err(refused)?;
        let whole = Request::from_parts(head.clone(), body);
        let sent = body::read(whole).await.map_err(|unread| refused(unread.into()))?;
        let asker =
            Asker { site, me: me.as_ref(), uri: &head.uri, does: T::DOES, section: T::SECTION };
        let fields = if sent.starts_with(b"held=") {
            let again = Request::from_parts(head.clone(), Body::from(sent));
            let Form(answered) = Form::from_request(again, site).await.map_err(refused)?;
            asker.take(answered).await?
        } else {
            asker.admit(&sent, sent_at).await?;
            sent.to_vec()
        };
        // A form without fields may be sent without a type.
        head.headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/x-www-form-urlencoded"));
        let whole = Request::from_parts(head, Body::from(fields));
        let Form(typed) = Form::from_request(whole, site).await.map_err(refused)?;
        Ok(Self { me, typed })
    }
}

fn refused(error: PageError) -> Response {
    error.into_response()
}

struct Asker<'a> {
    site: &'a Site,
    me: &'a SignedIn,
    uri: &'a Uri,
    does: &'static str,
    section: Section,
}

impl Asker<'_> {
    /// # Errors
    /// The page that asks for the password.
    async fn admit(&self, sent: &[u8], sent_at: i64) -> Result<(), Response> {
        if self.me.session().is_confirmed_since(sent_at - CONFIRMED_MS) {
            return Ok(());
        }
        let has_password = self.site.identity.has_password(&self.me.owner).await;
        if !has_password.map_err(|error| refused(error.into()))? {
            return Ok(());
        }
        let fields = String::from_utf8(sent.to_vec()).map_err(|_| refused(PageError::BadForm))?;
        let text = serde_json::to_string(&Waiting {
            until: self.site.clock.now_ms() + CONFIRMED_MS,
            fields,
        });
        let text = text.map_err(|error| refused(PageError::internal(error)))?;
        let row = self.row();
        let held = self.site.vault.seal(place(&row), &text);
        let held = held.map_err(|error| refused(PageError::internal(error)))?;
        Err(self.page(StatusCode::FORBIDDEN, &held, String::new()))
    }

    /// The fields that waited, where the password is right.
    async fn take(&self, answered: Answered) -> Result<Vec<u8>, Response> {
        let row = self.row();
        let opened = self.site.vault.open(place(&row), &answered.held).ok();
        let waiting: Option<Waiting> =
            opened.and_then(|text| serde_json::from_str(text.expose_secret()).ok());
        let waiting = waiting.filter(|waiting| waiting.until > self.site.clock.now_ms());
        let waiting = waiting.ok_or_else(|| {
            let reason = "the form waited longer than ten minutes for the password, or was sent \
                          before you signed in again; go back to its page and send it once more";
            refused(PageError::Refused(reason.to_owned()))
        })?;
        let (owner, source) = (&self.me.owner, self.me.source);
        let refusal = match self.site.identity.confirm(owner, &answered.password, source).await {
            Ok(()) => {
                let noted = self.site.identity.note_confirmed(self.me.session()).await;
                noted.map_err(|error| refused(error.into()))?;
                return Ok(waiting.fields.into_bytes());
            }
            Err(SignInRefusal::Catalog(error)) => return Err(refused(error.into())),
            Err(refusal) => refusal,
        };
        let (status, problem) = match &refusal {
            SignInRefusal::Wrong => (StatusCode::UNPROCESSABLE_ENTITY, "is not right".to_owned()),
            SignInRefusal::Throttled(_) => {
                (StatusCode::TOO_MANY_REQUESTS, format!("was not compared: {refusal}"))
            }
            _ => (StatusCode::SERVICE_UNAVAILABLE, format!("was not compared: {refusal}")),
        };
        let mut answer = self.page(status, &answered.held, problem);
        if let SignInRefusal::Throttled(Wait(seconds)) = refusal {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        Err(answer)
    }

    fn page(&self, status: StatusCode, held: &str, problem: String) -> Response {
        let frame = self.me.frame(self.section);
        let ask = Ask { frame, action: self.uri.path(), held, does: self.does, problem };
        page::with_status(status, &ask).unwrap_or_else(refused)
    }

    /// Good in this session and at this path alone.
    fn row(&self) -> String {
        format!("{} {}", self.me.session().id(), self.uri.path())
    }
}

fn place(row: &str) -> Place<'_> {
    Place { table: "owner_session", row, column: "waiting form" }
}
