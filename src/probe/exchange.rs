//! One request to the MCP server and what came back, reduced to what a probe asks.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use url::Url;

use super::{Failure, ProbeTarget, sse};
use crate::net::affinity;
use crate::net::client::{self, ClientError, Connection, in_time};
use crate::net::redirect::{self, MAX_REDIRECTS, RedirectRule};

/// More than any list of tools; a backend that sends more is not read further.
pub(super) const LARGEST_ANSWER: usize = 4 << 20;

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub content: Content,
    /// Bytes of the body that were read for it.
    pub bytes: usize,
    /// The cookies that a load balancer set on it, and on redirects before it.
    pub affinity: Option<HeaderValue>,
    /// Until the connection stood, and from then until the content was read.
    pub connected_in: Duration,
    pub answered_in: Duration,
}

/// The body, as far as it means something here.
pub enum Content {
    /// A JSON-RPC response with the id that was asked for.
    Message(Value),
    /// An event stream of the older transport, which begins by naming its POST address.
    SseEndpoint,
    /// Something else, for people: "a web page", "no body".
    Other(&'static str),
}

/// Sends one request, and follows redirects on the registered origin.
pub(super) async fn ask(
    target: &ProbeTarget,
    method: Method,
    mut headers: HeaderMap,
    body: Option<&Value>,
) -> Result<Answer, Failure> {
    let mut url = target.url.clone();
    let is_https = url.scheme() == "https";
    for _ in 0..=MAX_REDIRECTS {
        let mut answer = ask_once(target, &url, method.clone(), headers.clone(), body).await?;
        let kept = headers.get(header::COOKIE);
        // Too many to be kept by the data plane are not kept here either.
        answer.affinity = affinity::collect(kept, &answer.headers, is_https).unwrap_or_default();
        if let Some(affinity) = &answer.affinity {
            headers.insert(header::COOKIE, affinity.clone());
        }
        if !redirect::is_redirect(answer.status) {
            return Ok(answer);
        }
        let to = answer.headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("");
        match RedirectRule::PROBE.follow(&url, to) {
            Some(next) if redirect::keeps_method(answer.status) => url = next,
            _ => return Err(Failure::Redirect { status: answer.status, to: plain(target, to) }),
        }
    }
    Err(Failure::RedirectLoop)
}

async fn ask_once(
    target: &ProbeTarget,
    url: &Url,
    method: Method,
    headers: HeaderMap,
    body: Option<&Value>,
) -> Result<Answer, Failure> {
    let started = Instant::now();
    let (policy, limit) = (target.policy, target.connect_timeout);
    let mut connection = Connection::open(&target.url, policy, limit).await?;
    let connected_in = started.elapsed();
    let request = request(target, url, method, headers, body)?;
    let id = body.and_then(|body| body.get("id")).cloned();
    let exchange = async {
        let response = connection.send(request).await.map_err(|error| broken(&error))?;
        let (head, body) = response.into_parts();
        let (content, bytes) = read(&head.headers, body, id.as_ref(), broken).await?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            content,
            bytes,
            affinity: None,
            connected_in,
            answered_in: started.elapsed() - connected_in,
        })
    };
    in_time(target.answer_timeout, "the answer", exchange).await?
}

fn request(
    target: &ProbeTarget,
    url: &Url,
    method: Method,
    headers: HeaderMap,
    body: Option<&Value>,
) -> Result<Request<Full<Bytes>>, Failure> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = client::request(url, client::path_and_query(url), method, body);
    let mut request = request.map_err(|_| ClientError::BadUrl)?;
    request.headers_mut().extend(headers);
    let headers = request.headers_mut();
    let agent = HeaderValue::from_static(concat!("ai-proxy/", env!("CARGO_PKG_VERSION")));
    headers.insert(header::USER_AGENT, agent);
    if let Some((name, value)) = &target.credential {
        let kept = headers.get(name).filter(|_| *name == header::COOKIE);
        let value = kept.map_or_else(|| value.clone(), |kept| affinity::beside(value, kept));
        headers.insert(name, value);
    }
    Ok(request)
}

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

fn broken(error: &hyper::Error) -> Failure {
    ClientError::broken(error).into()
}

/// A backend's text as it may be shown: one line, short, without the backend key.
pub(super) fn plain(target: &ProbeTarget, text: &str) -> String {
    let secret = target.credential.as_ref().and_then(|(_, value)| value.to_str().ok());
    let secret = secret.map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
    let text = match secret.filter(|secret| !secret.is_empty()) {
        Some(secret) => text.replace(secret, "…"),
        None => text.to_owned(),
    };
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
