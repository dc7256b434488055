//! Who is asking: the browser and its cookies, the owner signed in there.

mod agent;

use std::borrow::Cow;
use std::net::IpAddr;

use axum::extract::{FromRef, FromRequestParts};
use axum::response::{IntoResponse, Redirect};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};

use super::Site;
use super::error::PageError;
use super::flash::Flash;
use super::held::SIGNED_OUT_SECONDS;
use super::intake::{Crowd, OwnersTurn, Peer, owners_turn};
use super::page::{Answer, Frame, Section};
use crate::catalog;
use crate::catalog::attendee::account::Account;
use crate::catalog::audit::Actor;
use crate::catalog::owner::session::OwnerSession;
use crate::catalog::owner::{Owner, Role, token};
use crate::clock::Clock;
use crate::identity::session::{LONGEST_SECONDS, SessionAsker};
use crate::identity::{device, gateway, ticket};
use crate::net;
use crate::net::base_url::BaseUrl;

/// A browser, whoever sits before it.
pub struct Visitor {
    /// Where it is, behind the proxies that are trusted.
    pub source: IpAddr,
    /// The URL at which the portal is reached, as pages for this browser show it.
    pub base_url: BaseUrl,
    /// What it is, in a few words: "Chrome on Windows".
    pub agent: String,
    /// Whose account it is, where a trusted gateway has signed them in.
    pub gateway: Option<Account>,
    is_https: bool,
    jar: CookieJar,
}

impl Visitor {
    /// The token of the session, if the browser holds one.
    pub fn session_token(&self) -> Option<SecretString> {
        let cookie = self.jar.get(&self.name(Kept::Session))?;
        Some(SecretString::from(cookie.value()))
    }

    /// The token by which this browser is told from a stranger's.
    pub fn browser_token(&self) -> Option<&str> {
        self.jar.get(&self.name(Kept::Browser)).map(Cookie::value)
    }

    /// What this browser keeps of a sign-in that has begun there.
    pub fn ticket(&self, trip: Trip) -> Option<&str> {
        self.jar.get(&self.name(trip.kept())).map(Cookie::value)
    }

    /// The cookies of a browser that goes there to sign in.
    pub fn keeps(self, trip: Trip, ticket: String) -> CookieJar {
        let ticket = self.cookie(trip.kept(), ticket);
        self.jar.add(ticket)
    }

    /// This browser, back from there.
    pub fn without_ticket(mut self, trip: Trip) -> Self {
        self.remove(trip.kept());
        self
    }

    /// The token by which this browser is known as the one that sent a form which is kept.
    pub fn held_token(&self) -> Option<SecretString> {
        Some(SecretString::from(self.jar.get(&self.name(Kept::Held))?.value()))
    }

    /// The same, made where there is none, and the cookies of a browser that holds it.
    pub fn holds_form(self) -> catalog::Result<(SecretString, CookieJar)> {
        let token = self.held_token().map_or_else(token::random, Ok)?;
        let cookie = self.cookie(Kept::Held, token.expose_secret().to_owned());
        Ok((token, self.jar.add(cookie)))
    }

    /// The token of the attendee who is signed in to this event.
    pub fn attendee_token(&self, event_id: &str) -> Option<SecretString> {
        let cookie = self.jar.get(&self.name(Kept::Attendee(event_id)))?;
        Some(SecretString::from(cookie.value()))
    }

    /// The tokens of attendees who are signed in, to any event.
    pub fn attendee_tokens(&self) -> Vec<SecretString> {
        let prefix = self.name(Kept::Attendee(""));
        let tokens = self.jar.iter().filter(|cookie| cookie.name().starts_with(&*prefix));
        tokens.take(MAX_EVENTS).map(|cookie| SecretString::from(cookie.value())).collect()
    }

    /// The ids of the events to which attendees are signed in, or were.
    pub fn attendee_events(&self) -> Vec<String> {
        let prefix = self.name(Kept::Attendee("")).into_owned();
        let ids = self.jar.iter().filter_map(|cookie| cookie.name().strip_prefix(&*prefix));
        ids.take(MAX_EVENTS).map(str::to_owned).collect()
    }

    /// Signs an attendee in here, for so many seconds.
    pub fn keep_attendee(&mut self, event_id: &str, token: &SecretString, seconds: i64) {
        let value = token.expose_secret().to_owned();
        let mut cookie = self.cookie(Kept::Attendee(event_id), value);
        cookie.set_max_age(::cookie::time::Duration::seconds(seconds));
        self.jar = self.jar.clone().add(cookie);
    }

