//! Why a call was refused, and the only map from that to a response.
//!
//! Every refusal has a stable machine code, a sentence that says what is wrong
//! and what to do, and the facts to act on. None carries a backend's address,
//! a key, or anything of the caller's body save its JSON-RPC id.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::client_body::ReadError;
use super::response_body::Body;
use crate::catalog::event::{Event, Shut};
use crate::clock;

/// Who an error of 400 or above comes from: `proxy` or `backend`.
pub const ERROR_SOURCE: HeaderName = HeaderName::from_static("x-error-source");

/// Which dialect of error body a route's clients read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"error":{…}}`, as the clients of model APIs expect.
    Plain,
    /// A JSON-RPC error that echoes the request's id (JSON text, or `null`).
    JsonRpc { id: Option<Box<str>> },
}

/// A refusal, or a failure on the way to the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyError {
    MissingKey,
    InvalidKey,
    NameNotUsable,
    EventFull(Organizer),
    RegistrationClosed(Organizer, Shut),
    AttendeeDisabled(Organizer),
    EventInactive(Organizer),
    EventNotStarted(Organizer, i64),
    EventEnded(Organizer, i64),
    OriginNotAllowed,
    RouteNotFound,
    /// For what clients probe to find a sign-in.
    NoSignIn,
    EventNotFound,
    DeploymentNotFound {
        deployment: String,
        available: Vec<String>,
    },
    DeploymentOff {
        deployment: String,
        organizer: Organizer,
    },
    SessionNotFound,
    InvalidPath,
    AmbiguousFraming,
    BodyIncomplete,
    BodyNotAllowed,
    MethodNotAllowed {
        allow: &'static str,
    },
    BodyTooLarge {
        limit: u64,
    },
    UnsupportedMediaType,
    RateLimited {
        retry_after: u64,
    },
    /// A batch of more messages than may ever go at once.
    BatchOverBurst {
        burst: u32,
    },
    TooManyOpenRequests {
        limit: u32,
    },
    TooManyAttempts {
        retry_after: u64,
    },
    DailyCapReached {
        used: u64,
        limit: u64,
    },
    BackendRedirect {
        deployment: String,
    },
    BackendClosed {
        deployment: String,
    },
    BackendProtocol {
        deployment: String,
    },
    BackendUnreachable {
        deployment: String,
    },
    BackendTimeout {
        deployment: String,
    },
    StoreUnavailable,
    ShuttingDown,
}

/// Whom an attendee asks, and about which event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organizer {
    event: String,
    name: String,
    email: String,
}

impl From<&Event> for Organizer {
    fn from(event: &Event) -> Self {
        Self {
            event: event.name.clone(),
            name: event.organizer_name.clone(),
            email: event.organizer_email.clone(),
        }
    }
}

impl Organizer {
    fn facts(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("event_name", json!(self.event)),
            ("organizer_name", json!(self.name)),
            ("organizer_email", json!(self.email)),
        ]
    }

    fn ask(&self) -> String {
        format!("Ask {} ({}).", self.name, self.email)
    }
}

impl From<ReadError> for ProxyError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLarge(limit) => ProxyError::BodyTooLarge { limit },
            ReadError::Malformed => ProxyError::AmbiguousFraming,
            ReadError::BrokeOff => ProxyError::BodyIncomplete,
        }
    }
}

