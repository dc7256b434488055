//! Forms of owners whose sign-in had ended: the form is kept, its owner signs in again and it is
//! sent, at once or after a question. A browser that never was an owner's has nothing kept.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, REFERER};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body::Body as _;
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use url::form_urlencoded::parse;

use super::sign_in;
use crate::identity::session::SessionAsker;
use crate::portal::error::{PageError, dead_end};
use crate::portal::flash::Flash;
use crate::portal::held::{self, FORM, Found, Kept, WaitsFor};
use crate::portal::intake::held_turn;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::route::Route;
use crate::portal::visitor::{SignedIn, Visitor};
use crate::portal::{Site, body};

/// What a request's query names the form by that is to be sent in its place.
const FIELD: &str = "held";

/// Which forms are kept.
#[derive(Clone)]
pub struct Holder {
    site: Site,
    kept: Arc<HashMap<&'static str, Kept>>,
}

impl Holder {
    pub fn new(site: &Site, routes: &[Route]) -> Self {
        let kept = routes.iter().filter_map(Route::keeps).collect();
        Self { site: site.clone(), kept: Arc::new(kept) }
    }
}

/// Stands before the handlers of owners' forms: it keeps one that nobody is signed in for, and puts
/// one that was kept in place of the empty form that asks for it.
pub async fn hold_or_send(State(holder): State<Holder>, request: Request, next: Next) -> Response {
    // A script asks for a part of its page, and keeps what is typed there itself.
    if request.method() != Method::POST || request.headers().contains_key("x-part") {
        return next.run(request).await;
    }
    let (mut head, body) = request.into_parts();
    match holder.look(&mut head, body).await {
        Ok(Turn::Handler(request)) => next.run(request).await,
        Ok(Turn::Sends(request, id)) => holder.send(request, id, next).await,
        Ok(Turn::Answered(answer)) => answer,
        Err(error) => error.into_response(),
    }
}

/// What becomes of a form.
enum Turn {
    Handler(Request),
    /// The form that was kept under this id.
    Sends(Request, SecretString),
    Answered(Response),
}

impl Holder {
    async fn look(&self, head: &mut Parts, body: Body) -> Result<Turn, PageError> {
        let visitor = Visitor::from_request_parts(head, &self.site).await?;
        // The handler looks again: it counts the session as used.
        let session = match visitor.session_token() {
            Some(token) => self.site.identity.session(&token, SessionAsker::Script).await?,
            None => None,
        };
        let asked = asked(&head.uri).filter(|_| body.size_hint().exact() == Some(0));
        match (session, asked) {
            (Some(_), None) => Ok(Turn::Handler(Request::from_parts(head.clone(), body))),
            (Some(session), Some(id)) => {
                let browser = visitor.held_token();
                let found =
                    held::find_for(&self.site, &session, browser.as_ref(), &id, &head.uri).await?;
                let Some(form) = found else { return Ok(Turn::Answered(gone())) };
                let request = held::request(head.clone(), form.into_fields());
                Ok(Turn::Sends(request, id))
            }
            (None, Some(id)) => {
                let next = held::page(&id);
                let answer = sign_in::once_more(&self.site, &next, sign_in::STILL_KEPT)?;
                Ok(Turn::Answered(answer))
            }
            (None, None) => self.keep(visitor, head, body).await,
        }
    }

    async fn keep(&self, visitor: Visitor, head: &Parts, body: Body) -> Result<Turn, PageError> {
        let route = head.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        let Some(kept) = route.and_then(|route| self.kept.get(route)) else {
            return Ok(match is_form(&head.headers) {
                true => Turn::Answered(not_pressed(&head.headers)?),
                false => Turn::Handler(Request::from_parts(head.clone(), body)),
            });
        };
        let owner = match visitor.browser_token().filter(|_| is_form(&head.headers)) {
            Some(token) => self.site.identity.owner_of_browser(token).await?,
            None => None,
        };
        let Some(owner) = owner.filter(|owner| owner.active) else {
            return Ok(Turn::Handler(Request::from_parts(head.clone(), body)));
        };
        let _turn = held_turn(&head.extensions, &owner.id).await?;
        let fields = body::read(Request::from_parts(head.clone(), body)).await?;
        let (token, cookies) = visitor.holds_form()?;
        let waits_for = WaitsFor::Owner(&owner.id, &token);
        let id = held::keep(&self.site, waits_for, head.uri.path(), &fields, *kept).await?;
        let says = match kept.asks {
            true => format!("you are asked whether to send it: it would {}", kept.does),
            false => format!("it is sent: this will {}", kept.does),
        };
        let says = format!(
            "Nothing has been done yet. What you typed is kept here for 30 minutes. Sign in, and {says}."
        );
        let answer = sign_in::once_more(&self.site, &held::page(&id), &says)?;
        Ok(Turn::Answered((cookies, answer).into_response()))
    }