    /// Signs the attendee of this event out here.
    pub fn forget_attendee(&mut self, event_id: &str) {
        self.remove(Kept::Attendee(event_id));
    }

    /// The token by which this browser is known as the one that opened a card's form.
    pub fn form_token(&self) -> Option<SecretString> {
        Some(SecretString::from(self.jar.get(&self.name(Kept::Form))?.value()))
    }

    /// Gives this browser such a token, where it has none.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn opens_form(&mut self) -> catalog::Result<()> {
        let token = self.form_token().map_or_else(token::random, Ok)?;
        let cookie = self.cookie(Kept::Form, token.expose_secret().to_owned());
        self.jar = self.jar.clone().add(cookie);
        Ok(())
    }

    /// Its cookies, as far as they have changed.
    pub fn cookies(self) -> CookieJar {
        self.jar
    }

    /// The cookies of a browser in which somebody has signed in.
    pub fn signed_in(self, session: &SecretString, browser: String) -> CookieJar {
        let session = self.cookie(Kept::Session, session.expose_secret().to_owned());
        let browser = self.cookie(Kept::Browser, browser);
        self.jar.add(session).add(browser)
    }

    /// The cookies of a browser in which nobody is signed in any more.
    pub fn signed_out(mut self) -> CookieJar {
        self.remove(Kept::Session);
        self.jar
    }

    fn remove(&mut self, kept: Kept<'_>) {
        let mut cookie = self.cookie(kept, String::new());
        cookie.make_removal();
        self.jar = self.jar.clone().add(cookie);
    }

    fn cookie(&self, kept: Kept<'_>, value: String) -> Cookie<'static> {
        let seconds = match kept {
            Kept::Session => LONGEST_SECONDS,
            Kept::Browser => device::VALID_SECONDS,
            Kept::Microsoft | Kept::GitHub => ticket::VALID_SECONDS,
            Kept::Held => SIGNED_OUT_SECONDS,
            // A form may be open for a while before a card is found.
            Kept::Form | Kept::Attendee(_) => 86_400,
        };
        let mut cookie = Cookie::new(self.name(kept).into_owned(), value);
        cookie.set_path("/");
        cookie.set_http_only(true);
        cookie.set_same_site(SameSite::Lax);
        cookie.set_secure(self.is_https);
        cookie.set_max_age(::cookie::time::Duration::seconds(seconds));
        cookie
    }

    /// `__Host-`: browsers take such a cookie from this very host over https only.
    fn name<'k>(&self, kept: Kept<'k>) -> Cow<'k, str> {
        let name = match (kept, self.is_https) {
            (Kept::Session, true) => "__Host-ai-proxy-session",
            (Kept::Session, false) => "ai-proxy-session",
            (Kept::Browser, true) => "__Host-ai-proxy-browser",
            (Kept::Browser, false) => "ai-proxy-browser",
            (Kept::Microsoft, true) => "__Host-ai-proxy-entra",
            (Kept::Microsoft, false) => "ai-proxy-entra",
            (Kept::GitHub, true) => "__Host-ai-proxy-github",
            (Kept::GitHub, false) => "ai-proxy-github",
            (Kept::Held, true) => "__Host-ai-proxy-held",
            (Kept::Held, false) => "ai-proxy-held",
            (Kept::Form, true) => "__Host-ai-proxy-form",
            (Kept::Form, false) => "ai-proxy-form",
            (Kept::Attendee(event_id), is_https) => {
                let prefix = if is_https { "__Host-" } else { "" };
                return Cow::Owned(format!("{prefix}ai-proxy-event-{event_id}"));
            }
        };
        Cow::Borrowed(name)
    }
}

/// Where browsers go to sign in, and come back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    Microsoft,
    GitHub,
}

impl Trip {
    fn kept(self) -> Kept<'static> {
        match self {
            Trip::Microsoft => Kept::Microsoft,
            Trip::GitHub => Kept::GitHub,
        }
    }
}

/// Events whose sessions one browser is asked about.
const MAX_EVENTS: usize = 20;

#[derive(Clone, Copy)]
enum Kept<'a> {
    Session,
    Browser,
    Microsoft,
    GitHub,
    Held,
    Form,
    /// An attendee of the event with this id.
    Attendee(&'a str),
}

