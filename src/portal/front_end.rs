//! `/api/v1/attendee/event/{id}`: the key of whoever is signed in, as JSON, for front ends that others host
//! behind a gateway that signs people in. The names of the fields are those of azure-ai-proxy-lite.
//!
//! People are signed in as on pages: by the cookie of the event or by the gateway. So another site's page
//! may not send a form here either, and no page of another origin can read an answer. Errors have the
//! shape of the data plane's, beside whose routes these are.

use std::any::Any;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tower_http::csrf::ProtectionError;

use super::Site;
use super::attendee::Here;
use super::body::Unread;
use super::error::{BUSY_SECONDS, PageError};
use super::intake::VISITORS_FORM;
use super::visitor::Visitor;
use crate::catalog;
use crate::catalog::attendee::account::{self, Admitted};
use crate::catalog::attendee::{Attendee, reveal_key, yours};
use crate::catalog::event::{Event, EventState};
use crate::proxy::error::{Organizer, ProxyError, Shape};
use crate::turns::Full;

const BASE: &str = "/api/v1/attendee/event";

/// Why there is no key to show.
#[derive(Debug)]
pub struct Refusal(ProxyError);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response(Shape::Plain).map(Body::new)
    }
}

impl From<ProxyError> for Refusal {
    fn from(error: ProxyError) -> Self {
        Self(error)
    }
}

impl From<PageError> for Refusal {
    fn from(error: PageError) -> Self {
        Self(match error {
            PageError::UnknownEvent { wait: None } => ProxyError::EventNotFound,
            PageError::UnknownEvent { wait: Some(retry_after) } => {
                ProxyError::TooManyAttempts { retry_after }
            }
            // What it was is logged.
            _ => ProxyError::StoreUnavailable,
        })
    }
}

impl From<catalog::Error> for Refusal {
    fn from(error: catalog::Error) -> Self {
        match error {
            catalog::Error::NotFound { .. } => Self(ProxyError::EventNotFound),
            other => PageError::from(other).into(),
        }
    }
}

impl From<Full> for Refusal {
    fn from(Full: Full) -> Self {
        Self(ProxyError::RateLimited { retry_after: BUSY_SECONDS })
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        Self(match unread {
            Unread::TooLarge => ProxyError::BodyTooLarge { limit: VISITORS_FORM as u64 },
            Unread::Late | Unread::Broken => ProxyError::BodyIncomplete,
        })
    }
}

/// A handler panicked: the message is logged where it happened.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    Refusal::from(PageError::Internal).into_response()
}

/// A request that another site's page sent.
pub fn cross_site(_: ProtectionError) -> Response {
    Refusal(ProxyError::OriginNotAllowed).into_response()
}

pub async fn method_not_allowed(request: axum::extract::Request) -> Refusal {
    let allow = if request.uri().path().ends_with("/register") { "POST" } else { "GET" };
    Refusal(ProxyError::MethodNotAllowed { allow })
}

/// The key of whoever is signed in.
pub async fn read(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let here = open(&site, visitor, &id).await?;
    if let Some(signed_in) = by_cookie(&site, &here).await? {
        return Ok(shown(StatusCode::OK, &here.event, &signed_in));
    }
    let account = here.visitor.gateway.as_ref().ok_or(ProxyError::NotSignedIn)?;
    let found = account::find(&site.db, &here.event.id, account).await?;
    let attendee = found.ok_or_else(|| ProxyError::NotRegistered(Organizer::from(&here.event)))?;
    let key = reveal_key(&site.db, &site.vault, &here.event.owner_id, &attendee.id).await?;
    Ok(shown(StatusCode::OK, &here.event, &(attendee, key)))
}

/// The same, once they have joined, which they do here where they have not yet.
pub async fn register(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let here = open(&site, visitor, &id).await?;
    if let Some(signed_in) = by_cookie(&site, &here).await? {
        return Ok(shown(StatusCode::CREATED, &here.event, &signed_in));
    }
    let account = here.visitor.gateway.as_ref().ok_or(ProxyError::NotSignedIn)?;
    let admitted = account::admit(&site.db, &site.vault, &here.event, account, here.now).await?;
    let organizer = Organizer::from(&here.event);
    let attendee = match admitted {
        Admitted::In(attendee) => attendee,
        Admitted::Deleted => return Err(ProxyError::AttendeeDisabled(organizer).into()),
        Admitted::Shut(why) => return Err(ProxyError::RegistrationClosed(organizer, why).into()),
        Admitted::NotOpen if here.state == EventState::Scheduled => {
            return Err(ProxyError::EventNotStarted(organizer, here.event.starts_at).into());
        }
        Admitted::NotOpen => return Err(ProxyError::EventInactive(organizer).into()),
    };
    let key = reveal_key(&site.db, &site.vault, &here.event.owner_id, &attendee.id).await?;
    Ok(shown(StatusCode::CREATED, &here.event, &(attendee, key)))
}

/// The event, as long as it has not ended.
async fn open(site: &Site, visitor: Visitor, id: &str) -> Result<Here, Refusal> {
    let here = Here::find(site, visitor, id).await?;
    match here.state {
        EventState::Ended => {
            let organizer = Organizer::from(&here.event);
            Err(ProxyError::EventEnded(organizer, here.event.ends_at).into())
        }
        _ => Ok(here),
    }
}

/// Who is signed in to the event's page, with their key. A name that was typed shows nobody.
async fn by_cookie(site: &Site, here: &Here) -> catalog::Result<Option<(Attendee, SecretString)>> {
    match here.session.as_ref().filter(|session| session.way.is_proof()) {
        Some(session) => {
            let key = yours::key(&site.db, &site.vault, session).await?;
            Ok(Some((session.attendee.clone(), key)))
        }
        None => Ok(None),
    }
}

fn shown(status: StatusCode, event: &Event, signed_in: &(Attendee, SecretString)) -> Response {
    let (attendee, key) = signed_in;
    let body = Json(json!({"api_key": key.expose_secret(), "active": attendee.active}));
    let mut response = (status, body).into_response();
    if status == StatusCode::CREATED {
        let place = HeaderValue::try_from(format!("{BASE}/{}/", event.id));
        response.headers_mut().extend(place.ok().map(|place| (LOCATION, place)));
    }
    response
}
