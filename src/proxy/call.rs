//! One call and its skeleton: authenticate → resolve → read → hold → admit → forward →
//! relay → meter. Each stage returns what the next one needs to be called at all.
//!
//! Every call to a backend goes this way. What a family of routes adds to it is a
//! [`Protocol`], in a file of its own (`mcp`); nothing here names one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::{Method, Response, response};

use super::admit::Permit;
use super::attendee::ledger::Operations;
use super::attendee::live::OpenRequest;
use super::backend::Incoming;
use super::caller::Caller;
use super::error::ProxyError;
use super::forward::{self, Outgoing};
use super::keep_alive::KeepAlive;
use super::meter::Meter;
use super::relay::Relay;
use super::request_body::RequestBody;
use super::resolve::CallTarget;
use super::response_body::Body;
use super::synthetic::Synthetic;
use super::tally::Family;
use super::worker::{REQUEST_ID, Worker};
use crate::catalog::resource::Resource;

/// How long a refusal that is already certain waits for the body, which may hold a better
/// reason or the id to echo.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(1);

/// How long a request may take to come in before what was checked at its head is
/// checked again: a change reaches every replica in about this time.
const STALE: Duration = Duration::from_secs(1);

/// One request on its way through the stages.
pub struct Call<'w> {
    pub(super) worker: &'w Arc<Worker>,
    pub(super) peer: IpAddr,
    pub(super) head: Parts,
    pub(super) body: RequestBody,
    pub(super) id: HeaderValue,
    pub(super) started: Instant,
    /// Who is calling where no key says so.
    pub(super) synthetic: Option<Arc<Synthetic>>,
    /// Once known: for the rate headers, which refusals carry too.
    pub(super) caller: Option<Caller>,
    /// Once known: for logs and counters.
    pub(super) resource: Option<Arc<Resource>>,
    /// Once read: the JSON-RPC id that a refusal echoes.
    pub(super) rpc_id: Option<Box<str>>,
}

/// What a family of routes adds to a call. A value of it is made from each call's path.
pub trait Protocol: Sync {
    /// The family that its calls are counted in.
    const FAMILY: Family;

    /// What [`look`](Self::look) finds, such as the session that the request names.
    type Found: Send;

    type Hold: Hold;

    /// The deployment, as the path names it, for which an access token may be. `None`: no token is
    /// taken.
    fn deployment(&self) -> Option<&str>;

    /// The backend that the request names: by its path, or by its body, which is then read.
    ///
    /// # Errors
    /// There is none of this name, or it is switched off.
    fn resolve(
        &self,
        call: &mut Call<'_>,
        caller: &Caller,
    ) -> impl Future<Output = Result<CallTarget, ProxyError>> + Send;

