//! Why a call was refused. `table` says what that means for a client, and `response` is the
//! only place where it becomes a response.
//!
//! Every refusal has a stable machine code, a sentence that says what is wrong
//! and what to do, and the facts to act on. None carries a backend's address,
//! a key, or anything of the caller's body save its JSON-RPC id.

mod response;
pub mod table;
#[cfg(test)]
mod tests;

use http::HeaderName;

use super::client_body::ReadError;
use super::control::StoreFailure;
use crate::catalog::event::{Event, Shut};

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
    /// A token of the portal's JSON API, by which owners' programs act, in place of a key.
    PortalToken,
    NameNotUsable,
    EventFull(Organizer),
    RegistrationClosed(Organizer, Shut),
    /// In a browser, for front ends that others host.
    NotSignedIn,
    /// Whoever is signed in has not joined the event.
    NotRegistered(Organizer),
    AttendeeDisabled(Organizer),
    EventInactive(Organizer),
    /// With the start, in UTC milliseconds since 1970.
    EventNotStarted(Organizer, i64),
    /// With the end, in UTC milliseconds since 1970.
    EventEnded(Organizer, i64),
    /// Nobody has this access token, or no longer, or it is for another deployment.
    InvalidToken,
    /// The same as [`EventEnded`](Self::EventEnded), to somebody who signed in.
    TokenEnded(Organizer, i64),
    /// Somebody who signed in has to wait, and stays signed in.
    Held(Organizer, Held),
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
        /// In bytes.
        limit: u64,
    },
    UnsupportedMediaType,
    RateLimited {
        /// In seconds.
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
        /// In seconds.
        retry_after: u64,
    },
    DailyCapReached {
        used: u64,
        limit: u64,
        /// When the day's cap ends, in UTC milliseconds since 1970.
        resets_at: i64,
        /// Seconds until then.
        retry_after: u64,
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

/// Why somebody who signed in has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    Disabled,
    Inactive,
    /// Until the start, in UTC milliseconds since 1970.
    NotStarted(i64),
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
    fn ask(&self) -> String {
        format!("Ask {} ({}).", self.name, self.email)
    }
}

impl From<StoreFailure> for ProxyError {
    fn from(StoreFailure: StoreFailure) -> Self {
        ProxyError::StoreUnavailable
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