    /// The form is discarded once it has been answered. If the proxy is too busy, or the store does
    /// not answer, it waits on.
    async fn send(&self, request: Request, id: SecretString, next: Next) -> Response {
        match held::begin_sending(&self.site, &id).await {
            Ok(true) => {}
            Ok(false) => return gone(),
            Err(error) => return error.into_response(),
        }
        let answer = next.run(request).await;
        let may_work_later =
            answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS;
        let left = match may_work_later {
            true => held::wait_on(&self.site, &id).await,
            false => held::discard(&self.site, &id).await,
        };
        match left {
            Ok(()) => answer,
            Err(error) => error.into_response(),
        }
    }
}

fn asked(uri: &Uri) -> Option<SecretString> {
    let mut fields = parse(uri.query()?.as_bytes());
    fields.find(|(name, _)| name == FIELD).map(|(_, id)| SecretString::from(id.into_owned()))
}

/// Whether fields are sent, and no file; a form without fields may be sent without a type.
fn is_form(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(FORM.as_bytes()))
}

#[derive(Template)]
#[template(path = "not_pressed.html")]
struct NotPressed<'a> {
    next: &'a str,
}

/// Nothing was typed: the button can be pressed again, on the page that has it.
fn not_pressed(headers: &HeaderMap) -> Answer {
    let from = headers.get(REFERER).and_then(|from| from.to_str().ok());
    let from = from.and_then(|from| Url::parse(from).ok());
    let path = from
        .as_ref()
        .map_or("", |from| &from[url::Position::BeforePath..url::Position::AfterQuery]);
    page::with_status(StatusCode::FORBIDDEN, &NotPressed { next: sign_in::local(path) })
}

#[derive(Template)]
#[template(path = "admin/held.html")]
struct Waiting<'a> {
    frame: Frame,
    id: &'a str,
    action: &'a str,
    does: &'a str,
    asks: bool,
}

pub async fn show(
    State(site): State<Site>,
    me: SignedIn,
    visitor: Visitor,
    Path(id): Path<SecretString>,
) -> Answer {
    match held::find(&site, me.session(), visitor.held_token().as_ref(), &id).await? {
        Found::Theirs(path, form) => page::ok(&Waiting {
            frame: me.frame(Section::Home),
            id: id.expose_secret(),
            action: &path,
            does: &form.does,
            asks: form.asks,
        }),
        Found::Anothers => Ok(anothers(&me)),
        Found::Gone => Ok(gone()),
    }
}

pub async fn discard(
    State(site): State<Site>,
    me: SignedIn,
    visitor: Visitor,
    Path(id): Path<SecretString>,
) -> Answer {
    match held::find(&site, me.session(), visitor.held_token().as_ref(), &id).await? {
        Found::Theirs(..) => {
            held::discard(&site, &id).await?;
            me.done(&site, "/admin", Flash::done("The form was discarded. Nothing was changed."))
                .await
        }
        Found::Anothers => Ok(anothers(&me)),
        Found::Gone => Ok(gone()),
    }
}

fn anothers(me: &SignedIn) -> Response {
    let text = format!(
        "You are signed in as {}, but another owner was signed in in this browser when the form was \
         typed. It was not sent. Whoever typed it can sign in here and send it within 30 minutes.",
        me.owner.name
    );
    dead_end(StatusCode::NOT_FOUND, "Another owner's form", &text)
}

fn gone() -> Response {
    let text = "It was sent or discarded already, it waited too long, or it waits for another \
                sign-in. Nothing was changed now: look at the page that it is for, and fill it in again \
                if need be.";
    dead_end(StatusCode::NOT_FOUND, "This form is no longer kept", text)
}
