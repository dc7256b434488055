//! The call to the backend: its request made from the client's, sent, repeated
//! where that is safe, redirected where that stays inside, and answered.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::header::{COOKIE, HOST, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, response};
use tokio::time::Instant;
use url::Url;

use super::admit::Permit;
use super::backend::{Head, Incoming, SendError};
use super::client_body::{BoxError, ReadError};
use super::dropped::DroppedHeaders;
use super::error::{ERROR_SOURCE, ProxyError};
use super::headers;
use super::request_body::RequestBody;
use super::resolve::CallTarget;
use super::worker::Worker;
use crate::catalog::resource::Endpoint;
use crate::net::affinity::{self, TooLarge as LargeAffinity};
use crate::net::client;
use crate::net::redirect::{self, MAX_REDIRECTS};

/// How many connections are tried for a request that no backend can have seen.
const MAX_TRIES: usize = 4;

/// A request for the backend, as often as it has to be made.
pub struct Outgoing {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: RequestBody,
    /// Whether a backend that has seen it may see it once more.
    pub is_repeatable: bool,
    /// The load balancer's cookies that go with it.
    affinity: Option<HeaderValue>,
    has_large_affinity: bool,
    /// The backend key, where the resource sends it in a cookie.
    key_cookie: Option<HeaderValue>,
}

impl Outgoing {
    /// Takes off the client's headers what no backend may get, and puts on the
    /// backend's own name and key.
    pub fn new(
        method: Method,
        mut headers: HeaderMap,
        target: &CallTarget,
        body: RequestBody,
        dropped: &DroppedHeaders,
    ) -> Self {
        let resource = &target.resource;
        dropped.count(&resource.id, &headers::strip_request(&mut headers));
        headers.insert(HOST, resource.endpoint.host_header.clone());
        if let Some((name, value)) = resource.credential() {
            headers::put_credential(&mut headers, name, value);
        }
        // The client's own was taken off: this can only be the backend key.
        let key_cookie = headers.get(COOKIE).cloned();
        Self {
            method,
            headers,
            body,
            is_repeatable: false,
            affinity: None,
            has_large_affinity: false,
            key_cookie,
        }
    }

    /// Sends these cookies with it, beside a backend key that is one.
    pub fn set_affinity(&mut self, affinity: Option<HeaderValue>) {
        let cookies = match (&affinity, &self.key_cookie) {
            (Some(affinity), Some(key)) => Some(affinity::beside(key, affinity)),
            (affinity, key) => affinity.clone().or_else(|| key.clone()),
        };
        match cookies {
            Some(cookies) => drop(self.headers.insert(COOKIE, cookies)),
            None => drop(self.headers.remove(COOKIE)),
        }
        self.affinity = affinity;
    }

    /// Takes up the cookies of an answer.
    pub fn collect_affinity(&mut self, answer: &HeaderMap, is_https: bool) {
        if self.has_large_affinity || !answer.contains_key(SET_COOKIE) {
            return;
        }
        match affinity::collect(self.affinity.as_ref(), answer, is_https) {
            Ok(affinity) => self.set_affinity(affinity),
            Err(LargeAffinity) => {
                self.has_large_affinity = true;
                self.set_affinity(None);
            }
        }
    }

    /// The cookies that were collected.
    ///
    /// # Errors
    /// They were too large to be kept.
    pub fn take_affinity(&mut self) -> Result<Option<HeaderValue>, LargeAffinity> {
        if self.has_large_affinity { Err(LargeAffinity) } else { Ok(self.affinity.take()) }
    }
}

/// Sends the request and follows the redirects that stay on the registered
/// origin, until there is an answer for the client.
pub(super) async fn call(
    worker: &Worker,
    target: &CallTarget,
    outgoing: &mut Outgoing,
    permit: &mut Permit,
) -> Result<Response<Incoming>, ProxyError> {
    let time = worker.plane.config.backend_timeout.0;
    let waits_for_client = outgoing.body.waiting();
    let answer = follow(worker, target, outgoing, permit);
    within(time, waits_for_client, answer).await.unwrap_or_else(|| {
        Err(ProxyError::BackendTimeout { deployment: target.resource.deployment.to_string() })
    })
}

/// Runs `work` for `time`; `None` where that is too short. The time while it waits for
/// the client does not count.
async fn within<T>(
    time: Duration,
    waits_for_client: Option<Arc<AtomicBool>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let (mut work, mut clock) = (pin!(work), pin!(tokio::time::sleep(time)));
    // Time that was left when the clock was stopped.
    let mut stopped: Option<Duration> = None;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if waits_for_client.as_ref().is_some_and(|waits| waits.load(Ordering::Relaxed)) {
            let left = || clock.deadline().saturating_duration_since(Instant::now());
            stopped.get_or_insert_with(left);
            return Poll::Pending;
        }
        if let Some(left) = stopped.take() {
            clock.as_mut().reset(Instant::now() + left);
        }
        clock.as_mut().poll(cx).map(|()| None)
    })
    .await
}

