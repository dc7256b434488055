//! The data plane: what happens to a call, one file per stage, in the order in
//! which a call meets them.
//!
//! `authenticate` (key → caller) → `resolve` (path → target) → `admit` (caller →
//! permit) → `forward` (to the backend and back) → `meter` (one record). Each
//! stage returns what the next one needs to be called at all. `error` is the
//! only map from a refusal to a response; `mcp` holds what is special to MCP.

pub mod admit;
pub mod authenticate;
pub mod backend;
pub mod client_body;
pub mod dropped;
pub mod endpoint_path;
pub mod error;
pub mod forward;
pub mod guessing;
pub mod headers;
pub mod info;
pub mod keep_alive;
pub mod lease;
pub mod live;
pub mod mcp;
pub mod meter;
pub mod origin;
pub mod plane;
pub mod rate;
pub mod refill;
pub mod relay;
pub mod request_body;
pub mod resolve;
pub mod response_body;
pub mod route;
pub mod shared_key;
pub mod synthetic;
pub mod tally;
pub mod throttle;
pub mod upkeep;
pub mod worker;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, EXPECT, Entry, HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, Version};

use self::authenticate::Caller;
use self::client_body::ClientBody;
use self::error::{ProxyError, Shape};
use self::request_body::RequestBody;
use self::response_body::Body;
use self::route::Route;
use self::synthetic::Synthetic;
use self::worker::Worker;
use crate::catalog::resource::Resource;
use crate::clock;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long a refusal waits for the body that holds the id it must echo.
const ID_PATIENCE: Duration = Duration::from_secs(1);

/// One request on its way through the stages.
pub struct Call<'w> {
    pub worker: &'w Arc<Worker>,
    pub peer: IpAddr,
    pub head: Parts,
    pub body: RequestBody,
    /// Who is calling where no key says so.
    synthetic: Option<Arc<Synthetic>>,
    /// Once known: for the rate headers, which refusals carry too.
    caller: Option<Caller>,
    /// Once known: for logs and counters.
    resource: Option<Arc<Resource>>,
    /// Once read: the JSON-RPC id that a refusal echoes.
    rpc_id: Option<Box<str>>,
}

impl<'w> Call<'w> {
    fn new(worker: &'w Arc<Worker>, peer: IpAddr, head: Parts, body: RequestBody) -> Self {
        let (synthetic, caller, resource, rpc_id) = (None, None, None, None);
        Self { worker, peer, head, body, synthetic, caller, resource, rpc_id }
    }

    /// Proves who is calling.
    pub async fn authenticate(&mut self) -> Result<Caller, ProxyError> {
        let caller = match &self.synthetic {
            None => self.worker.plane.authenticate(&self.head.headers, self.peer).await?,
            Some(synthetic) => synthetic.caller(),
        };
        self.caller = Some(caller.clone());
        Ok(caller)
    }

    /// Waits for the turn of so many messages under the burst limit. Whether there was a
    /// wait: then what was checked before must be checked again.
    pub async fn await_turn(&self, caller: &Caller, messages: u32) -> Result<bool, ProxyError> {
        let wait = caller.turn(self.worker.plane.started.elapsed(), messages)?;
        if wait.is_zero() {
            return Ok(false);
        }
        tokio::time::sleep(wait).await;
        Ok(true)
    }
}

/// Serves one request of a client.
///
/// `is_ambiguous`: the connection saw a head that two readers could frame
/// differently; it is refused whatever it asks for.
pub async fn serve(
    worker: &Arc<Worker>,
    peer: IpAddr,
    is_ambiguous: bool,
    request: Request<ClientBody>,
) -> Response<Body> {
    let started = Instant::now();
    let (mut head, incoming) = request.into_parts();
    let id = worker.request_id(head.headers.get(REQUEST_ID));
    head.headers.insert(REQUEST_ID, id.clone());
    // Where the target names its host, as in HTTP/2, that is the one asked for,
    // whatever a Host header says (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
    let authority = head.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(host)) = authority {
        head.headers.insert(HOST, host);
    }
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let route = Route::of(uri.path());
    let body = RequestBody::new(incoming, worker.plane.config.max_body_bytes);
    let mut call = Call::new(worker, peer, head, body);

    let mut page = None;
    let outcome = match is_ambiguous {
        true => Err(ProxyError::AmbiguousFraming),
        false => answer(&mut call, route, &mut page).await,
    };
    let mut response = match outcome {
        Ok(response) => response,
        Err(error) => {
            let shape = shape(&mut call, route).await;
            note_refusal(&call, &error);
            error.into_response(shape)
        }
    };

    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    if let Some(caller) = &call.caller {
        rate_headers(caller, headers);
    }
    if let Some(origin) = page {
        origin::grant(origin, headers);
    }
    if worker.plane.is_draining() && call.head.version <= Version::HTTP_11 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let deployment = call.resource.as_ref().map(|resource| &resource.deployment);
    worker.tally.request(route.family(), Some(response.status()), deployment);
    if worker.plane.config.log_requests {
        tracing::info!(
            request_id = id.to_str().unwrap_or_default(),
            method = logged(&method),
            // Not the path: people put keys into it.
            route = route.family().label(),
            deployment = deployment.map(|name| &**name),
            status = response.status().as_u16(),
            ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            attendee = call.caller.as_ref().map(|caller| &*caller.live.attendee_id),
            "request"
        );
    }
    response
}

