//! What MCP adds to a call: the body is a JSON-RPC message, from which `peek` reads what it
//! asks for; its session belongs to one attendee (`session`), with the cookies by which a
//! load balancer knows it. The stages themselves are in `call`.

mod binder;
mod coding;
mod constant;
pub mod peek;
pub(super) mod session;
pub(super) mod tend;

use http::header::{EXPECT, HeaderMap, HeaderValue};
use http::{Method, response};
use smallvec::SmallVec;

use self::peek::Peek;
use self::session::{Ownership, SessionHold};
use super::attendee::ledger::Operation;
use super::call::{Call, Delivery, Demand, Hold, Protocol, READ_PATIENCE};
use super::caller::Caller;
use super::error::{ProxyError, Shape};
use super::forward::Outgoing;
use super::keep_alive::KeepAlive;
use super::request_body::READ_AHEAD;
use super::resolve::CallTarget;
use super::tally::Family;
use crate::catalog::{Digest, session_mark};
use crate::net::affinity::TooLarge;

/// A call to `/api/v1/mcp/{deployment}{rest}`.
pub struct Mcp<'path> {
    pub deployment: &'path str,
    pub rest: &'path str,
}

/// The session that a request names, if it names one.
pub struct NamedSession {
    /// Its id as the client sent it.
    presented: Option<HeaderValue>,
    /// Also `None` for the proxy's own calls.
    ownership: Option<Ownership>,
}

/// What a call of MCP holds: its session, if it has one that belongs to an attendee.
pub struct McpHold {
    /// The id as the client sent it.
    presented: Option<HeaderValue>,
    session: Option<SessionHold>,
}

impl Hold for McpHold {
    fn sent(&mut self) {
        if let Some(session) = &mut self.session {
            session.sent();
        }
    }
}

impl Protocol for Mcp<'_> {
    const FAMILY: Family = Family::Mcp;

    type Found = NamedSession;
    type Hold = McpHold;

    fn deployment(&self) -> Option<&str> {
        Some(self.deployment)
    }

    async fn resolve(
        &self,
        call: &mut Call<'_>,
        caller: &Caller,
    ) -> Result<CallTarget, ProxyError> {
        CallTarget::mcp(caller, self.deployment, self.rest, call.head.uri.query())
    }

    /// What the request asks for: its body, or, where none is meant, its method.
    async fn read(&self, call: &mut Call<'_>) -> Result<Demand, ProxyError> {
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
            return Ok(Demand { messages: 1, counts: 0, operations, is_repeatable: false });
        }
        call.body.check_length()?;
        call.body.read_ahead().await?;
        if !coding::is_plain(&call.head.headers) {
            return Err(ProxyError::UnsupportedMediaType);
        }
        let is_complete = call.body.is_complete();
        let peek = peek::peek(call.body.ahead(), is_complete)
            .ok_or(ProxyError::BodyTooLarge { limit: READ_AHEAD as u64 })?;
        let is_repeatable = is_repeatable(&peek);
        let Peek { id, counts, messages, operations } = peek;
        call.rpc_id = id;
        Ok(Demand { messages, counts, operations, is_repeatable })
    }

    /// The proxy's own calls are asked nothing: nobody else has their sessions.
    async fn look(
        &self,
        call: &mut Call<'_>,
        caller: &Caller,
        target: &CallTarget,
    ) -> Result<NamedSession, ProxyError> {
        let presented = session::presented(&mut call.head.headers)?;
        let id = presented.as_ref().filter(|_| call.synthetic.is_none());
        let ownership = match id.map(digest) {
            Some(id) => Some(call.worker.plane.sessions.look(caller, target, id).await?),
            None => None,
        };
        let is_constant = matches!(ownership, Some(Ownership::Constant));
        if is_constant && call.head.method == Method::DELETE {
            return Err(ProxyError::MethodNotAllowed { allow: "GET, POST" });
        }
        Ok(NamedSession { presented, ownership })
    }

    async fn hold(&self, call: &Call<'_>, found: NamedSession) -> Result<McpHold, ProxyError> {
        let NamedSession { presented, ownership } = found;
        let session = match ownership {
            Some(ownership) => call.worker.plane.sessions.hold(ownership).await?,
            None => None,
        };
        Ok(McpHold { presented, session })
    }

    fn attach(&self, call: &Call<'_>, hold: &McpHold, outgoing: &mut Outgoing) {
        let affinity = match &call.synthetic {
            None => hold.session.as_ref().and_then(SessionHold::affinity),
            Some(who) => hold.presented.as_ref().and_then(|id| who.affinity(id)),
        };
        if affinity.is_some() {
            outgoing.set_affinity(affinity);
        }
    }

    /// A session that the answer issues is bound before the client sees its id; one that
    /// it ends is ended.
    async fn learn(
        &self,
        call: &Call<'_>,
        delivery: &mut Delivery<McpHold>,
        head: &mut response::Parts,
    ) -> Result<(), ProxyError> {
        let Some(McpHold { presented, mut session }) = delivery.take_hold() else { return Ok(()) };
        session::drop_empty(&mut head.headers);
        if let Some(held) = &mut session {
            held.answered(head.status).await;
        }
        if !head.status.is_success() {
            return Ok(());
        }
        let is_https = delivery.target.resource.endpoint.https;
        let issued = head.headers.get(session::HEADER).filter(|id| presented.as_ref() != Some(id));
        if let Some(id) = issued {
            delivery.outgoing.collect_affinity(&head.headers, is_https);
            bind(call, delivery, id).await?;
        } else if let Some(held) = &session
            && !held.renew_affinity(&head.headers, is_https)
        {
            note_large_affinity(call, &delivery.target);
        }
        match session {
            Some(held) if call.head.method == Method::DELETE => held.end().await,
            _ => Ok(()),
        }
    }

    fn watch(&self, call: &Call<'_>, head: &response::Parts) -> Option<KeepAlive> {
        KeepAlive::for_answer(&head.headers, call.worker.plane.config.sse_keep_alive.0)
    }
}

