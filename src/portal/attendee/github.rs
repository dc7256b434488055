//! Signing in to an event with GitHub: there and back, each by a plain link.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use secrecy::SecretString;
use serde::Deserialize;

use super::{Here, account, path};
use crate::catalog::attendee::account::Account;
use crate::catalog::attendee::session::Way;
use crate::catalog::event::EventState;
use crate::identity::github::{GitHubRefusal, GitHubResponse, Journey};
use crate::identity::throttle::Wait;
use crate::portal::Site;
use crate::portal::error::PageError;
use crate::portal::page::{self, Answer};
use crate::portal::visitor::{Trip, Visitor};

/// No event's: GitHub sends people of all events back to one address.
const CALLBACK: &str = "/github/callback";

/// Sends the browser to GitHub.
pub async fn begin(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let here = Here::find(&site, visitor, &id).await?;
    let page = path(&here.event.id);
    if here.session.is_some() || !is_offered(&site, &here) || is_from_elsewhere(&headers) {
        // It says which of them, and has the ways that are left.
        return Ok(Redirect::to(&page).into_response());
    }
    leave(&site, here, page)
}

/// Whether another site's page led here: whoever joins agrees to the terms, so they see them first.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

/// Whether people can sign in to the event with GitHub.
pub fn is_offered(site: &Site, here: &Here) -> bool {
    site.identity.has_github() && here.state != EventState::Ended
}

/// Sends the browser to GitHub to sign in to the event, and to `next` on this site then.
pub fn leave(site: &Site, here: Here, next: String) -> Answer {
    if !here.visitor.base_url.is_confirmed() {
        let reason = "this proxy cannot confirm the address of this page, so GitHub could not send you \
                      back; ask the operator to start it with --public-url";
        return Err(PageError::Refused(reason.to_owned()));
    }
    let redirect_uri = here.visitor.base_url.join(CALLBACK);
    let journey = Journey { event_id: here.event.id, next };
    let request = site.identity.begin_github(redirect_uri, journey)?;
    let request = request.ok_or(PageError::NotFound)?;
    let cookies = here.visitor.keeps(Trip::GitHub, request.ticket);
    Ok((cookies, Redirect::to(&request.url)).into_response())
}

/// What GitHub sends with the browser: a code, or an error.
#[derive(Deserialize)]
pub struct Brought {
    #[serde(default)]
    state: String,
    code: Option<SecretString>,
    error: Option<String>,
}

/// The browser is back.
pub async fn callback(
    State(site): State<Site>,
    visitor: Visitor,
    brought: Result<Query<Brought>, QueryRejection>,
) -> Answer {
    if !site.identity.has_github() {
        return Err(PageError::NotFound);
    }
    let ticket = visitor.ticket(Trip::GitHub).unwrap_or_default().to_owned();
    // Known also where the sign-in is refused: it is where to go back to.
    let journey = site.identity.github_journey(&ticket);
    let Ok(Query(brought)) = brought else {
        return refuse(journey.as_ref(), &GitHubRefusal::Stale);
    };
    let back = GitHubResponse {
        ticket: &ticket,
        state: &brought.state,
        code: brought.code.as_ref(),
        error: brought.error.as_deref(),
        source: visitor.source,
    };
    let done = site.identity.finish_github(back).await;
    match (done, journey) {
        (Ok(who), Some(Journey { event_id, next })) => {
            let here = Here::find(&site, visitor.without_ticket(Trip::GitHub), &event_id).await?;
            let account = Account::github(who.id, &who.name);
            account::let_in(&site, here, &account, Way::GitHub, &next).await
        }
        // This browser may have begun another one, which is to be finished.
        (Err(refusal @ GitHubRefusal::Stale), journey) => refuse(journey.as_ref(), &refusal),
        (Err(GitHubRefusal::Catalog(error)), _) => Err(error.into()),
        (Err(refusal), journey) => {
            let answer = refuse(journey.as_ref(), &refusal)?;
            Ok((visitor.without_ticket(Trip::GitHub).cookies(), answer).into_response())
        }
        // Its ten minutes ended while GitHub was asked.
        (Ok(_), None) => refuse(None, &GitHubRefusal::Stale),
    }
}

#[derive(Template)]
#[template(path = "attendee/github_refused.html")]
struct Refused<'a> {
    title: &'static str,
    text: String,
    /// What they wanted to sign in for; without it, the front page asks for it.
    journey: Option<&'a Journey>,
}

impl Refused<'_> {
    /// Where to go to GitHub again at once, if they came from the page of the event.
    fn again(&self, journey: &Journey) -> Option<String> {
        let page = path(&journey.event_id);
        (journey.next == page).then(|| format!("{page}/github"))
    }
}

fn refuse(journey: Option<&Journey>, refusal: &GitHubRefusal) -> Answer {
    let (status, title, text) = match refusal {
        GitHubRefusal::Stale => (
            StatusCode::BAD_REQUEST,
            "Start again",
            "This sign-in was not begun in this browser, was finished already, or took longer than ten \
             minutes."
                .to_owned(),
        ),
        GitHubRefusal::Cancelled => (
            StatusCode::FORBIDDEN,
            "Not signed in",
            "You cancelled signing in with GitHub. Nothing was changed.".to_owned(),
        ),
        GitHubRefusal::Denied(code) => (
            StatusCode::FORBIDDEN,
            "Not signed in",
            format!(
                "GitHub did not let you through ({code}). Try again; if it happens again, show this page \
                 to the organiser."
            ),
        ),
        GitHubRefusal::CodeRefused => (
            StatusCode::BAD_REQUEST,
            "Start again",
            "GitHub did not accept the code that your browser brought back: it was used already, or is \
             too old."
                .to_owned(),
        ),
        GitHubRefusal::Unavailable | GitHubRefusal::Catalog(_) => (
            StatusCode::BAD_GATEWAY,
            "GitHub sign-in does not work",
            "GitHub does not answer as it should. The operator finds the reason in the log of the proxy. \
             Try again in a moment, or join in another way."
                .to_owned(),
        ),
        GitHubRefusal::Throttled(wait) => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many attempts",
            format!("Too many sign-ins from your network failed. Try again in {wait}."),
        ),
    };
    let mut answer: Response = page::with_status(status, &Refused { title, text, journey })?;
    if let GitHubRefusal::Throttled(Wait(seconds)) = refusal {
        answer.headers_mut().insert(RETRY_AFTER, (*seconds).into());
    }
    Ok(answer)
}