    /// Reads as much of the body as says what is asked for.
    ///
    /// # Errors
    /// The body cannot be read, or what is in it cannot be counted.
    fn read(&self, call: &mut Call<'_>) -> impl Future<Output = Result<Demand, ProxyError>> + Send;

    /// Checks that what the request names belongs to the caller. Writes nothing.
    ///
    /// # Errors
    /// It does not belong to the caller, or the store did not answer.
    fn look(
        &self,
        call: &mut Call<'_>,
        caller: &Caller,
        target: &CallTarget,
    ) -> impl Future<Output = Result<Self::Found, ProxyError>> + Send;

    /// Holds what was found for the call, once every other check has passed.
    ///
    /// # Errors
    /// Somebody else was faster, or the store did not answer.
    fn hold(
        &self,
        call: &Call<'_>,
        found: Self::Found,
    ) -> impl Future<Output = Result<Self::Hold, ProxyError>> + Send;

    /// Adds to the request what belongs with what is held.
    fn attach(&self, call: &Call<'_>, hold: &Self::Hold, outgoing: &mut Outgoing);

    /// Learns from the head of the backend's answer, before the client sees it.
    ///
    /// # Errors
    /// Something in it must be stored and cannot be.
    fn learn(
        &self,
        call: &Call<'_>,
        delivery: &mut Delivery<Self::Hold>,
        head: &mut response::Parts,
    ) -> impl Future<Output = Result<(), ProxyError>> + Send;

    /// What watches the answer's body on its way to the client and may add to it.
    fn watch(&self, call: &Call<'_>, head: &response::Parts) -> Option<KeepAlive>;
}

/// What is held for a call until its answer has come. Dropping it releases it.
pub trait Hold: Send {
    /// The backend may have seen the request.
    fn sent(&mut self);
}

/// What a request asks of the proxy.
#[derive(Debug)]
pub struct Demand {
    /// Turns under the burst limit: one for each message.
    pub messages: u32,
    /// Requests of the daily cap.
    pub counts: u32,
    /// What its usage is recorded under.
    pub operations: Operations,
    /// Whether the backend may get it twice: every message of it is known for certain to
    /// have no side effects.
    pub is_repeatable: bool,
}

/// Everything that a call must hold to be forwarded.
pub struct Clearance<H> {
    caller: Caller,
    target: CallTarget,
    demand: Demand,
    place: OpenRequest,
    permit: Permit,
    hold: H,
}

/// A call under way: the request for the backend, what was taken for it, and its record.
pub struct Delivery<H: Hold> {
    pub(super) caller: Caller,
    pub(super) target: CallTarget,
    pub(super) outgoing: Outgoing,
    stake: Stake<H>,
    method: Method,
    meter: Meter,
    place: OpenRequest,
}

/// What is at stake while a call is under way. When it is dropped, the hold learns from the
/// permit whether the backend may have seen the request.
struct Stake<H: Hold> {
    permit: Permit,
    hold: Option<H>,
}

impl<H: Hold> Stake<H> {
    fn sent(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.sent();
        }
    }
}

impl<H: Hold> Drop for Stake<H> {
    fn drop(&mut self) {
        if self.permit.is_spent() {
            self.sent();
        }
    }
}

impl<'w> Call<'w> {
    /// Takes a request in and gives it its id.
    pub fn new(worker: &'w Arc<Worker>, peer: IpAddr, mut head: Parts, body: RequestBody) -> Self {
        let started = Instant::now();
        let id = worker.request_id(head.headers.get(REQUEST_ID));
        head.headers.insert(REQUEST_ID, id.clone());
        // Where the target names its host, as in HTTP/2, that is the one asked for,
        // whatever a Host header says (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
        let authority =
            head.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
        if let Some(Ok(host)) = authority {
            head.headers.insert(HOST, host);
        }
        let (synthetic, caller, resource, rpc_id) = (None, None, None, None);
        Self { worker, peer, head, body, id, started, synthetic, caller, resource, rpc_id }
    }

    /// Serves a call to a backend, from the key to the last byte of the answer.
    pub(super) async fn serve<P: Protocol>(
        &mut self,
        protocol: &P,
    ) -> Result<Response<Body>, ProxyError> {
        let clearance = self.clear(protocol).await?;
        let mut delivery = self.prepare(protocol, clearance)?;
        let (mut head, incoming) = delivery.forward(self.worker).await?.into_parts();
        delivery.answered(self, protocol, &mut head).await?;
        let keep_alive = protocol.watch(self, &head);
        Ok(delivery.relay(head, incoming, keep_alive))
    }

    /// Authenticate → resolve → read → hold → admit.
    ///
    /// # Errors
    /// What stands against the call.
    pub async fn clear<P: Protocol>(
        &mut self,
        protocol: &P,
    ) -> Result<Clearance<P::Hold>, ProxyError> {
        let (mut caller, mut target) = self.identify(protocol).await?;
        // Held while the body comes in, which may take long. A caller without a place is
        // refused only once everything else that may be wrong was looked for.
        let place = caller.open();
        let demand = match &place {
            Ok(_) => protocol.read(self).await?,
            Err(full) => {
                let read = tokio::time::timeout(READ_PATIENCE, protocol.read(self)).await;
                read.unwrap_or_else(|_| Err(full.clone()))?
            }
        };
        let mut found = protocol.look(self, &caller, &target).await?;
        let place = place?;
        if self.await_turn(&caller, demand.messages).await? || self.started.elapsed() >= STALE {
            (caller, target, found) = self.check_again(protocol).await?;
        }
        let plane = &self.worker.plane;
        let permit = caller.admit(demand.counts, &plane.refills, &plane.clock).await?;
        let hold = protocol.hold(self, found).await?;
        Ok(Clearance { caller, target, demand, place, permit, hold })
    }

    /// Proves who is calling: by a key, or by an access token for this deployment, where there is
    /// one.
    pub(super) async fn authenticate(
        &mut self,
        deployment: Option<&str>,
    ) -> Result<Caller, ProxyError> {
        let plane = &self.worker.plane;
        let caller = match &self.synthetic {
            None => {
                let deployment = deployment.filter(|_| plane.config.has_oauth());
                plane.keys.authenticate(&self.head.headers, self.peer, deployment).await?
            }
            Some(synthetic) => synthetic.caller(plane.clock.today(plane.clock.now_ms())),
        };
        self.caller = Some(caller.clone());
        Ok(caller)
    }

    /// Who is calling, and which backend they ask for.
    async fn identify<P: Protocol>(
        &mut self,
        protocol: &P,
    ) -> Result<(Caller, CallTarget), ProxyError> {
        let caller = self.authenticate(protocol.deployment()).await?;
        let target = protocol.resolve(self, &caller).await?;
        self.resource = Some(target.resource.clone());
        Ok((caller, target))
    }

    /// Authenticates, resolves and looks once more, after a wait in which any of it may
    /// have changed.
    async fn check_again<P: Protocol>(
        &mut self,
        protocol: &P,
    ) -> Result<(Caller, CallTarget, P::Found), ProxyError> {
        let (caller, target) = self.identify(protocol).await?;
        let found = protocol.look(self, &caller, &target).await?;
        Ok((caller, target, found))
    }

    /// Waits for the turn of so many messages under the burst limit. Whether there was a
    /// wait: then what was checked before must be checked again.
    pub(super) async fn await_turn(
        &self,
        caller: &Caller,
        messages: u32,
    ) -> Result<bool, ProxyError> {
        let wait = caller.turn(self.worker.plane.started.elapsed(), messages)?;
        if wait.is_zero() {
            return Ok(false);
        }
        tokio::time::sleep(wait).await;
        Ok(true)
    }

    /// Makes the backend's request from the client's, and starts its record.
    ///
    /// # Errors
    /// The proxy is shutting down, or the caller's access has ended meanwhile.
    pub fn prepare<P: Protocol>(
        &mut self,
        protocol: &P,
        clearance: Clearance<P::Hold>,
    ) -> Result<Delivery<P::Hold>, ProxyError> {
        let Clearance { caller, target, demand, place, permit, hold } = clearance;
        let (plane, method) = (&self.worker.plane, self.head.method.clone());
        if plane.is_draining() {
            return Err(ProxyError::ShuttingDown);
        }
        if caller.endings.of(&method).is_over() {
            return Err(plane.why_ended(&caller));
        }
        let (live, resource) = (caller.live.clone(), target.resource.clone());
        let tally = self.worker.tally.clone();
        let meter = Meter::start(live, resource, demand.operations, tally, P::FAMILY);
        let (headers, body) = (std::mem::take(&mut self.head.headers), self.body.take());
        let mut outgoing = Outgoing::new(method.clone(), headers, &target, body, &plane.dropped);
        outgoing.is_repeatable = demand.is_repeatable;
        protocol.attach(self, &hold, &mut outgoing);
        let stake = Stake { permit, hold: Some(hold) };
        Ok(Delivery { caller, target, outgoing, stake, method, meter, place })
    }
}

impl<H: Hold> Delivery<H> {
    /// Sends the request. Returns the head of the backend's answer and its body to come.
    async fn forward(&mut self, worker: &Worker) -> Result<Response<Incoming>, ProxyError> {
        let answer = tokio::select! {
            biased;
            answer = forward::call(
                worker,
                &self.target,
                &mut self.outgoing,
                &mut self.stake.permit,
            ) => answer,
            () = self.caller.endings.of(&self.method).ended() => {
                Err(worker.plane.why_ended(&self.caller))
            }
        };
        answer.inspect_err(|error| self.meter.answered(error.status()))
    }

    /// Marks the request as handed to a connection, as sending it does.
    pub fn spend(&mut self) {
        self.stake.permit.spend();
    }

    /// Takes out what is held, once the answer has come.
    pub(super) fn take_hold(&mut self) -> Option<H> {
        self.stake.hold.take()
    }

    /// Learns from the head of the backend's answer, and makes it the client's.
    ///
    /// # Errors
    /// As [`Protocol::learn`].
    pub async fn answered<P: Protocol<Hold = H>>(
        &mut self,
        call: &Call<'_>,
        protocol: &P,
        head: &mut response::Parts,
    ) -> Result<(), ProxyError> {
        self.stake.sent();
        let learned = protocol.learn(call, self, head).await;
        learned.inspect_err(|error| self.meter.answered(error.status()))?;
        forward::client_head(head);
        self.meter.answered(head.status);
        Ok(())
    }

    /// The answer, as the client gets it.
    fn relay(
        self,
        head: response::Parts,
        incoming: Incoming,
        keep_alive: Option<KeepAlive>,
    ) -> Response<Body> {
        let Self { caller, method, meter, place, .. } = self;
        let relay = Relay::new(incoming, keep_alive, caller.endings, method, meter, place);
        Response::from_parts(head, Body::Relay(Box::new(relay)))
    }
}
