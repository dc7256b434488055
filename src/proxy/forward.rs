//! The call to the backend: its request made from the client's, sent, repeated
//! where that is safe, redirected where that stays inside, and answered.

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, LOCATION, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode};
use url::Url;

use super::admit::Permit;
use super::backend::{Failed, Head, Incoming};
use super::body::{BoxError, ReadError, RequestBody};
use super::error::{ERROR_SOURCE, ProxyError};
use super::headers;
use super::resolve::Target;
use super::worker::Worker;
use crate::catalog::resource::Endpoint;

/// Redirects followed for the client.
const MAX_REDIRECTS: usize = 3;

/// How often a request that no backend can have seen is sent anew.
const MAX_TRIES: usize = 4;

/// A request for the backend, as often as it has to be made.
pub struct Outgoing {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: RequestBody,
}

impl Outgoing {
    /// Takes off the client's headers what no backend may get, and puts on the
    /// backend's own name and key.
    pub fn new(method: Method, mut headers: HeaderMap, target: &Target, body: RequestBody) -> Self {
        headers::strip_request(&mut headers);
        let resource = &target.resource;
        headers.insert(HOST, resource.endpoint.host_header.clone());
        if let Some((name, value)) = resource.credential() {
            headers.insert(name, value);
        }
        Self { method, headers, body }
    }
}

/// Sends the request and follows the redirects that stay on the registered
/// origin, until there is an answer for the client.
pub async fn call(
    worker: &Worker,
    target: &Target,
    outgoing: &mut Outgoing,
    permit: &mut Permit,
) -> Result<Response<Incoming>, ProxyError> {
    let time = worker.plane.config.backend_timeout.0;
    tokio::time::timeout(time, follow(worker, target, outgoing, permit)).await.unwrap_or_else(
        |_| Err(ProxyError::BackendTimeout { deployment: target.resource.deployment.to_string() }),
    )
}

async fn follow(
    worker: &Worker,
    target: &Target,
    outgoing: &mut Outgoing,
    permit: &mut Permit,
) -> Result<Response<Incoming>, ProxyError> {
    let deployment = || target.resource.deployment.to_string();
    let mut path = target.path.clone();
    for _ in 0..=MAX_REDIRECTS {
        let again = outgoing.body.again();
        let answer = send(worker, target, outgoing, &path, permit).await?;
        let status = answer.status();
        if has_two_lengths(answer.headers()) {
            return Err(ProxyError::BackendProtocol { deployment: deployment() });
        }
        if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        let keeps_method =
            matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        let next = location(&target.resource.endpoint, &path, answer.headers());
        match (again, next) {
            (Some(body), Some(next)) if keeps_method => {
                outgoing.body = body;
                path = next;
            }
            _ => break,
        }
    }
    Err(ProxyError::BackendRedirect { deployment: deployment() })
}

/// An answer whose end could be seen in two places (RFC 9112 §6.3).
fn has_two_lengths(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING)
}

/// Where a redirect leads, if that is on the registered host. The scheme may
/// differ: a server behind a TLS front says `http://` of itself.
#[expect(
    clippy::disallowed_methods,
    reason = "a Location is relative; its origin is checked below"
)]
fn location(
    endpoint: &Endpoint,
    current: &PathAndQuery,
    headers: &HeaderMap,
) -> Option<PathAndQuery> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let base = Url::parse(&format!("{}{current}", endpoint.origin)).ok()?;
    let next = base.join(location).ok()?;
    let is_http = matches!(next.scheme(), "http" | "https");
    let same_port = next.port().is_none() || next.port_or_known_default() == Some(endpoint.port);
    if !is_http || next.host_str() != base.host_str() || !same_port {
        return None;
    }
    next[url::Position::BeforePath..url::Position::AfterQuery].parse().ok()
}

/// Sends one request. It is sent again, on another connection, only where the
/// one that was tried had closed before taking a byte of it.
async fn send(
    worker: &Worker,
    target: &Target,
    outgoing: &mut Outgoing,
    path: &PathAndQuery,
    permit: &mut Permit,
) -> Result<Response<Incoming>, ProxyError> {
    let deployment = || target.resource.deployment.to_string();
    let mut body = outgoing.body.take();
    let head = Head { method: &outgoing.method, path, headers: &outgoing.headers };
    for _ in 0..MAX_TRIES {
        let connected = worker.pool.get(&worker.plane.dialer, &target.resource.endpoint).await;
        let connection = match connected {
            Ok(connection) => connection,
            Err(reason) => {
                tracing::debug!(deployment = deployment(), %reason, "no connection to a backend");
                break;
            }
        };
        permit.spend();
        match connection.send(&head, body).await {
            Ok(answer) => return Ok(answer),
            Err(Failed::Unsent(unsent)) => {
                permit.unspend();
                body = unsent;
            }
            Err(Failed::Broken(reason)) => return Err(broken(&reason, deployment())),
        }
    }
    Err(ProxyError::BackendUnreachable { deployment: deployment() })
}

/// The failure of a request of which the backend may have seen something.
fn broken(reason: &BoxError, deployment: String) -> ProxyError {
    tracing::debug!(deployment, %reason, "a backend call failed");
    match reason.downcast_ref::<ReadError>() {
        Some(error) => (*error).into(),
        None => ProxyError::BackendProtocol { deployment },
    }
}

/// What the client gets of the backend's head.
pub fn client_head(answer: &mut Response<Incoming>) {
    let status = answer.status();
    headers::strip_response(answer.headers_mut());
    if status.as_u16() >= 400 {
        answer.headers_mut().insert(ERROR_SOURCE, HeaderValue::from_static("backend"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(endpoint: &str, location_header: &'static str) -> Option<String> {
        let endpoint = Endpoint::parse(endpoint).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static(location_header));
        location(&endpoint, &PathAndQuery::from_static("/mcp/"), &headers)
            .map(|path| path.to_string())
    }

    #[test]
    fn redirects_stay_on_the_registered_host() {
        let to = |path: &str| Some(path.to_owned());
        assert_eq!(leads("http://h:8000/mcp", "http://h:8000/mcp?a=b"), to("/mcp?a=b"));
        assert_eq!(leads("http://h:8000/mcp", "/x"), to("/x"));
        assert_eq!(leads("http://h:8000/mcp", "x"), to("/mcp/x"));
        assert_eq!(leads("https://h/mcp", "http://h/mcp"), to("/mcp"), "behind a TLS front");
        assert_eq!(leads("http://h:8000/mcp", "http://other:8000/mcp"), None);
        assert_eq!(leads("http://h:8000/mcp", "//other/mcp"), None);
        assert_eq!(leads("http://h:8000/mcp", "http://h:9000/mcp"), None);
        assert_eq!(leads("http://h:8000/mcp", "ftp://h/mcp"), None);
        assert_eq!(leads("http://h/mcp", "http://h@other/mcp"), None);
    }
}
