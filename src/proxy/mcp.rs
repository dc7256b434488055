//! A call to an MCP server, from the key to the last byte of the answer: the
//! stages of the data plane in their order, and what is special to MCP.

pub mod binder;
pub mod coding;
pub mod constant;
pub mod peek;
pub mod session;
pub mod tend;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Response};
use smallvec::SmallVec;

use self::peek::Peek;
use self::session::{Held, Looked};
use super::admit::Permit;
use super::authenticate::Caller;
use super::backend::Incoming;
use super::error::ProxyError;
use super::forward::{self, Outgoing};
use super::keep_alive::KeepAlive;
use super::live::{Endings, OpenRequest};
use super::meter::{Meter, Operation};
use super::relay::Relay;
use super::request_body::READ_AHEAD;
use super::resolve::Target;
use super::response_body::Body;
use super::{Call, ID_PATIENCE};
use crate::catalog::{Digest, session_mark};
use crate::net::affinity::TooLarge;

/// How long a request may take to come in before what was checked at its head is
/// checked again: a change reaches every replica in about this time.
const STALE: Duration = Duration::from_secs(1);

/// Everything that a call must hold to be forwarded.
struct Admitted {
    caller: Caller,
    target: Target,
    session: Option<Held>,
    operations: SmallVec<[(Operation, u32); 1]>,
    open: OpenRequest,
    permit: Permit,
    is_repeatable: bool,
}

/// Serves `/api/v1/mcp/{deployment}{rest}`.
pub async fn serve(
    call: &mut Call<'_>,
    deployment: &str,
    rest: &str,
) -> Result<Response<Body>, ProxyError> {
    let admitted = admit(call, deployment, rest).await?;
    forward(call, admitted).await
}

async fn admit(call: &mut Call<'_>, deployment: &str, rest: &str) -> Result<Admitted, ProxyError> {
    let plane = &call.worker.plane;
    let began = Instant::now();
    let query = call.head.uri.query().map(str::to_owned);
    let caller = call.authenticate().await?;
    let target = Target::mcp(&caller, deployment, rest, query.as_deref())?;
    call.resource = Some(target.resource.clone());

    // Held while the body comes in, which may take its time; who has no place
    // is told so, but not before what else is wrong.
    let open = caller.open();
    let peek = match &open {
        Ok(_) => read(call).await?,
        Err(full) => {
            let read = tokio::time::timeout(ID_PATIENCE, read(call)).await;
            read.unwrap_or_else(|_| Err(full.clone()))?
        }
    };
    let id = session::presented(&mut call.head.headers)?.map(digest);
    let mut looked = call.look_session(&caller, &target, id).await?;

    let open = open?;
    let has_waited = call.await_turn(&caller, peek.messages).await?;
    let (caller, target) = if has_waited || began.elapsed() >= STALE {
        let caller = call.authenticate().await?;
        let target = Target::mcp(&caller, deployment, rest, query.as_deref())?;
        looked = call.look_session(&caller, &target, id).await?;
        (caller, target)
    } else {
        (caller, target)
    };
    let permit = plane.admit(&caller, peek.counts).await?;
    // Written last, when nothing else stands against the call.
    let session = match looked {
        Some(looked) => plane.hold_session(looked).await?,
        None => None,
    };
    let (is_repeatable, operations) = (is_repeatable(&peek), peek.operations);
    Ok(Admitted { caller, target, session, operations, open, permit, is_repeatable })
}

/// Whether the backend may get it twice: every message of it is known for certain to
/// have no side effects.
fn is_repeatable(peek: &Peek) -> bool {
    let is_harmless = |method: &str| {
        matches!(method, "initialize" | "ping" | "server/discover")
            || (method.ends_with("/list") && !method.starts_with("notifications/"))
    };
    peek.counts == 0 && peek.operations.iter().all(|(operation, _)| is_harmless(&operation.method))
}

impl Call<'_> {
    /// Looks whose the session is that the request names, if it names one. The proxy's
    /// own calls are asked nothing: nobody else has their sessions.
    async fn look_session(
        &self,
        caller: &Caller,
        target: &Target,
        id: Option<Digest>,
    ) -> Result<Option<Looked>, ProxyError> {
        let Some(id) = id.filter(|_| self.synthetic.is_none()) else { return Ok(None) };
        let looked = self.worker.plane.look_session(caller, target, id).await?;
        if matches!(looked, Looked::Constant) && self.head.method == Method::DELETE {
            return Err(ProxyError::MethodNotAllowed { allow: "GET, POST" });
        }
        Ok(Some(looked))
    }
}

/// What the request asks for: its body, or, where none is meant, its method.
async fn read(call: &mut Call<'_>) -> Result<Peek, ProxyError> {
    if call.head.method != Method::POST {
        // A backend that leaves it unread would take it for its next request.
        if call.body.has_content().await? {
            return Err(ProxyError::BodyNotAllowed);
        }
        let method = match call.head.method {
            Method::DELETE => "(end session)",
            _ => "(stream)",
        };
        let operation = Operation { method: method.into(), name: String::new() };
        let operations = SmallVec::from_iter([(operation, 1)]);
        return Ok(Peek { operations, messages: 1, ..Peek::default() });
    }
    call.body.check_length()?;
    call.body.read_ahead().await?;
    if !coding::is_plain(&call.head.headers) {
        return Err(ProxyError::UnsupportedMediaType);
    }
    let is_complete = call.body.is_complete();
    let mut peek = peek::peek(call.body.ahead(), is_complete)
        .ok_or(ProxyError::BodyTooLarge { limit: READ_AHEAD as u64 })?;
    call.rpc_id = peek.id.take();
    Ok(peek)
}

