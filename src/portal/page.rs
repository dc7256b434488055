//! Pages: typed values that a template turns into HTML, the frame that owners'
//! pages stand in, and the headers that every answer of the portal carries.

use std::time::Instant;

use askama::Template;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use super::error::PageError;
use super::flash::Flash;
use super::{Site, html};
use crate::clock::millis;
use crate::proxy::logged;

/// What a handler answers.
pub type Answer = Result<Response, PageError>;

/// A page, rendered.
pub fn ok(page: &impl Template) -> Answer {
    with_status(StatusCode::OK, page)
}

/// The same page once more, because what was typed cannot be taken.
pub fn unprocessable(page: &impl Template) -> Answer {
    with_status(StatusCode::UNPROCESSABLE_ENTITY, page)
}

/// The same, where `wait` is the seconds until another try is taken: there were too many.
pub fn again(page: &impl Template, wait: Option<u64>) -> Answer {
    match wait {
        None => unprocessable(page),
        Some(seconds) => too_many(page, seconds),
    }
}

/// A page in answer to too many tries; the next one is taken in so many seconds.
pub fn too_many(page: &impl Template, seconds: u64) -> Answer {
    let mut answer = with_status(StatusCode::TOO_MANY_REQUESTS, page)?;
    answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    Ok(answer)
}

/// A page under any other status.
pub fn with_status(status: StatusCode, page: &impl Template) -> Answer {
    html::rendered(status, page).map_err(PageError::internal)
}

/// The beginning of what a visitor typed, as much as a page repeats: nobody signed in, so
/// it may be anything.
pub fn shown_again(typed: &str) -> &str {
    const SHOWN: usize = 100;
    typed.char_indices().nth(SHOWN).map_or(typed, |(end, _)| &typed[..end])
}

/// The sections of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Home,
    Resources,
    Events,
    Reports,
    Backup,
    Owners,
    Audit,
    Account,
}

impl Section {
    const ALL: &[Section] = &[
        Section::Home,
        Section::Resources,
        Section::Events,
        Section::Reports,
        Section::Backup,
        Section::Owners,
        Section::Audit,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Section::Home => "Home",
            Section::Resources => "Resources",
            Section::Events => "Events",
            Section::Reports => "Reports",
            Section::Backup => "Backup",
            Section::Owners => "Owners",
            Section::Audit => "Audit",
            Section::Account => "Account",
        }
    }

    pub fn path(self) -> &'static str {
        match self {
            Section::Home => "/admin",
            Section::Resources => "/admin/resources",
            Section::Events => "/admin/events",
            Section::Reports => "/admin/reports",
            Section::Backup => "/admin/backup",
            Section::Owners => "/admin/owners",
            Section::Audit => "/admin/audit",
            Section::Account => "/admin/account",
        }
    }

    /// Whether it stands in the bar that the navigation is on a phone, or behind its *More*.
    pub fn is_in_bar(self) -> bool {
        matches!(self, Section::Home | Section::Resources | Section::Events | Section::Reports)
    }

    /// The path of its icon, drawn with strokes in a square of 24.
    pub fn icon(self) -> &'static str {
        match self {
            Section::Home => "M4 11l8-7 8 7v9h-5v-6H9v6H4z",
            Section::Resources => "M4 5h16v6H4zM4 13h16v6H4zM7.5 8h.01M7.5 16h.01",
            Section::Events => "M4 6h16v14H4zM4 10h16M8 3v4M16 3v4",
            Section::Reports => "M4 20h16M7 16v-5M12 16V6M17 16v-8",
            Section::Backup => "M12 4v11M8 11l4 4 4-4M4 19h16",
            Section::Owners => "M12 12a4 4 0 100-8 4 4 0 000 8zM4 21c0-4 4-6 8-6s8 2 8 6",
            Section::Audit => "M6 4h12v16H6zM9 9h6M9 13h6M9 17h3",
            Section::Account => "M12 12a4 4 0 100-8 4 4 0 000 8zM4 21c0-4 4-6 8-6s8 2 8 6",
        }
    }
}

/// What stands around an owner's page.
#[derive(Debug)]
pub struct Frame {
    pub section: Section,
    pub owner: String,
    pub is_administrator: bool,
    pub flash: Option<Flash>,
}

impl Frame {
    /// What this owner may open.
    pub fn sections(&self) -> impl Iterator<Item = Section> {
        let is_administrator = self.is_administrator;
        Section::ALL
            .iter()
            .copied()
            .filter(move |section| is_administrator || *section != Section::Owners)
    }
}

/// Nothing is loaded from, sent to or framed by another origin, and nothing in a
/// page's text is ever run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The same but for where forms lead.
const POLICY_THAT_LEADS: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Not `no-referrer`: a form of ours would then be sent with `Origin: null`.
const REFERRER: &str = "same-origin";

const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", REFERRER),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Marks an answer that leads to another origin: by itself, or by its form and a redirect, to every hop
/// of which browsers apply `form-action`. A page of another origin that opened it in a window stays in
/// touch with that window, in which the last hop is its own.
#[derive(Clone, Copy)]
pub struct LeadsElsewhere;

/// Gives every answer its headers and, where that is asked for, its log line:
/// with the route's pattern, since a path may hold a one-time token.
pub async fn finish(State(site): State<Site>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let id = request.headers().get("x-request-id").cloned();
    let mut response = next.run(request).await;
    let leads_elsewhere = response.extensions().get::<LeadsElsewhere>().is_some();
    put_headers(response.headers_mut(), leads_elsewhere);
    if site.config.log_requests {
        tracing::info!(
            request_id = id.as_ref().and_then(|id| id.to_str().ok()),
            method = logged(&method),
            page = route.as_ref().map(MatchedPath::as_str),
            status = response.status().as_u16(),
            ms = millis(started.elapsed()),
            "request"
        );
    }
    response
}

fn put_headers(headers: &mut HeaderMap, leads_elsewhere: bool) {
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if leads_elsewhere {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY_THAT_LEADS));
        headers.remove("cross-origin-opener-policy");
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
