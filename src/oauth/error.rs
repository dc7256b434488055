//! What a client is told that does not get what it asked for, as RFC 6749 §5.2 has it. Client libraries
//! decide by the code: after `invalid_client` they register again, after `invalid_grant` they open a
//! browser, after a status of 429 or 503 they try again later.

use http::StatusCode;
use serde_json::{Value, json};

use crate::catalog;

/// A code that is registered for OAuth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    InvalidTarget,
    InvalidRedirectUri,
    InvalidClientMetadata,
    UnsupportedGrantType,
    UnsupportedResponseType,
    AccessDenied,
    MethodNotAllowed,
    TooManyRequests,
    TemporarilyUnavailable,
    ServerError,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidRequest | Code::MethodNotAllowed => "invalid_request",
            Code::InvalidClient => "invalid_client",
            Code::InvalidGrant => "invalid_grant",
            Code::InvalidTarget => "invalid_target",
            Code::InvalidRedirectUri => "invalid_redirect_uri",
            Code::InvalidClientMetadata => "invalid_client_metadata",
            Code::UnsupportedGrantType => "unsupported_grant_type",
            Code::UnsupportedResponseType => "unsupported_response_type",
            Code::AccessDenied => "access_denied",
            Code::TooManyRequests => "too_many_requests",
            Code::TemporarilyUnavailable => "temporarily_unavailable",
            Code::ServerError => "server_error",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Code::InvalidClient => StatusCode::UNAUTHORIZED,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Code::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// A refusal, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthError {
    pub code: Code,
    /// What is wrong and what to do, for people. It quotes nothing that the client sent.
    pub description: &'static str,
    /// Seconds.
    pub retry_after: Option<u64>,
}

impl OauthError {
    pub fn new(code: Code, description: &'static str) -> Self {
        Self { code, description, retry_after: None }
    }

    /// The store or the portal has too much to do, or is away.
    pub fn unavailable() -> Self {
        let description = "The proxy cannot answer at the moment. Try again in a few seconds.";
        Self { retry_after: Some(5), ..Self::new(Code::TemporarilyUnavailable, description) }
    }

    pub fn too_many(retry_after: u64) -> Self {
        let description =
            "Too many unknown codes or tokens came from your network. Try again later.";
        Self { retry_after: Some(retry_after), ..Self::new(Code::TooManyRequests, description) }
    }

    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    pub fn body(&self) -> Value {
        json!({"error": self.code.as_str(), "error_description": self.description})
    }
}

impl From<catalog::Error> for OauthError {
    /// The log says why.
    fn from(error: catalog::Error) -> Self {
        tracing::warn!(%error, "the store could not be asked");
        Self::unavailable()
    }
}
