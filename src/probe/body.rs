//! The body of an answer, read as far as the JSON-RPC response that was asked for.

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::failure::Failure;
use super::sse;
use super::transport::Content;

/// More than any list of tools; a backend that sends more is not read further.
pub(super) const LARGEST_ANSWER: usize = 4 << 20;

/// Reads a body as far as the response to the request `id`, and says how many bytes that were.
///
/// # Errors
/// The body broke off; `broken` says how that is told.
pub async fn read<B>(
    headers: &HeaderMap,
    mut body: B,
    id: Option<&Value>,
    broken: fn(&B::Error) -> Failure,
) -> Result<(Content, usize), Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut bytes = 0;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let content = match kind.as_str() {
        "text/event-stream" => return read_events(body, id, broken).await,
        "application/json" => {
            let mut text = Vec::new();
            while let Some(chunk) = next_chunk(&mut body, broken).await? {
                text.extend_from_slice(&chunk);
                bytes = text.len();
                if bytes > LARGEST_ANSWER {
                    return Ok((Content::Other("a very large JSON document"), bytes));
                }
            }
            let answer = serde_json::from_slice(&text).ok().filter(|value| answers(value, id));
            answer.map_or(Content::Other("JSON that is not JSON-RPC"), Content::Message)
        }
        "text/html" | "application/xhtml+xml" => Content::Other("a web page"),
        "" => Content::Other("no content type"),
        _ => Content::Other("another content type"),
    };
    Ok((content, bytes))
}

/// Reads until the answer comes by; what the server says besides is passed over, but counts.
async fn read_events<B>(
    mut body: B,
    id: Option<&Value>,
    broken: fn(&B::Error) -> Failure,
) -> Result<(Content, usize), Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut bytes = 0;
    let mut events = sse::Reader::default();
    while let Some(chunk) = next_chunk(&mut body, broken).await? {
        events.push(&chunk);
        bytes += chunk.len();
        while let Some(event) = events.next_event() {
            if event.kind.as_deref() == Some("endpoint") {
                return Ok((Content::SseEndpoint, bytes));
            }
            let message = serde_json::from_str(&event.data).ok();
            if let Some(message) = message.filter(|message| answers(message, id)) {
                return Ok((Content::Message(message), bytes));
            }
        }
        if events.pending() > LARGEST_ANSWER {
            return Ok((Content::Other("a very large event"), bytes));
        }
        if bytes > LARGEST_ANSWER {
            break;
        }
    }
    Ok((Content::Other("an event stream without an answer"), bytes))
}

async fn next_chunk<B>(
    body: &mut B,
    broken: fn(&B::Error) -> Failure,
) -> Result<Option<Bytes>, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        if let Ok(chunk) = frame.map_err(|error| broken(&error))?.into_data() {
            return Ok(Some(chunk));
        }
    }
    Ok(None)
}

/// Whether this is a JSON-RPC response to the request with this id. An error about
/// a request that the server could not read carries `null`.
fn answers(message: &Value, id: Option<&Value>) -> bool {
    let is_response = message.get("result").is_some() || message.get("error").is_some();
    let same = message.get("id").is_none_or(|given| given.is_null() || Some(given) == id);
    message.get("jsonrpc").is_some() && is_response && same
}
