//! JSON-RPC as MCP puts it into HTTP: the message, the headers that go with each, and the result in
//! an answer.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::failure::Failure;
use super::transport::{Content, ProbeAnswer, ProbeTarget, Transport};
use crate::net::client::{self, ClientError};

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// The id of the session that an answer opens; an empty one is none.
pub(super) fn session_id(answer: &ProbeAnswer) -> Option<HeaderValue> {
    let id = answer.headers.get(SESSION_ID).filter(|_| answer.status.is_success());
    id.filter(|id| !id.is_empty()).cloned()
}

pub(super) fn client_info() -> Value {
    json!({"name": "ai-proxy", "version": env!("CARGO_PKG_VERSION")})
}

pub(super) fn common_headers() -> HeaderMap {
    let both = HeaderValue::from_static("application/json, text/event-stream");
    let json = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([(header::ACCEPT, both), (header::CONTENT_TYPE, json)])
}

pub(super) async fn post(
    transport: &impl Transport,
    headers: HeaderMap,
    method: &'static str,
    params: Value,
) -> Result<ProbeAnswer, Failure> {
    let mut all = common_headers();
    all.extend(headers);
    let message = json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params});
    transport.ask(Method::POST, all, Some(&message)).await
}

/// The result in an answer, or what stands in its place.
pub(super) fn result(
    target: &ProbeTarget,
    method: &'static str,
    answer: &ProbeAnswer,
) -> Result<Value, Failure> {
    let status = answer.status;
    match (&answer.content, status) {
        (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let sent_as = target.credential.as_ref().map(|(header, _)| header.clone());
            Err(Failure::Unauthorized { status, sent_as })
        }
        (Content::Message(message), _) => match message.get("result") {
            Some(result) if status.is_success() => Ok(result.clone()),
            _ => {
                let error = &message["error"];
                let message = target.plain(error["message"].as_str().unwrap_or_default());
                let code = error["code"].as_i64().unwrap_or_default();
                Err(Failure::Protocol { method, code, message })
            }
        },
        (_, StatusCode::TOO_MANY_REQUESTS) => Err(Failure::BackendError { status }),
        (_, status) if status.is_server_error() => Err(Failure::BackendError { status }),
        (_, StatusCode::MISDIRECTED_REQUEST) => {
            let host = client::authority(&target.url).ok_or(ClientError::BadUrl)?;
            Err(Failure::HostRefused { host })
        }
        (_, StatusCode::NOT_FOUND) => Err(Failure::NotFound { path: target.url.path().to_owned() }),
        (Content::SseEndpoint, _) => Err(Failure::SseOnly),
        (Content::Other(what), status) => Err(Failure::NotMcp { status, what }),
    }
}