/// How MCP clients read errors: as JSON-RPC, with the request's id, for which the body is
/// read a little.
pub async fn shape(call: &mut Call<'_>) -> Shape {
    if call.head.method != Method::POST {
        return Shape::JsonRpc { id: None };
    }
    let waits = call.body.is_untouched() && expects_continue(&call.head.headers);
    if call.rpc_id.is_none() && !waits {
        // What was read until then will do; of a broken body, too.
        let _ = tokio::time::timeout(READ_PATIENCE, call.body.read_ahead()).await;
        call.rpc_id = peek::id(call.body.ahead());
    }
    Shape::JsonRpc { id: call.rpc_id.take() }
}

/// Whether the client holds its body back until it is asked for it, which a
/// refusal does not do (RFC 9110 §10.1.1).
fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether every message is known for certain to have no side effects.
fn is_repeatable(peek: &Peek) -> bool {
    let is_harmless = |method: &str| {
        matches!(method, "initialize" | "ping" | "server/discover")
            || (method.ends_with("/list") && !method.starts_with("notifications/"))
    };
    peek.counts == 0 && peek.operations.iter().all(|(operation, _)| is_harmless(&operation.method))
}

/// The digest under which a session is known: the id itself is kept nowhere.
fn digest(id: &HeaderValue) -> Digest {
    Digest::sha256(id.as_bytes())
}

/// Binds the session id that the backend issued, with the cookies by which its load
/// balancer knows it.
async fn bind(
    call: &Call<'_>,
    delivery: &mut Delivery<McpHold>,
    id: &HeaderValue,
) -> Result<(), ProxyError> {
    let affinity = delivery.outgoing.take_affinity();
    let Delivery { caller, target, .. } = delivery;
    let affinity = affinity.unwrap_or_else(|TooLarge| {
        note_large_affinity(call, target);
        None
    });
    if let Some(who) = &call.synthetic {
        who.keep_affinity(id, affinity);
        return Ok(());
    }
    if id.to_str().is_err() {
        return Ok(());
    }
    call.worker.plane.sessions.bind(caller, target, digest(id), affinity).await
}

/// Has the resource's page say that its sessions may land elsewhere.
fn note_large_affinity(call: &Call<'_>, target: &CallTarget) {
    let (plane, resource_id) = (&call.worker.plane, target.resource.id.clone());
    if plane.snapshot.load().session_marks.get(&resource_id).is_some_and(|m| m.has_large_affinity) {
        return;
    }
    let db = plane.control.db.clone();
    plane.control.run(async move {
        if let Err(error) = session_mark::set_large_affinity(&db, &resource_id).await {
            tracing::warn!(%error, "could not record that affinity cookies are too large");
        }
    });
}
