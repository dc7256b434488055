//! Finds servers that give everybody one session id. This is never concluded from what
//! attendees do: the proxy itself opens two sessions and compares their ids.
//!
//! The trial here runs when a server issues an id that another attendee holds. Either the
//! server gives everybody this id, or it was restarted, counts from the start and has
//! forgotten the other attendee.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::catalog::snapshot::Snapshot;
use crate::catalog::{Digest, session_mark};
use crate::config::{Config, EndpointPolicy};
use crate::probe;
use crate::proxy::control::Control;
use crate::proxy::resolve::CallTarget;

/// How long an answer of the server may take, and all of a trial.
const ANSWER: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a verdict holds: after a restart, a room full of people opens new sessions.
const FRESH: Duration = Duration::from_secs(30);

/// Servers that are tried at once.
const AT_ONCE: usize = 8;

/// The result of a trial: the id, if the server gave the same one twice.
struct Verdict {
    at: Instant,
    constant: Option<Digest>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Verdict>>>;

/// The last trial of each server, by its resource and endpoint.
pub(super) struct Trials {
    slots: Mutex<HashMap<(String, Digest), Slot>>,
    places: Semaphore,
    policy: EndpointPolicy,
    connect_timeout: Duration,
    snapshot: Arc<ArcSwap<Snapshot>>,
    control: Control,
}

impl Trials {
    pub(super) fn new(config: &Config, snapshot: Arc<ArcSwap<Snapshot>>, control: Control) -> Self {
        Self {
            slots: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
            policy: config.endpoint_policy,
            connect_timeout: config.connect_timeout.0,
            snapshot,
            control,
        }
    }

    /// The place of one server's verdict. Old verdicts are forgotten on the way.
    fn slot(&self, server: (String, Digest)) -> Slot {
        let mut slots = self.slots.lock();
        let is_used = |slot: &Slot| {
            let verdict = slot.try_lock();
            verdict.map_or(true, |verdict| {
                verdict.as_ref().is_some_and(|verdict| verdict.at.elapsed() < FRESH)
            }) || Arc::strong_count(slot) > 1
        };
        slots.retain(|_, slot| is_used(slot));
        slots.entry(server).or_default().clone()
    }

    /// Whether the server gives everybody the session `id`. One that does not say so
    /// in time does not.
    pub(super) async fn is_everybodys(self: &Arc<Self>, target: &CallTarget, id: Digest) -> bool {
        let mut url = target.resource.endpoint.url.clone();
        url.set_path(target.path.path());
        let server = probe::ProbeTarget {
            url,
            credential: target.resource.credential(),
            policy: self.policy,
            connect_timeout: self.connect_timeout,
            answer_timeout: ANSWER,
        };
        let (trials, resource_id) = (self.clone(), target.resource.id.clone());
        let trial = self.control.run(async move { trials.try_server(&resource_id, server).await });
        let constant = tokio::time::timeout(PATIENCE, trial).await;
        constant.ok().and_then(Result::ok).and_then(Result::ok).flatten() == Some(id)
    }

    /// Opens two sessions, unless somebody else has just done so. Runs to its end also
    /// if nobody waits, but in bounded time: others wait for the slot.
    async fn try_server(&self, resource_id: &str, server: probe::ProbeTarget) -> Option<Digest> {
        let key = (
            resource_id.to_owned(),
            Digest::sha256(server.url.origin().ascii_serialization().as_bytes()),
        );
        let slot = self.slot(key);
        let mut verdict = slot.lock().await;
        if let Some(verdict) = verdict.as_ref().filter(|verdict| verdict.at.elapsed() < FRESH) {
            return verdict.constant;
        }
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        let constant = match probe::constant_session(&server).await {
            Ok(id) => id.map(|id| Digest::sha256(id.as_bytes())),
            Err(reason) => {
                tracing::debug!(%reason, "a server could not be asked for two sessions");
                None
            }
        };
        if let Some(id) = constant {
            self.note_constant(resource_id, id).await;
        }
        *verdict = Some(Verdict { at: Instant::now(), constant });
        constant
    }

    /// Marks the id in the store, for every replica, and here at once.
    async fn note_constant(&self, resource_id: &str, id: Digest) {
        if let Err(error) = session_mark::set_constant(&self.control.db, resource_id, id).await {
            tracing::warn!(%error, "could not record that a server gives everybody one session");
        }
        self.snapshot.rcu(|snapshot| {
            let mut snapshot = Snapshot::clone(snapshot);
            snapshot.session_marks.entry(resource_id.to_owned()).or_default().constant = Some(id);
            snapshot
        });
    }
}