impl ProxyError {
    pub fn status(&self) -> StatusCode {
        use ProxyError::*;
        match self {
            MissingKey
            | InvalidKey
            | NameNotUsable
            | EventFull(_)
            | RegistrationClosed(..)
            | AttendeeDisabled(_)
            | EventInactive(_)
            | EventNotStarted(..)
            | EventEnded(..) => StatusCode::UNAUTHORIZED,
            OriginNotAllowed => StatusCode::FORBIDDEN,
            RouteNotFound
            | NoSignIn
            | EventNotFound
            | DeploymentNotFound { .. }
            | DeploymentOff { .. }
            | SessionNotFound => StatusCode::NOT_FOUND,
            InvalidPath | AmbiguousFraming | BodyNotAllowed | BodyIncomplete => {
                StatusCode::BAD_REQUEST
            }
            MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            RateLimited { .. }
            | BatchOverBurst { .. }
            | TooManyOpenRequests { .. }
            | TooManyAttempts { .. }
            | DailyCapReached { .. } => StatusCode::TOO_MANY_REQUESTS,
            BackendRedirect { .. } | BackendClosed { .. } | BackendProtocol { .. } => {
                StatusCode::BAD_GATEWAY
            }
            BackendUnreachable { .. } | BackendTimeout { .. } | StoreUnavailable | ShuttingDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The stable machine code.
    pub fn code(&self) -> &'static str {
        use ProxyError::*;
        match self {
            MissingKey => "missing_api_key",
            InvalidKey => "invalid_api_key",
            NameNotUsable => "name_not_usable",
            EventFull(_) => "event_full",
            RegistrationClosed(..) => "registration_closed",
            AttendeeDisabled(_) => "attendee_disabled",
            EventInactive(_) => "event_inactive",
            EventNotStarted(..) => "event_not_started",
            EventEnded(..) => "event_ended",
            OriginNotAllowed => "origin_not_allowed",
            RouteNotFound | NoSignIn => "route_not_found",
            EventNotFound => "event_not_found",
            DeploymentNotFound { .. } => "deployment_not_found",
            DeploymentOff { .. } => "deployment_off",
            SessionNotFound => "session_not_found",
            InvalidPath => "invalid_path",
            AmbiguousFraming => "ambiguous_framing",
            BodyNotAllowed => "body_not_allowed",
            BodyIncomplete => "body_incomplete",
            MethodNotAllowed { .. } => "method_not_allowed",
            BodyTooLarge { .. } => "body_too_large",
            UnsupportedMediaType => "unsupported_media_type",
            RateLimited { .. } | BatchOverBurst { .. } => "rate_limited",
            TooManyOpenRequests { .. } => "too_many_open_requests",
            TooManyAttempts { .. } => "too_many_attempts",
            DailyCapReached { .. } => "daily_cap_reached",
            BackendRedirect { .. } => "backend_redirect",
            BackendClosed { .. } => "backend_closed",
            BackendProtocol { .. } => "backend_protocol_error",
            BackendUnreachable { .. } => "backend_unreachable",
            BackendTimeout { .. } => "backend_timeout",
            StoreUnavailable => "store_unavailable",
            ShuttingDown => "shutting_down",
        }
    }

    fn message(&self) -> String {
        use ProxyError::*;
        match self {
            MissingKey => "No API key was sent. Send the key of your event in an api-key header, \
                           or as Authorization: Bearer."
                .into(),
            InvalidKey => "This API key is not known here. Copy it again, without spaces, from \
                           where you were given it."
                .into(),
            NameNotUsable => "The shared code is right, but the name after it cannot be used. A \
                              name has 2 to 64 characters and no control characters; send letters \
                              other than A to Z in UTF-8 or percent-encoded."
                .into(),
            EventFull(of) => format!(
                "As many people as \"{}\" has places for have joined with its shared code. {}",
                of.event,
                of.ask()
            ),
            RegistrationClosed(of, Shut::Stopped) => {
                format!("\"{}\" takes nobody new at the moment. {}", of.event, of.ask())
            }
            RegistrationClosed(of, Shut::Closed) => {
                format!("\"{}\" takes nobody new by its shared code. {}", of.event, of.ask())
            }
            AttendeeDisabled(of) => {
                format!("Your key for \"{}\" has been switched off. {}", of.event, of.ask())
            }
            EventInactive(of) => {
                format!("\"{}\" is switched off at the moment. {}", of.event, of.ask())
            }
            EventNotStarted(of, at) => format!(
                "\"{}\" has not started yet: your key works from {}. {}",
                of.event,
                clock::rfc3339(*at),
                of.ask()
            ),
            EventEnded(of, at) => {
                format!("\"{}\" ended at {}. {}", of.event, clock::rfc3339(*at), of.ask())
            }
            OriginNotAllowed => "Pages of this origin may not call the proxy. The operator can \
                                 allow it with --allowed-origins."
                .into(),
            RouteNotFound => "There is nothing at this path. MCP servers are under \
                              /api/v1/mcp/{deployment}."
                .into(),
            NoSignIn => {
                "There is no sign-in here. The API key of the request before was missing or \
                         refused: check the key in your client's settings, in an api-key header or \
                         as Authorization: Bearer."
                    .into()
            }
            EventNotFound => "There is no event with this id. Check the link.".into(),
            DeploymentNotFound { deployment, available } if available.is_empty() => format!(
                "Your event has no deployment named \"{deployment}\", and none of this type at all."
            ),
            DeploymentNotFound { deployment, available } => format!(
                "Your event has no deployment named \"{deployment}\" here. Available: {}.",
                available.join(", ")
            ),
            DeploymentOff { deployment, organizer } => format!(
                "\"{deployment}\" is switched off at the moment. Your URL and key are right. {}",
                organizer.ask()
            ),
            SessionNotFound => "This MCP session is over or is not yours. Initialize a new one, \
                                without an Mcp-Session-Id header."
                .into(),
            InvalidPath => "The path has an empty, dot or encoded-slash segment, a backslash or a \
                            control character. Send it plainly."
                .into(),
            AmbiguousFraming => {
                "The request cannot be framed safely: it says its length more than \
                                  once, or has lines that do not end in CRLF. Send one \
                                  Content-Length or Transfer-Encoding: chunked."
                    .into()
            }
            BodyIncomplete => {
                "The request ended before all of its body had arrived. Send it again.".into()
            }
            BodyNotAllowed => "GET and DELETE requests may not have a body here. Send the request \
                               without one."
                .into(),
            MethodNotAllowed { allow } => {
                format!("This method is not served here. Allowed: {allow}.")
            }
            BodyTooLarge { limit } => {
                format!("The request body is larger than the {limit} bytes that are accepted here.")
            }
            UnsupportedMediaType => {
                "The request body is compressed or not in UTF-8, so the calls in it \
                                     cannot be counted. Send plain JSON."
                    .into()
            }
            RateLimited { retry_after } => format!(
                "You are calling faster than your event allows. Try again in {retry_after} s."
            ),
            BatchOverBurst { burst } => format!(
                "This batch has more messages than your event allows at once. Send at most {burst} \
                 in one batch."
            ),
            TooManyOpenRequests { limit } => format!(
                "You have {limit} requests and streams open, the most your event allows. Close some."
            ),
            TooManyAttempts { retry_after } => format!(
                "Too many unknown keys or wrong codes came from your address. Check your key and \
                 try again in {retry_after} s."
            ),
            DailyCapReached { used, limit } => format!(
                "You have used {used} of today's {limit} requests. The count starts anew at {}.",
                clock::rfc3339(clock::next_midnight(clock::now_ms()))
            ),
            BackendRedirect { deployment } => format!(
                "The server behind \"{deployment}\" answered with a redirect that is not followed. \
                 Tell your organiser: its endpoint URL needs correcting."
            ),
            BackendClosed { deployment } => format!(
                "The server behind \"{deployment}\" closed the connection before it answered. It may \
                have received the request. Try again; if it keeps happening, tell your organiser."
            ),
            BackendProtocol { deployment } => format!(
                "The server behind \"{deployment}\" gave no valid HTTP answer. Tell your organiser."
            ),
            BackendUnreachable { deployment } => format!(
                "The server behind \"{deployment}\" cannot be reached. Try again in a moment, then \
                 tell your organiser."
            ),
            BackendTimeout { deployment } => {
                format!("The server behind \"{deployment}\" did not answer in time. Try again.")
            }
            StoreUnavailable => "The proxy cannot reach its store, and admits no call that it \
                                 could not account for. Try again in a moment."
                .into(),
            ShuttingDown => "The proxy is shutting down. Try again in a moment.".into(),
        }
    }

    fn facts(&self) -> Vec<(&'static str, Value)> {
        use ProxyError::*;
        match self {
            EventFull(of)
            | RegistrationClosed(of, _)
            | AttendeeDisabled(of)
            | EventInactive(of) => of.facts(),
            EventNotStarted(of, at) => {
                let mut facts = of.facts();
                facts.push(("starts_at", json!(clock::rfc3339(*at))));
                facts
            }
            EventEnded(of, at) => {
                let mut facts = of.facts();
                facts.push(("ended_at", json!(clock::rfc3339(*at))));
                facts
            }
            DeploymentNotFound { deployment, available } => {
                vec![("deployment", json!(deployment)), ("available", json!(available))]
            }
            DeploymentOff { deployment, organizer } => {
                let mut facts = vec![("deployment", json!(deployment))];
                facts.extend(organizer.facts());
                facts
            }
            BodyTooLarge { limit } => vec![("limit", json!(limit))],
            TooManyOpenRequests { limit } => vec![("limit", json!(limit))],
            DailyCapReached { used, limit } => vec![
                ("used", json!(used)),
                ("limit", json!(limit)),
                ("resets_at", json!(clock::rfc3339(clock::next_midnight(clock::now_ms())))),
            ],
            BackendRedirect { deployment }
            | BackendClosed { deployment }
            | BackendProtocol { deployment }
            | BackendUnreachable { deployment }
            | BackendTimeout { deployment } => vec![("deployment", json!(deployment))],
            _ => Vec::new(),
        }
    }

    /// Seconds after which trying again may help, where it may.
    fn retry_after(&self) -> Option<u64> {
        use ProxyError::*;
        match self {
            RateLimited { retry_after } | TooManyAttempts { retry_after } => Some(*retry_after),
            TooManyOpenRequests { .. } | BatchOverBurst { .. } => Some(1),
            DailyCapReached { .. } => Some(clock::seconds_to_midnight(clock::now_ms())),
            BackendUnreachable { .. } | BackendTimeout { .. } | StoreUnavailable => Some(5),
            ShuttingDown => Some(5),
            _ => None,
        }
    }

    /// JSON-RPC codes: −32001 is what MCP clients know for a lost session; the
    /// rest keep clear of the range −32020…−32099, which belongs to MCP.
    fn rpc_code(&self) -> i32 {
        if *self == ProxyError::SessionNotFound { -32001 } else { -32010 }
    }

    pub fn into_response(self, shape: Shape) -> Response<Body> {
        let status = self.status();
        let mut facts = Map::new();
        facts.insert("code".into(), json!(self.code()));
        if shape == Shape::Plain {
            facts.insert("message".into(), json!(self.message()));
        }
        facts.insert("status".into(), json!(status.as_u16()));
        facts.extend(self.facts().into_iter().map(|(name, value)| (name.into(), value)));

        let body = match shape {
            Shape::Plain => json!({ "error": facts }).to_string(),
            Shape::JsonRpc { id } => {
                let error =
                    json!({"code": self.rpc_code(), "message": self.message(), "data": facts});
                let id = id.as_deref().unwrap_or("null");
                format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
            }
        };

        let mut response = Response::new(Body::full(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ERROR_SOURCE, HeaderValue::from_static("proxy"));
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == ProxyError::AmbiguousFraming {
            // Nobody knows where a next request would begin.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let ProxyError::MethodNotAllowed { allow } = self {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

#[cfg(test)]
mod tests;