/// A method's name, where it is one and not any word that the client made up.
pub fn logged(method: &Method) -> &str {
    let known = [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS, Method::HEAD];
    if known.contains(method) { method.as_str() } else { "(other)" }
}

/// The checks that come before anybody is authenticated, then the route.
async fn answer(
    call: &mut Call<'_>,
    route: Route<'_>,
    page: &mut Option<HeaderValue>,
) -> Result<Response<Body>, ProxyError> {
    let plane = &call.worker.plane;
    match route {
        Route::Healthz => return Ok(info::healthy()),
        Route::Readyz => return info::ready(plane),
        _ => {}
    }
    *page = plane.origins.check(&call.head.headers)?;
    if plane.is_draining() {
        return Err(ProxyError::ShuttingDown);
    }
    let allow = route.allow();
    if page.is_some() && origin::is_preflight(&call.head.method, &call.head.headers) {
        return Ok(origin::preflight(allow, &call.head.headers));
    }
    match route {
        Route::Unknown => return Err(ProxyError::RouteNotFound),
        Route::SignIn => return Err(ProxyError::NoSignIn),
        _ => {}
    }
    if !route.allows(&call.head.method) {
        return Err(ProxyError::MethodNotAllowed { allow });
    }
    match route {
        Route::Mcp { deployment, rest } => mcp::serve(call, deployment, rest).await,
        Route::EventInfo => info::caller_event(call).await,
        Route::Event { id } => info::event(call, id),
        Route::Usage => info::usage(call).await,
        Route::Healthz | Route::Readyz | Route::SignIn | Route::Unknown => {
            Err(ProxyError::RouteNotFound)
        }
    }
}

/// How the clients of this route read errors; for JSON-RPC peers that takes
/// the request's id, for which the body is read a little.
async fn shape(call: &mut Call<'_>, route: Route<'_>) -> Shape {
    if !matches!(route, Route::Mcp { .. }) {
        return Shape::Plain;
    }
    if call.head.method != Method::POST {
        return Shape::JsonRpc { id: None };
    }
    let waits = call.body.is_untouched() && expects_continue(&call.head.headers);
    if call.rpc_id.is_none() && !waits {
        // What was read until then will do; of a broken body, too.
        let _ = tokio::time::timeout(ID_PATIENCE, call.body.read_ahead()).await;
        call.rpc_id = mcp::peek::id(call.body.ahead());
    }
    Shape::JsonRpc { id: call.rpc_id.take() }
}

/// Whether the client holds its body back until it is asked for it, which a
/// refusal does not do (RFC 9110 §10.1.1).
fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn note_refusal(call: &Call<'_>, error: &ProxyError) {
    if let Some(caller) = &call.caller {
        caller.live.ledger.lock().refuse(error.code(), clock::now_ms());
    }
}

/// The rate headers of OpenAI's clients: limit, remaining, reset.
const RATE: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];

/// How ours are named where the backend sent any of them.
const OUR_RATE: [HeaderName; 3] = [
    HeaderName::from_static("x-proxy-ratelimit-limit-requests"),
    HeaderName::from_static("x-proxy-ratelimit-remaining-requests"),
    HeaderName::from_static("x-proxy-ratelimit-reset-requests"),
];

/// Adds the headers that say what is left of the caller's daily cap. Clients read the three
/// together, so headers of one name all come from one source.
fn rate_headers(caller: &Caller, headers: &mut HeaderMap) {
    let now_ms = clock::now_ms();
    let used = caller.live.spent(clock::today(now_ms));
    let remaining = caller.daily_cap.saturating_sub(used);
    let values = [caller.daily_cap.into(), remaining.into(), clock::seconds_to_midnight(now_ms)];
    let values = values.map(HeaderValue::from);
    for (done, (name, value)) in RATE.into_iter().zip(&values).enumerate() {
        match headers.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value.clone());
            }
            Entry::Occupied(_) => {
                for ours in &RATE[..done] {
                    headers.remove(ours);
                }
                headers.extend(OUR_RATE.into_iter().zip(values));
                return;
            }
        }
    }
}