impl<S> FromRequestParts<S> for Visitor
where
    Site: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let site = Site::from_ref(state);
        let peer = parts.extensions.get::<Peer>();
        let Peer(peer) = *peer.ok_or_else(|| PageError::internal("a request without a peer"))?;
        let is_https = site.config.is_https(peer, &parts.uri, &parts.headers);
        Ok(Self {
            source: net::source(peer, &parts.headers, &site.config.trusted_proxies),
            base_url: site.config.base_url(peer, &parts.uri, &parts.headers),
            agent: agent::in_words(&parts.headers),
            gateway: by_gateway(peer, &parts.headers, &site.config.trusted_gateways),
            is_https,
            jar: CookieJar::from_headers(&parts.headers),
        })
    }
}

/// Whom a gateway has signed in. Only the other end of the socket counts: what it forwards of others may
/// be their own. Where there are two such headers, one of them is not the gateway's.
fn by_gateway(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<Account> {
    let mut values = headers.get_all(gateway::PRINCIPAL).iter();
    let value = values.next().filter(|_| net::is_trusted(peer, trusted))?;
    values.next().is_none().then(|| gateway::account(value.as_bytes())).flatten()
}

/// The owner who is signed in; a visitor who is not is asked to sign in.
pub struct SignedIn {
    pub owner: Owner,
    /// Where the browser is.
    pub source: IpAddr,
    session: OwnerSession,
    clock: Clock,
    flash: Option<Flash>,
    _turn: OwnersTurn,
}

impl SignedIn {
    /// The owner as the one who writes, at the present time: the body may have taken minutes to
    /// arrive.
    pub fn actor(&self) -> Actor {
        self.owner.actor(self.clock.now_ms())
    }

    pub fn session(&self) -> &OwnerSession {
        &self.session
    }

    pub fn is_administrator(&self) -> bool {
        self.owner.role == Role::Administrator
    }

    /// What stands around a page; it says what the write before it did.
    pub fn frame(&self, section: Section) -> Frame {
        Frame {
            section,
            owner: self.owner.name.clone(),
            is_administrator: self.is_administrator(),
            flash: self.flash.clone(),
        }
    }

    /// Ends a write: the page at `path` says what it did.
    pub async fn done(&self, site: &Site, path: &str, flash: Flash) -> Answer {
        let text = serde_json::to_string(&flash).map_err(PageError::internal)?;
        site.identity.leave_flash(&self.session, &text).await?;
        Ok(Redirect::to(path).into_response())
    }
}

impl<S> FromRequestParts<S> for SignedIn
where
    Site: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let site = Site::from_ref(state);
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let is_get = parts.method == http::Method::GET;
        let asker = match parts.headers.contains_key("x-part") {
            true => SessionAsker::Script,
            false => SessionAsker::Person,
        };
        let session = match visitor.session_token() {
            Some(token) => site.identity.session(&token, asker).await?,
            None => None,
        };
        let Some(mut session) = session else {
            if parts.method == http::Method::POST {
                return Err(PageError::SignedOut);
            }
            let next = parts.uri.path_and_query().filter(|_| is_get).map(ToString::to_string);
            return Err(PageError::SignIn { next });
        };
        let turn = owners_turn(parts, &session.owner.id, Crowd::Owners).await?;
        let mut flash = None;
        // What a script looks at for a part of it, nobody may have read.
        let is_read = is_get && asker == SessionAsker::Person;
        if is_read && let Some(text) = site.identity.take_flash(&mut session).await? {
            flash = serde_json::from_str(text.expose_secret()).ok();
        }
        let (owner, source) = (session.owner.clone(), visitor.source);
        Ok(Self { owner, source, session, clock: site.clock.clone(), flash, _turn: turn })
    }
}

impl AsRef<SignedIn> for SignedIn {
    fn as_ref(&self) -> &SignedIn {
        self
    }
}

/// An owner who also manages owners; any other is refused.
pub struct Administrator(pub SignedIn);

impl AsRef<SignedIn> for Administrator {
    fn as_ref(&self) -> &SignedIn {
        &self.0
    }
}

impl<S> FromRequestParts<S> for Administrator
where
    Site: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let me = SignedIn::from_request_parts(parts, state).await?;
        if me.is_administrator() { Ok(Self(me)) } else { Err(PageError::Forbidden) }
    }
}
