//! An attendee who is none: what the pre-flight of an event calls as.
//!
//! Their calls take every attendee's way from the path to the relay, and only the
//! proof is spared: they are made inside the process, before the event is open, and
//! no key can become one. What is kept of them while they are under way (lease,
//! rate, ledger, sessions) is in no table, so nothing of it is counted, written or shown,
//! and no attendee's session is taken over or ended.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use parking_lot::Mutex;

use super::authenticate::Caller;
use super::error::ProxyError;
use super::lease::DayCount;
use super::live::Live;
use super::request_body::RequestBody;
use super::response_body::Body;
use super::route::Route;
use super::worker::Worker;
use super::{Call, REQUEST_ID, answer, logged};
use crate::catalog;
use crate::catalog::event::Event;
use crate::clock;

/// Leased to each call: more than any takes, so that the store is never asked.
const LEASED: u32 = 1_000;

/// Somebody who may call the resources of one event, whether it is open or not.
#[derive(Debug)]
pub struct Synthetic {
    /// Instead of an attendee's id, and in the names of their requests.
    pub id: String,
    event: Arc<Event>,
    /// The affinity cookies of their MCP sessions, by the session's id.
    affinities: Mutex<HashMap<HeaderValue, HeaderValue>>,
}

impl Synthetic {
    pub fn of(event: Arc<Event>) -> Self {
        let id = format!("preflight-{}", catalog::new_id());
        Self { id, event, affinities: Mutex::default() }
    }

    pub(super) fn keep_affinity(&self, session_id: &HeaderValue, affinity: Option<HeaderValue>) {
        if let Some(affinity) = affinity {
            self.affinities.lock().insert(session_id.clone(), affinity);
        }
    }

    pub(super) fn affinity(&self, session_id: &HeaderValue) -> Option<HeaderValue> {
        self.affinities.lock().get(session_id).cloned()
    }

    /// Anew for each call: none waits for a turn that an earlier one took.
    pub(super) fn caller(&self) -> Caller {
        let live = Arc::new(Live::new(&self.id, &self.event.id));
        let leased = DayCount { day: clock::today(clock::now_ms()), count: LEASED };
        let returned = live.lease.add(leased);
        debug_assert!(returned.is_none(), "the lease was empty");
        let endings = live.endings();
        let daily_cap = self.event.daily_request_cap;
        Caller { live, endings, event: self.event.clone(), daily_cap }
    }
}

/// Serves one call of `who`, as [`serve`](super::serve) does a client's; what would
/// be a refusal to the client is told as it is.
///
/// # Errors
/// Why the proxy would have refused, or could not forward.
pub async fn serve(
    worker: &Arc<Worker>,
    who: &Arc<Synthetic>,
    request: Request<Bytes>,
) -> Result<Response<Body>, ProxyError> {
    let started = Instant::now();
    let (mut head, body) = request.into_parts();
    let id = worker.request_id(head.headers.get(REQUEST_ID));
    head.headers.insert(REQUEST_ID, id.clone());
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut call = Call::new(worker, peer, head, RequestBody::whole(body));
    call.synthetic = Some(who.clone());
    let route = Route::of(uri.path());
    let outcome = answer(&mut call, route, &mut None).await;
    if worker.plane.config.log_requests {
        let status = outcome.as_ref().map_or_else(ProxyError::status, Response::status);
        tracing::info!(
            request_id = id.to_str().unwrap_or_default(),
            method = logged(&method),
            route = route.family().label(),
            deployment = call.resource.as_ref().map(|resource| &*resource.deployment),
            status = status.as_u16(),
            ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            event = who.event.id,
            preflight = true,
            "request"
        );
    }
    outcome
}
