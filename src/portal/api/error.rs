//! What the API answers where it does not do what it was asked: the only such
//! map. The shape is that of the data plane's refusals, so that programs which
//! use both read errors in one way.

mod code;

use std::any::Any;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ETAG, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use utoipa::ToSchema;

pub use self::code::Code;
use crate::catalog;
use crate::identity::throttle::Wait;
use crate::portal::body::Unread;
use crate::portal::error::BUSY_SECONDS;
use crate::turns::Full;

/// Characters of a field's name that are repeated.
const LONGEST_FIELD: usize = 100;

/// An error, as it is sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    error: ApiError,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ApiError {
    code: Code,
    /// What is wrong and what to do, for people.
    message: String,
    /// The HTTP status.
    status: u16,
    /// The field of the body or of the query that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    field: Option<String>,
    #[serde(skip)]
    retry_after: Option<u64>,
    /// The version that is stored.
    #[serde(skip)]
    etag: Option<HeaderValue>,
}

impl ApiError {
    fn new(code: Code, message: impl Into<String>) -> Self {
        let (status, message) = (code.status().as_u16(), message.into());
        Self { code, message, status, field: None, retry_after: None, etag: None }
    }

    pub fn missing_token() -> Self {
        let message = "No token was sent. Make one in the portal, at Account, API tokens, and \
                       send it as Authorization: Bearer.";
        Self::new(Code::MissingToken, message)
    }

    pub fn invalid_token() -> Self {
        let message = "This token is not known here: it was revoked, has expired, or is not \
                       complete. Make another in the portal, at Account, API tokens.";
        Self::new(Code::InvalidToken, message)
    }

    pub fn too_many_attempts(Wait(seconds): Wait) -> Self {
        let message = format!(
            "Too many unknown tokens came from your address. Check yours; another wrong one is \
             looked at in {seconds} s."
        );
        let error = Self::new(Code::TooManyAttempts, message);
        Self { retry_after: Some(seconds), ..error }
    }

    pub fn not_found() -> Self {
        let message = "There is nothing of yours at this address. Check the ids in it.";
        Self::new(Code::NotFound, message)
    }

    /// `reason` follows the field's name: "is required".
    pub fn invalid(field: &str, reason: impl std::fmt::Display) -> Self {
        // The caller's own words, where a field is not known.
        let field: String = field.chars().take(LONGEST_FIELD).collect();
        let message = format!("{field}: {reason}");
        let error = Self::new(Code::Invalid, message);
        Self { field: Some(field), ..error }
    }

    pub fn malformed(reason: impl std::fmt::Display) -> Self {
        let message = format!("The body is not valid JSON: {reason}.");
        Self::new(Code::Malformed, message)
    }

    pub fn unsupported_media_type() -> Self {
        let message = "Send the body as JSON, with Content-Type: application/json.";
        Self::new(Code::UnsupportedMediaType, message)
    }

    pub fn body_too_large() -> Self {
        let message = "The body is larger than is taken here. Send it in parts.";
        Self::new(Code::BodyTooLarge, message)
    }

    pub fn late() -> Self {
        let message = "The body did not arrive in time. Nothing was changed; send it again.";
        Self::new(Code::BodyTimeout, message)
    }

    /// Too many calls are under way, from this address or of this owner.
    pub fn busy() -> Self {
        let message = "Too many calls are under way at once. Nothing was changed; wait until \
                       others have been answered, and try again.";
        let error = Self::new(Code::Busy, message);
        Self { retry_after: Some(BUSY_SECONDS), ..error }
    }

    fn incomplete() -> Self {
        let message = "The body ended before all of it had come. Send it again.";
        Self::new(Code::Incomplete, message)
    }

    pub fn conflict(reason: impl Into<String>) -> Self {
        Self::new(Code::Conflict, reason)
    }

    pub fn malformed_if_match() -> Self {
        let message = "If-Match must be * or a list of entity tags in double quotes, as the ETag \
                       header of an answer has one.";
        Self::new(Code::MalformedHeader, message)
    }

    /// `current`: the tag of what is stored, if that can be read.
    pub fn precondition_failed(current: Option<HeaderValue>) -> Self {
        let message = "It was changed since you read it, so nothing was done. Read it again, and \
                       send your change with the ETag that you get then.";
        Self { etag: current, ..Self::new(Code::PreconditionFailed, message) }
    }

    /// Logs the cause, which is not for the caller.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a call of the API could not be answered");
        let message = "The fault is ours, and it is in the log. Tell the operator.";
        Self::new(Code::Internal, message)
    }
}

impl From<Unread> for ApiError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => ApiError::body_too_large(),
            Unread::Late => ApiError::late(),
            Unread::Broken => ApiError::incomplete(),
        }
    }
}

impl From<Full> for ApiError {
    fn from(Full: Full) -> Self {
        ApiError::busy()
    }
}

impl From<catalog::Error> for ApiError {
    fn from(error: catalog::Error) -> Self {
        match error {
            catalog::Error::NotFound { .. } => ApiError::not_found(),
            catalog::Error::Invalid { field, reason } => ApiError::invalid(field, reason),
            catalog::Error::Conflict { reason } => ApiError::conflict(reason),
            catalog::Error::Store(_) => {
                tracing::warn!(%error, "the store could not be asked for a call of the API");
                let message = "The store does not answer. Try again in a moment.";
                let error = Self::new(Code::StoreUnavailable, message);
                Self { retry_after: Some(5), ..error }
            }
            catalog::Error::Seal(_) => ApiError::internal(error),
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        catalog::Error::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let (retry_after, etag) = (self.retry_after, self.etag.clone());
        let mut response = (status, Json(Problem { error: self })).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        headers.extend(etag.map(|etag| (ETAG, etag)));
        response
    }
}

pub async fn not_found() -> ApiError {
    ApiError::not_found()
}

pub async fn method_not_allowed() -> ApiError {
    let message = "This method is not served here; the Allow header names those that are.";
    ApiError::new(Code::MethodNotAllowed, message)
}

/// A handler panicked: the message is logged where it happened.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    ApiError::internal("a handler panicked").into_response()
}
