//! The codes of the API's errors, each with its status: the only list. The answers and
//! their description are both made of it.

use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// What programs go by; a code does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    Malformed,
    Incomplete,
    MalformedHeader,
    MissingToken,
    InvalidToken,
    NotFound,
    MethodNotAllowed,
    BodyTimeout,
    Conflict,
    PreconditionFailed,
    BodyTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyAttempts,
    Internal,
    StoreUnavailable,
    Busy,
}

impl Code {
    pub const ALL: [Self; 17] = [
        Self::Malformed,
        Self::Incomplete,
        Self::MalformedHeader,
        Self::MissingToken,
        Self::InvalidToken,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BodyTimeout,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::TooManyAttempts,
        Self::Internal,
        Self::StoreUnavailable,
        Self::Busy,
    ];

    pub const fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::Incomplete | Self::MalformedHeader => StatusCode::BAD_REQUEST,
            Self::MissingToken | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::StoreUnavailable | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What it means, for the description.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Malformed => "the body is not JSON",
            Self::Incomplete => "the body ended before all of it had arrived",
            Self::MalformedHeader => "`If-Match` is neither `*` nor a list of entity tags",
            Self::MissingToken => "no token was sent",
            Self::InvalidToken => "the token is unknown, has expired or was revoked",
            Self::NotFound => "there is nothing here, or it belongs to another owner",
            Self::MethodNotAllowed => "the `Allow` header names the methods of this path",
            Self::BodyTimeout => "the body did not arrive in time",
            Self::Conflict => "something else is in the way",
            Self::PreconditionFailed => "what is stored is not what `If-Match` says; read it again",
            Self::BodyTooLarge => "the body is too large",
            Self::UnsupportedMediaType => "the body was not sent as `application/json`",
            Self::Invalid => "a field or parameter breaks a rule, or is unknown; `field` names it",
            Self::TooManyAttempts => "too many unknown tokens came from this address",
            Self::Internal => "a fault of the proxy, which is in its log",
            Self::StoreUnavailable => "the store does not answer; try again",
            Self::Busy => "too many calls are under way; try again",
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn all_of_them_are_listed() {
        let schema = serde_json::to_value(Code::schema()).unwrap();
        assert_eq!(serde_json::to_value(Code::ALL).unwrap(), schema["enum"]);
    }
}
