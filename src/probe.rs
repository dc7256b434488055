//! Asks an MCP server whether it can serve a workshop.
//!
//! [`check`] connects as an MCP client does: it opens (`initialize`, or
//! `server/discover` where the server speaks only the revision without
//! sessions), lists the tools, compares its session with a second one and leaves. It reports the exact
//! reason of a failure and never the backend key. The command line and *Test connection* use it;
//! calls of attendees do not go through here, but the data plane calls [`constant_session`].
//! A pre-flight has the same [`Conversation`] by another [`Transport`].

mod conversation;
mod exchange;
mod failure;
mod sse;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use serde_json::Value;
use url::Url;

pub use conversation::{Conversation, ToolResult, constant_session};
pub use exchange::{Answer, Content, read};
pub use failure::Failure;

use crate::config::EndpointPolicy;

/// What is to be asked, and as whom.
#[derive(Clone)]
pub struct ProbeTarget {
    /// The endpoint URL of the resource, as registered.
    pub url: Url,
    /// The header that carries the backend key.
    pub credential: Option<(HeaderName, HeaderValue)>,
    /// Which addresses may be connected to.
    pub policy: EndpointPolicy,
    /// How long connecting may take, to each address.
    pub connect_timeout: Duration,
    /// How long each answer may take.
    pub answer_timeout: Duration,
}

/// How the requests of a conversation reach the server.
pub trait Transport: Sync {
    /// Whom they are for in the end; what is said of a failure is in its terms.
    fn target(&self) -> &ProbeTarget;

    /// Sends one request and reads its answer, as far as a JSON-RPC response to `body`.
    ///
    /// # Errors
    /// Why there is no answer.
    fn ask(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Option<&Value>,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

/// Straight to it, on a connection of the probe's own.
impl Transport for ProbeTarget {
    fn target(&self) -> &ProbeTarget {
        self
    }

    async fn ask(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        exchange::ask(self, method, headers, body).await
    }
}

/// What a working MCP server said of itself.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub server: ServerInfo,
    /// The revision that was agreed on, such as `2025-11-25`.
    pub protocol_version: String,
    /// The names of its tools, in its order.
    pub tools: Vec<String>,
    /// The id of the session that it gives to everybody, if it does.
    #[serde(skip)]
    pub constant_session: Option<Box<HeaderValue>>,
    /// Milliseconds until the connection stood: DNS, TCP and TLS.
    pub connect_ms: u64,
    /// Milliseconds from the opening request to its answer.
    pub latency_ms: u64,
}

/// The server's name for itself.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ServerInfo {
    pub name: String,
    pub version: String,
}

/// Connects to an MCP server and lists its tools.
///
/// # Errors
/// The reason why attendees could not use it. Where the path is what is wrong,
/// the usual path is tried as well, and named if it answers.
pub async fn check(target: &ProbeTarget) -> Result<Report, Failure> {
    match conversation::with(target).await {
        Err(failure) if failure.may_be_the_path() => Err(elsewhere(target, failure).await),
        outcome => outcome,
    }
}

/// Looks for the path that was meant, where `found` is what is at the given one: which
/// path works, or that none of the usual ones does, or which of them would not say.
pub async fn elsewhere(target: &ProbeTarget, found: Failure) -> Failure {
    let mut silent = None;
    for url in usual_places(&target.url) {
        let place = ProbeTarget { url, ..target.clone() };
        let path = || place.url.path().to_owned();
        match Conversation::open(&place).await {
            Ok((conversation, _)) => {
                if conversation.constant().await.is_none() {
                    // Its answer makes no difference.
                    drop(conversation.leave().await);
                }
                return Failure::WrongPath { path: target.url.path().to_owned(), works: path() };
            }
            Err(reason) if reason.may_pass() => silent = silent.or(Some((path(), reason))),
            Err(_) => {}
        }
    }
    match silent {
        Some((path, reason)) => {
            Failure::Unsettled { found: Box::new(found), path, reason: Box::new(reason) }
        }
        None => found,
    }
}

/// Where MCP servers usually answer: `/mcp` below the given path, and at the root.
fn usual_places(url: &Url) -> Vec<Url> {
    let below = format!("{}/mcp", url.path().trim_end_matches('/'));
    let mut places = Vec::new();
    for path in [below.as_str(), "/mcp"] {
        let mut place = url.clone();
        place.set_path(path);
        if place.path() != url.path().trim_end_matches('/') && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_places_are_tried_once_each_and_never_the_given_one() {
        let places = |url: &str| {
            let places = usual_places(&url.parse().unwrap());
            places.iter().map(Url::to_string).collect::<Vec<_>>()
        };
        assert_eq!(places("http://h/"), ["http://h/mcp"]);
        assert_eq!(places("http://h/a?t=1"), ["http://h/a/mcp?t=1", "http://h/mcp?t=1"]);
        assert_eq!(places("http://h/mcp/"), ["http://h/mcp/mcp"]);
    }
}
