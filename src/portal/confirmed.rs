//! "Confirm it is you": what a browser that was left alone must not give away is done only
//! where its owner has shown in it within the last ten minutes who they are: by their password, or
//! where they have none, by signing in with Microsoft again.
//!
//! A handler takes [`Confirmed`] instead of a form. Where the owner is asked, the form waits
//! ([`held`]); with the right password it goes on to the handler as if it had just been sent, and
//! from Microsoft they come back to its page.

use askama::Template;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{StatusCode, Uri};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Site;
use super::body;
use super::error::PageError;
use super::form::Form;
use super::held::{self, Kept, WaitsFor};
use super::page::{self, Frame, Section};
use super::visitor::SignedIn;
use crate::identity::local::SignInRefusal;
use crate::identity::session::{CONFIRMED_MS, Proof};
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
    held: SecretString,
    password: SecretString,
}

#[derive(Template)]
#[template(path = "admin/confirm.html")]
struct Ask<'a> {
    frame: Frame,
    action: &'a str,
    held: &'a str,
    does: &'static str,
    by_password: bool,
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
        let before = W::from_request_parts(&mut head, site).await.map_err(refused)?;
        let whole = Request::from_parts(head.clone(), body);
        let sent = body::read(whole).await.map_err(|unread| refused(unread.into()))?;
        // Again: meanwhile their sign-in may have ended, or their role.
        let me = W::from_request_parts(&mut head, site).await.map_err(refused)?;
        drop(before);
        let asker =
            Asker { site, me: me.as_ref(), uri: &head.uri, does: T::DOES, section: T::SECTION };
        let fields = if sent.starts_with(b"held=") {
            let again = held::request(head.clone(), sent.to_vec());
            let Form(answered) = Form::from_request(again, site).await.map_err(refused)?;
            asker.take(answered).await?
        } else {
            asker.admit(&sent, sent_at).await?;
            sent.to_vec()
        };
        let whole = held::request(head, fields);
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
    /// The page that asks who it is, or says that this owner cannot show it.
    async fn admit(&self, sent: &[u8], sent_at: i64) -> Result<(), Response> {
        let session = self.me.session();
        if session.is_confirmed_since(sent_at - CONFIRMED_MS) {
            return Ok(());
        }
        let way = self.site.identity.way_to_confirm(&self.me.owner).await;
        let Some(way) = way.map_err(|error| refused(error.into()))? else {
            let reason = "this must be confirmed with a password or a Microsoft account, and you have \
                          none that is accepted here; ask an administrator for a new link, or run \
                          ai-proxy owner reset on the server";
            return Err(refused(PageError::Refused(reason.to_owned())));
        };
        let (waits_for, kept) = (WaitsFor::Session(session), Kept { does: self.does, asks: true });
        let id = held::keep(self.site, waits_for, self.uri.path(), sent, kept).await;
        let id = id.map_err(refused)?;
        Err(self.page(StatusCode::FORBIDDEN, &id, way, String::new()))
    }

    /// The fields that waited, where the password is right.
    async fn take(&self, answered: Answered) -> Result<Vec<u8>, Response> {
        let session = self.me.session();
        let found = held::find_for(self.site, session, None, &answered.held, self.uri).await;
        let waiting = found.map_err(refused)?.ok_or_else(|| {
            let reason = "the form waited longer than ten minutes for the password, or was sent \
                          before you signed in again; go back to its page and send it once more";
            refused(PageError::Refused(reason.to_owned()))
        })?;
        let (owner, source) = (&self.me.owner, self.me.source);
        let refusal = match self.site.identity.confirm(owner, &answered.password, source).await {
            Ok(()) => {
                let noted = self.site.identity.note_confirmed(session).await;
                noted.map_err(|error| refused(error.into()))?;
                // Twice at once, it goes on once.
                if !held::begin_sending(self.site, &answered.held).await.map_err(refused)? {
                    let reason = "the form was sent already".to_owned();
                    return Err(refused(PageError::Refused(reason)));
                }
                held::discard(self.site, &answered.held).await.map_err(refused)?;
                return Ok(waiting.into_fields());
            }
            Err(SignInRefusal::Catalog(error)) => return Err(refused(error.into())),
            Err(refusal) => refusal,
        };
        let (status, problem) = match &refusal {
            SignInRefusal::Wrong => (StatusCode::UNPROCESSABLE_ENTITY, "is not right".to_owned()),
            SignInRefusal::Throttled(_) => {
                (StatusCode::TOO_MANY_REQUESTS, format!("was not compared: {refusal}"))
            }
            SignInRefusal::SwitchedOff => {
                (StatusCode::FORBIDDEN, format!("was not compared: {refusal}"))
            }
            _ => (StatusCode::SERVICE_UNAVAILABLE, format!("was not compared: {refusal}")),
        };
        let mut answer = self.page(status, &answered.held, Proof::Password, problem);
        if let SignInRefusal::Throttled(Wait(seconds)) = refusal {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        Err(answer)
    }

    fn page(&self, status: StatusCode, id: &SecretString, way: Proof, problem: String) -> Response {
        let ask = Ask {
            frame: self.me.frame(self.section),
            action: self.uri.path(),
            held: id.expose_secret(),
            does: self.does,
            by_password: way == Proof::Password,
            problem,
        };
        page::with_status(status, &ask).unwrap_or_else(refused)
    }
}
