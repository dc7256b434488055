//! Access tokens, by which clients call that have signed in and have no key. One is good for the MCP
//! server that it was asked for, or all of its attendee's event, until it expires or its grant ends.
//!
//! Here are reading one, what is cached of one, and how its holder is refused. The attendee behind it is
//! checked in `authenticate`; what has clients sign in is in `challenge`.

use http::header::{AUTHORIZATION, HeaderMap};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use super::error::{Held, ProxyError};
use super::headers::{bearer, is_graphic};
use crate::catalog::event::Event;
use crate::catalog::oauth::{ACCESS_PREFIX, Grant, LEEWAY_MS};

/// The longest that is looked up, in bytes.
const LONGEST: usize = 128;

/// What is cached of an access token.
pub struct CachedToken {
    /// As clients were told, in UTC milliseconds.
    pub expires_at: i64,
    /// `None`: it is for all MCP servers of the event.
    pub deployment: Option<Box<str>>,
    /// The shared code that its grant stands with.
    pub shared_code: Option<SecretString>,
}

impl CachedToken {
    /// Of a grant that stands with the shared code that the event has.
    pub(super) fn new(grant: Grant, expires_at: i64, event: &Event) -> Self {
        let shared_code = event.shared_code.clone().filter(|_| grant.is_by_code());
        let deployment = grant.deployment.map(String::into_boxed_str);
        Self { expires_at, deployment, shared_code }
    }

    /// Whether it is good at this time for the deployment, which is named as in the path.
    pub(super) fn is_good_for(&self, deployment: &str, now_ms: i64) -> bool {
        let is_meant = self.deployment.as_deref().is_none_or(|meant| {
            meant == deployment || percent_decode_str(deployment).decode_utf8_lossy() == meant
        });
        is_meant && now_ms <= self.expires_at + LEEWAY_MS
    }
}

/// The access token that a request carries.
pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = bearer(headers.get(AUTHORIZATION)?.as_bytes())?;
    let is_token = bearer.len() <= LONGEST && is_graphic(bearer);
    let token = std::str::from_utf8(bearer).ok().filter(|_| is_token)?;
    token.starts_with(ACCESS_PREFIX).then_some(token)
}

impl ProxyError {
    /// The refusal of somebody who came with an access token. What ends by itself or by the organiser
    /// leaves them signed in: they are told to wait. Only what has ended has them sign in again.
    pub(super) fn for_token(self) -> Self {
        match self {
            ProxyError::AttendeeDisabled(of) => ProxyError::Held(of, Held::Disabled),
            ProxyError::EventInactive(of) => ProxyError::Held(of, Held::Inactive),
            ProxyError::EventNotStarted(of, at) => ProxyError::Held(of, Held::NotStarted(at)),
            ProxyError::EventEnded(of, at) => ProxyError::TokenEnded(of, at),
            ProxyError::InvalidKey => ProxyError::InvalidToken,
            other => other,
        }
    }

    /// Whether an access token was refused for good.
    pub(super) fn is_of_dead_token(&self) -> bool {
        matches!(self, ProxyError::InvalidToken | ProxyError::TokenEnded(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(deployment: Option<&str>) -> CachedToken {
        CachedToken { expires_at: 1_000, deployment: deployment.map(Into::into), shared_code: None }
    }

    #[test]
    fn a_token_is_good_for_its_deployment_and_a_minute_beyond_its_end() {
        let demo = token(Some("mcp-demo"));
        for deployment in ["mcp-demo", "mcp%2Ddemo"] {
            assert!(demo.is_good_for(deployment, 1_000 + LEEWAY_MS));
            assert!(!demo.is_good_for(deployment, 1_001 + LEEWAY_MS));
        }
        for other in ["mcp-demo2", "mcp", "", "MCP-demo", "mcp-demo%00"] {
            assert!(!demo.is_good_for(other, 0), "{other}");
        }
        assert!(token(None).is_good_for("anything", 0));
    }

    #[test]
    fn only_a_bearer_that_looks_like_one_is_a_token() {
        let presented = |value: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            super::presented(&headers).map(str::to_owned)
        };
        assert_eq!(presented("bearer  aipx_at_1").as_deref(), Some("aipx_at_1"));
        let long = format!("Bearer aipx_at_{}", "x".repeat(LONGEST));
        for other in ["Bearer aipx_rt_1", "Basic aipx_at_1", "aipx_at_1", "Bearer aip_1", &long] {
            assert_eq!(presented(other), None, "{other}");
        }
    }
}