async fn forward(call: &mut Call<'_>, admitted: Admitted) -> Result<Response<Body>, ProxyError> {
    let Admitted { caller, target, session, operations, open, permit, is_repeatable } = admitted;
    let mut sending = Sending { permit, session };
    let worker = call.worker;
    let method = call.head.method.clone();
    if worker.plane.is_draining() {
        return Err(ProxyError::ShuttingDown);
    }
    if caller.endings.of(&method).is_over() {
        return Err(worker.plane.why_ended(&caller));
    }

    let mut meter = Meter::start(
        caller.live.clone(),
        target.resource.clone(),
        operations,
        worker.tally.clone(),
    );
    let headers = std::mem::take(&mut call.head.headers);
    let presented = headers.get(session::HEADER).cloned();
    let (body, dropped) = (call.body.take(), &worker.plane.dropped);
    let mut outgoing = Outgoing::new(method.clone(), headers, &target, body, dropped);
    outgoing.is_repeatable = is_repeatable;
    let affinity = match (&call.synthetic, &sending.session) {
        (None, held) => held.as_ref().and_then(Held::affinity),
        (Some(who), _) => presented.as_ref().and_then(|id| who.affinity(id)),
    };
    if affinity.is_some() {
        outgoing.set_affinity(affinity);
    }
    let called = tokio::select! {
        biased;
        called = forward::call(worker, &target, &mut outgoing, &mut sending.permit) => called,
        () = caller.endings.of(&method).ended() => Err(worker.plane.why_ended(&caller)),
    };
    let mut response = match called {
        Ok(response) => response,
        Err(error) => {
            meter.answered(error.status());
            return Err(error);
        }
    };
    let mut session = sending.answered();

    let status = response.status();
    session::drop_empty(response.headers_mut());
    if let Some(held) = &mut session {
        held.answered(status).await;
    }
    if status.is_success() {
        let is_https = target.resource.endpoint.https;
        let issued =
            response.headers().get(session::HEADER).filter(|id| presented.as_ref() != Some(id));
        if let Some(id) = issued {
            outgoing.collect_affinity(response.headers(), is_https);
            bind(call, &caller, &target, id, outgoing.into_affinity())
                .await
                .inspect_err(|error| meter.answered(error.status()))?;
        } else if let Some(held) = &session
            && !held.renew_affinity(response.headers(), is_https)
        {
            note_large_affinity(call, &target);
        }
        if method == Method::DELETE
            && let Some(held) = session
        {
            held.end().await?;
        }
    }

    forward::client_head(&mut response);
    meter.answered(status);
    Ok(relay(call, response, (caller.endings, method), meter, open))
}

/// The digest under which a session is known: the id itself is kept nowhere.
fn digest(id: &str) -> Digest {
    Digest::sha256(id.as_bytes())
}

/// A request on its way to the backend, with what was taken for it. Dropped, it knows
/// whether the backend may have seen the request.
struct Sending {
    permit: Permit,
    session: Option<Held>,
}

impl Sending {
    /// The backend has answered.
    fn answered(mut self) -> Option<Held> {
        let mut session = self.session.take();
        if let Some(held) = &mut session {
            held.sent();
        }
        session
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(held) = self.session.as_mut().filter(|_| self.permit.is_spent()) {
            held.sent();
        }
    }
}

/// Binds the session id that the backend issued, before the client sees it, with
/// the cookies by which its load balancer knows it.
async fn bind(
    call: &Call<'_>,
    caller: &Caller,
    target: &Target,
    id: &HeaderValue,
    affinity: Result<Option<HeaderValue>, TooLarge>,
) -> Result<(), ProxyError> {
    let affinity = affinity.unwrap_or_else(|TooLarge| {
        note_large_affinity(call, target);
        None
    });
    if let Some(who) = &call.synthetic {
        who.keep_affinity(id, affinity);
        return Ok(());
    }
    let Ok(id) = id.to_str() else { return Ok(()) };
    call.worker.plane.bind_session(caller, target, digest(id), affinity).await
}

/// Has the resource's page say that its sessions may land elsewhere.
fn note_large_affinity(call: &Call<'_>, target: &Target) {
    let (plane, resource_id) = (call.worker.plane.clone(), target.resource.id.clone());
    if plane.snapshot.load().session_marks.get(&resource_id).is_some_and(|m| m.has_large_affinity) {
        return;
    }
    call.worker.plane.in_store(async move {
        if let Err(error) = session_mark::set_large_affinity(&plane.db, &resource_id).await {
            tracing::warn!(%error, "could not record that affinity cookies are too large");
        }
    });
}

fn relay(
    call: &Call<'_>,
    response: Response<Incoming>,
    (endings, method): (Arc<Endings>, Method),
    meter: Meter,
    open: OpenRequest,
) -> Response<Body> {
    let (head, incoming) = response.into_parts();
    let silence = call.worker.plane.config.sse_keep_alive.0;
    let keep_alive = KeepAlive::for_answer(&head.headers, silence);
    let relay = Relay::new(incoming, keep_alive, endings, method, meter, open);
    Response::from_parts(head, Body::Relay(Box::new(relay)))
}
