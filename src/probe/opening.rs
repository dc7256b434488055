//! How a conversation is opened in either era of MCP, and why a server refuses.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::failure::Failure;
use super::rpc::{client_info, post, result};
use super::transport::{Content, ProbeAnswer, Transport};

/// The newest revision with sessions.
pub(super) const WITH_SESSIONS: &str = "2025-11-25";

pub(super) async fn initialize(transport: &impl Transport) -> Result<ProbeAnswer, Failure> {
    let params = json!({
        "protocolVersion": WITH_SESSIONS, "capabilities": {}, "clientInfo": client_info(),
    });
    post(transport, HeaderMap::new(), "initialize", params).await
}

/// Of the refusals to open in the one era and in the other, that which says more:
/// a server of the other era says only that it has no such method.
pub(super) fn more_telling(first: Failure, second: Failure) -> Failure {
    const METHOD_NOT_FOUND: i64 = -32601;
    match (&first, &second) {
        (Failure::Protocol { code, .. }, _) if *code != METHOD_NOT_FOUND => first,
        (_, Failure::Protocol { .. }) => second,
        _ => first,
    }
}

/// Why an opening failed, and whether the other era's opening may fare better.
pub(super) struct OpeningFailure {
    pub failure: Failure,
    pub another_era: bool,
}

impl From<Failure> for OpeningFailure {
    fn from(failure: Failure) -> Self {
        OpeningFailure { failure, another_era: false }
    }
}

/// The result of an opening request, or why there is none.
pub(super) async fn opening(
    transport: &impl Transport,
    method: &'static str,
    answer: &ProbeAnswer,
) -> Result<Value, OpeningFailure> {
    let failure = match result(transport.target(), method, answer) {
        Ok(result) => return Ok(result),
        Err(failure) => failure,
    };
    let spoke_json_rpc = matches!(answer.content, Content::Message(_));
    let elsewhere = matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    if elsewhere && !spoke_json_rpc && is_sse_only(transport).await {
        return Err(Failure::SseOnly.into());
    }
    let settled = matches!(failure, Failure::Unauthorized { .. });
    let another_era = spoke_json_rpc || (answer.status.is_client_error() && !elsewhere && !settled);
    Err(OpeningFailure { failure, another_era })
}

/// Whether a GET opens a stream of the HTTP+SSE transport of 2024-11-05.
async fn is_sse_only(transport: &impl Transport) -> bool {
    let accept = HeaderValue::from_static("text/event-stream");
    let headers = HeaderMap::from_iter([(header::ACCEPT, accept)]);
    let answer = transport.ask(Method::GET, headers, None).await;
    answer.is_ok_and(|answer| matches!(answer.content, Content::SseEndpoint))
}
