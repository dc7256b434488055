//! The way in: each request becomes a [`Call`], passes the checks that come before
//! authentication, and goes where its route leads. On the way out its answer gets the
//! headers that all answers have, and the request its line in the log.
//!
//! Clients come by [`serve`], calls from inside the process by [`serve_inside`].

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode, Version};

use super::call::Call;
use super::client_body::ClientBody;
use super::error::{ProxyError, Shape};
use super::mcp::{self, Mcp};
use super::request_body::RequestBody;
use super::response_body::Body;
use super::route::{Route, logged};
use super::synthetic::Synthetic;
use super::worker::{REQUEST_ID, Worker};
use super::{challenge, info, origin, rate_headers};
use crate::clock::millis;

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
    let (head, incoming) = request.into_parts();
    let body = RequestBody::new(incoming, worker.plane.config.max_body_bytes);
    let mut call = Call::new(worker, peer, head, body);
    let uri = call.head.uri.clone();
    let route = Route::of(uri.path());

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
            let challenge = route
                .deployment()
                .filter(|_| worker.plane.config.has_oauth())
                .and_then(|_| challenge::of(&call, &error));
            let mut response = error.into_response(shape);
            response.headers_mut().extend(challenge.map(|value| (WWW_AUTHENTICATE, value)));
            response
        }
    };

    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, call.id.clone());
    if let Some(caller) = &call.caller {
        rate_headers::add(caller, &worker.plane.clock, headers);
    }
    if let Some(origin) = page {
        origin::grant(origin, headers);
    }
    if worker.plane.is_draining() && call.head.version <= Version::HTTP_11 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let deployment = call.resource.as_ref().map(|resource| &resource.deployment);
    worker.tally.request(route.family(), Some(response.status()), deployment);
    log(&call, route, response.status());
    response
}

/// Serves one call from inside the process, as [`serve`] does a client's: that of a synthetic caller
/// or, where there is `None`, of the attendee whose key is in the request. What would be a refusal to
/// a client is returned unchanged.
///
/// # Errors
/// Why the proxy would have refused, or could not forward.
pub async fn serve_inside(
    worker: &Arc<Worker>,
    synthetic: Option<&Arc<Synthetic>>,
    request: Request<Bytes>,
) -> Result<Response<Body>, ProxyError> {
    let (head, body) = request.into_parts();
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut call = Call::new(worker, peer, head, RequestBody::whole(body));
    call.synthetic = synthetic.cloned();
    let uri = call.head.uri.clone();
    let route = Route::of(uri.path());
    let outcome = answer(&mut call, route, &mut None).await;
    if let (None, Err(error)) = (synthetic, &outcome) {
        note_refusal(&call, error);
    }
    log(&call, route, outcome.as_ref().map_or_else(ProxyError::status, Response::status));
    outcome
}

/// The line of a request, where requests are logged.
fn log(call: &Call<'_>, route: Route<'_>, status: StatusCode) {
    if !call.worker.plane.config.log_requests {
        return;
    }
    let synthetic = call.synthetic.as_deref();
    let caller = call.caller.as_ref().filter(|_| synthetic.is_none());
    tracing::info!(
        target: "ai_proxy::proxy",
        request_id = call.id.to_str().unwrap_or_default(),
        method = logged(&call.head.method),
        // Not the path: people put keys into it.
        route = route.family().label(),
        deployment = call.resource.as_ref().map(|resource| &*resource.deployment),
        status = status.as_u16(),
        ms = millis(call.started.elapsed()),
        attendee = caller.map(|caller| &*caller.live.attendee_id),
        event = synthetic.map(Synthetic::event_id),
        preflight = synthetic.map(|_| true),
        "request"
    );
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
        // Where people can sign in, it is at other paths.
        Route::SignIn if plane.config.has_oauth() => return Err(ProxyError::RouteNotFound),
        Route::SignIn => return Err(ProxyError::NoSignIn),
        _ => {}
    }
    if !route.allows(&call.head.method) {
        return Err(ProxyError::MethodNotAllowed { allow });
    }
    match route {
        Route::Mcp { deployment, rest } => call.serve(&Mcp { deployment, rest }).await,
        Route::EventInfo => info::caller_event(call).await,
        Route::Event { id } => info::event(call, id),
        Route::Usage => info::usage(call).await,
        Route::Healthz | Route::Readyz | Route::SignIn | Route::Unknown => {
            Err(ProxyError::RouteNotFound)
        }
    }
}

/// How the clients of this route read errors.
async fn shape(call: &mut Call<'_>, route: Route<'_>) -> Shape {
    match route {
        Route::Mcp { .. } => mcp::shape(call).await,
        _ => Shape::Plain,
    }
}

fn note_refusal(call: &Call<'_>, error: &ProxyError) {
    if let Some(caller) = &call.caller {
        let now_ms = call.worker.plane.clock.now_ms();
        caller.live.ledger.lock().refuse(error.code(), now_ms);
    }
}
