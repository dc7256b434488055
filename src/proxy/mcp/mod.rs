//! A call to an MCP server, from the key to the last byte of the answer: the
//! stages of the data plane in their order, and what is special to MCP.

pub mod binder;
pub mod coding;
pub mod peek;
pub mod session;

use std::sync::Arc;

use http::{HeaderValue, Method, Response};
use smallvec::SmallVec;

use self::peek::Peek;
use self::session::Held;
use super::admit::Permit;
use super::authenticate::Caller;
use super::backend::Incoming;
use super::body::{Body, READ_AHEAD};
use super::error::ProxyError;
use super::forward::{self, Outgoing};
use super::keep_alive::KeepAlive;
use super::live::{Endings, OpenRequest};
use super::meter::{Meter, Operation};
use super::relay::Relay;
use super::resolve::Target;
use super::{Call, ID_PATIENCE};

/// Everything that a call must hold to be forwarded.
struct Admitted {
    caller: Caller,
    target: Target,
    session: Option<Held>,
    operations: SmallVec<[(Operation, u32); 1]>,
    open: OpenRequest,
    permit: Permit,
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
    let session = match session::presented(&call.head.headers)? {
        Some(id) => Some(plane.hold_session(&caller, &target, id).await?),
        None => None,
    };

    let open = open?;
    let (caller, target) = if call.await_turn(&caller, peek.messages).await? {
        let caller = call.authenticate().await?;
        let target = Target::mcp(&caller, deployment, rest, query.as_deref())?;
        (caller, target)
    } else {
        (caller, target)
    };
    let permit = plane.admit(&caller, peek.counts).await?;
    Ok(Admitted { caller, target, session, operations: peek.operations, open, permit })
}

/// What the request asks for: its body, or, where none is meant, its method.
async fn read(call: &mut Call<'_>) -> Result<Peek, ProxyError> {
    call.body.check_length()?;
    call.body.read_ahead().await?;
    if call.head.method != Method::POST {
        let method = match call.head.method {
            Method::DELETE => "(end session)",
            _ => "(stream)",
        };
        let operation = Operation { method: method.into(), name: String::new() };
        let operations = SmallVec::from_iter([(operation, 1)]);
        return Ok(Peek { operations, messages: 1, ..Peek::default() });
    }
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
    let Admitted { caller, target, mut session, operations, open, mut permit } = admitted;
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
    let mut outgoing = Outgoing::new(method.clone(), headers, &target, call.body.take());
    let called = tokio::select! {
        biased;
        called = forward::call(worker, &target, &mut outgoing, &mut permit) => called,
        () = caller.endings.of(&method).ended() => Err(worker.plane.why_ended(&caller)),
    };
    let mut response = match called {
        Ok(response) => response,
        Err(error) => {
            meter.answered(error.status());
            return Err(error);
        }
    };
    drop(permit);

    let status = response.status();
    if !status.is_client_error()
        && let Some(held) = &mut session
    {
        held.keep();
    }
    if status.is_success() {
        let issued =
            response.headers().get(session::HEADER).filter(|id| presented.as_ref() != Some(id));
        if let Some(id) = issued {
            bind(call, &caller, &target, id)
                .await
                .inspect_err(|error| meter.answered(error.status()))?;
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

/// Binds the session id that the backend issued, before the client sees it.
async fn bind(
    call: &Call<'_>,
    caller: &Caller,
    target: &Target,
    id: &HeaderValue,
) -> Result<(), ProxyError> {
    let Ok(id) = id.to_str() else { return Ok(()) };
    if call.worker.plane.bind_session(caller, target, id).await? {
        return Ok(());
    }
    tracing::warn!(
        deployment = %target.resource.deployment,
        "an MCP server issued a session id that another attendee holds"
    );
    Err(ProxyError::BackendProtocol { deployment: target.resource.deployment.to_string() })
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