async fn follow(
    worker: &Worker,
    target: &CallTarget,
    outgoing: &mut Outgoing,
    permit: &mut Permit,
) -> Result<Response<Incoming>, ProxyError> {
    let deployment = || target.resource.deployment.to_string();
    let mut path = target.path.clone();
    for _ in 0..=MAX_REDIRECTS {
        let again = outgoing.body.again();
        let answer = send(worker, target, outgoing, &path, permit).await?;
        let status = answer.status();
        if !redirect::is_redirect(status) {
            return Ok(answer);
        }
        let next = location(&target.resource.endpoint, &path, status, answer.headers());
        match (again, next) {
            (Some(body), Some(next)) => {
                let is_https = target.resource.endpoint.https;
                outgoing.collect_affinity(answer.headers(), is_https);
                outgoing.body = body;
                path = next;
            }
            _ => break,
        }
    }
    Err(ProxyError::BackendRedirect { deployment: deployment() })
}

/// Where a redirect leads, if it is followed.
fn location(
    endpoint: &Endpoint,
    current: &PathAndQuery,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<PathAndQuery> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let current = Url::parse(&format!("{}{current}", endpoint.origin)).ok()?;
    let next = redirect::follow(&current, status, location)?;
    client::path_and_query(&next).parse().ok()
}

/// Sends one request. It is sent again, on another connection, where the one that was
/// tried had closed before taking a byte of it; and once more on a new one where it may
/// be repeated and the connection closed without a byte of an answer.
async fn send(
    worker: &Worker,
    target: &CallTarget,
    outgoing: &mut Outgoing,
    path: &PathAndQuery,
    permit: &mut Permit,
) -> Result<Response<Incoming>, ProxyError> {
    let deployment = || target.resource.deployment.to_string();
    let (pool, dialer) = (&worker.pool, &worker.plane.dialer);
    let endpoint = &target.resource.endpoint;
    let mut body = outgoing.body.take();
    let mut once_more = if outgoing.is_repeatable { body.again() } else { None };
    let mut is_repeated = false;
    let head = Head { method: &outgoing.method, path, headers: &outgoing.headers };
    for _ in 0..MAX_TRIES {
        let connected = match is_repeated {
            true => pool.dial(dialer, endpoint).await,
            false => pool.get(dialer, endpoint).await,
        };
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
            Err(SendError::Unsent(unsent)) => {
                // Unless another connection took the request before.
                if !is_repeated {
                    permit.unspend();
                }
                body = unsent;
            }
            Err(SendError::Closed { reason, was_heard }) => match once_more.take() {
                Some(again) if !was_heard => (body, is_repeated) = (again, true),
                _ => {
                    let deployment = deployment();
                    tracing::debug!(deployment, %reason, "a backend closed the connection early");
                    return Err(ProxyError::BackendClosed { deployment });
                }
            },
            Err(SendError::Broken(reason)) => return Err(broken(&reason, deployment())),
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
pub(super) fn client_head(head: &mut response::Parts) {
    headers::strip_response(&mut head.headers);
    if head.status.as_u16() >= 400 {
        head.headers.insert(ERROR_SOURCE, HeaderValue::from_static("backend"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(endpoint: &str, location_header: &'static str) -> Option<String> {
        let endpoint = Endpoint::parse(endpoint).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static(location_header));
        location(
            &endpoint,
            &PathAndQuery::from_static("/mcp/"),
            StatusCode::TEMPORARY_REDIRECT,
            &headers,
        )
        .map(|path| path.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_the_client_takes_does_not_count() {
        let second = Duration::from_secs(1);
        let waits = Arc::new(AtomicBool::new(false));
        let work = async |before: u32, client: u32, after: u32| {
            tokio::time::sleep(second * before).await;
            waits.store(true, Ordering::Relaxed);
            tokio::time::sleep(second * client).await;
            waits.store(false, Ordering::Relaxed);
            tokio::time::sleep(second * after).await;
        };
        for (before, client, after, is_in_time) in
            [(1, 0, 1, true), (1, 99, 1, true), (2, 99, 2, false), (4, 0, 0, false)]
        {
            let began = Instant::now();
            let done = within(second * 3, Some(waits.clone()), work(before, client, after)).await;
            assert_eq!(done.is_some(), is_in_time, "{before} {client} {after}");
            assert!(is_in_time || began.elapsed() < second * (client + 4), "{before} {client}");
        }
        assert_eq!(within(second * 3, None, work(1, 99, 1)).await, None);
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
