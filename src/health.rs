//! Whether MCP servers can be used, as they were last found: for an owner's
//! pages, never for the data plane.
//!
//! [`run`] asks, by [`probe`], every active server that an event is about to need, and
//! whichever was just saved. It runs on the control runtime, on connections of its own and
//! few at a time, and for one owner fewer still, so that servers that never answer delay their own
//! owner's checks only. Results stay in the memory of this process. A result belongs to the
//! address and key that were asked: a resource that has changed since has none.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use tokio::task::JoinSet;

use crate::catalog::resource::{Credential, Endpoint, Resource, ResourceType};
use crate::catalog::{Digest, session_mark};
use crate::config::Config;
use crate::db::Db;
use crate::probe::{self, Failure, Report, Target};
use crate::proxy::plane::DataPlane;
use crate::turns::{Bounds, Full, Turns};

/// How long before an event its servers are watched.
const AHEAD_MS: i64 = 86_400_000;

/// A result older than this is of no use to anybody.
const FORGOTTEN_MS: i64 = 86_400_000;

/// How often is looked for servers that are due, where the catalog has not changed.
const LOOK_MS: i64 = 15_000;
const TICK: Duration = Duration::from_secs(1);

/// Servers that are asked at once in the background. All that are due may wait.
const BACKGROUND: Bounds = Bounds {
    at_once: 6,
    each: 2,
    waiting: usize::MAX / 2,
    waiting_each: usize::MAX / 2,
    patience: Duration::from_secs(3600),
};

/// Servers that are asked at once because people want to know.
const PEOPLE: Bounds =
    Bounds { at_once: 8, each: 2, waiting: 256, waiting_each: 8, patience: CHECK };

/// How long one answer, and all of a check, may take.
const ANSWER: Duration = Duration::from_secs(15);
const CHECK: Duration = Duration::from_secs(30);

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Works {
        tools: usize,
        /// Until the opening request was answered.
        latency_ms: u64,
    },
    /// The exact reason, for the resource's owner.
    Fails(String),
}

/// A check that has ended.
#[derive(Clone, Debug)]
pub struct Checked {
    /// UTC milliseconds.
    pub at: i64,
    pub verdict: Verdict,
    /// Of what was asked, and as whom.
    asked: Digest,
    due_at: i64,
}

/// The last results, and what is to be checked soon.
pub struct Health {
    results: Mutex<HashMap<String, Checked>>,
    soon: Mutex<HashMap<String, Arc<Resource>>>,
    people: Turns<String>,
}

impl Default for Health {
    fn default() -> Self {
        Self { results: Mutex::default(), soon: Mutex::default(), people: Turns::new(PEOPLE) }
    }
}

impl Health {
    /// How the resource was last found, if it was looked at as it stands.
    pub fn of(&self, resource: &Resource) -> Option<Checked> {
        let asked = fingerprint(resource);
        self.results.lock().get(&resource.id).filter(|checked| checked.asked == asked).cloned()
    }

    /// Has a resource checked within a second or so, if it can be and is switched on.
    pub fn check_soon(&self, resource: Resource) {
        if is_checked(&resource) {
            self.soon.lock().insert(resource.id.clone(), Arc::new(resource));
        }
    }

    /// Asks a server because a person wants to know now, in a turn of that owner.
    ///
    /// # Errors
    /// The reason why it could not be used, or that it was not asked.
    pub async fn ask(
        &self,
        config: &Config,
        owner_id: &str,
        endpoint: &Endpoint,
        credential: Option<Credential>,
    ) -> Result<Report, Failure> {
        let turn = self.people.take(&owner_id.to_owned()).await;
        let _turn = turn.map_err(|Full| Failure::NoTurn)?;
        ask(config, endpoint, credential).await
    }

    fn is_due(&self, resource: &Resource, now: i64) -> bool {
        self.of(resource).is_none_or(|checked| checked.due_at <= now)
    }

    fn forget_old(&self, now: i64) {
        self.results.lock().retain(|_, checked| now - checked.at < FORGOTTEN_MS);
    }
}

/// Checks what is due, until it is aborted or the proxy drains; nothing where the
/// configuration wants no checks.
pub async fn run(health: Arc<Health>, plane: Arc<DataPlane>) {
    if plane.config.health_interval.0.is_zero() {
        return;
    }
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut seen, mut next_look) = (None, 0);
    let turns = Arc::new(Turns::new(BACKGROUND));
    // Dropped with this future, and every check with it.
    let mut running = JoinSet::new();
    let mut under_way = HashSet::new();
    while !plane.is_draining() {
        ticks.tick().await;
        while let Some(ended) = running.try_join_next() {
            match ended {
                Ok(id) => drop(under_way.remove(&id)),
                Err(error) => {
                    // Whichever it was: at worst one is asked twice.
                    under_way.clear();
                    tracing::error!(%error, "a check of a resource panicked");
                }
            }
        }
        let now = plane.clock.now_ms();
        let snapshot = plane.snapshot.load_full();
        let mut due: HashMap<String, Arc<Resource>> = std::mem::take(&mut *health.soon.lock());
        if seen != Some(snapshot.revision) || now >= next_look {
            (seen, next_look) = (Some(snapshot.revision), now + LOOK_MS);
            health.forget_old(now);
            let events = snapshot.events.values().filter(|event| {
                event.active && event.starts_at <= now + AHEAD_MS && event.ends_at >= now
            });
            let linked = events.flat_map(|event| &event.resources);
            let wanted = |resource: &&Arc<Resource>| {
                is_checked(resource)
                    && !under_way.contains(&resource.id)
                    && health.is_due(resource, now)
            };
            for resource in linked.filter(wanted) {
                due.entry(resource.id.clone()).or_insert_with(|| resource.clone());
            }
        }
        for (id, resource) in due {
            if !under_way.insert(id.clone()) {
                // As it stood then: it is looked at again once that has ended.
                health.soon.lock().entry(id).or_insert(resource);
                continue;
            }
            let (health, plane, turns) = (health.clone(), plane.clone(), turns.clone());
            running.spawn(async move {
                // Without a turn it is not checked, and stays due.
                if let Ok(_turn) = turns.take(&resource.owner_id).await {
                    check(&health, &plane, &resource).await;
                }
                id
            });
        }
    }
}

async fn check(health: &Health, plane: &DataPlane, resource: &Resource) {
    let config = &plane.config;
    let verdict = match ask(config, &resource.endpoint, resource.credential()).await {
        Ok(report) => {
            if let Some(id) = &report.constant_session {
                note_constant(&plane.db, &resource.id, id).await;
            }
            Verdict::Works { tools: report.tools.len(), latency_ms: report.latency_ms }
        }
        Err(failure) => Verdict::Fails(failure.to_string()),
    };
    let at = plane.clock.now_ms();
    let due_at = at + pause_ms(config.health_interval.0);
    let checked = Checked { at, verdict, asked: fingerprint(resource), due_at };
    health.results.lock().insert(resource.id.clone(), checked);
}

async fn ask(
    config: &Config,
    endpoint: &Endpoint,
    credential: Option<Credential>,
) -> Result<Report, Failure> {
    let target = Target {
        url: endpoint.url.clone(),
        credential,
        policy: config.endpoint_policy,
        connect_timeout: config.connect_timeout.0,
        answer_timeout: ANSWER,
    };
    in_time(probe::check(&target), "the whole check").await?
}

/// Notes that the resource's server gives everybody one session, as a check found by
/// opening two.
pub async fn note_constant(db: &Db, resource_id: &str, id: &HeaderValue) {
    let id = Digest::sha256(id.as_bytes());
    if let Err(error) = session_mark::set_constant(db, resource_id, id).await {
        tracing::warn!(%error, "could not record that a server gives everybody one session");
    }
}

async fn in_time<T>(step: impl Future<Output = T>, what: &'static str) -> Result<T, Failure> {
    let late = |_| Failure::TimedOut { what, limit: CHECK };
    tokio::time::timeout(CHECK, step).await.map_err(late)
}

/// Only MCP servers can be asked.
fn is_checked(resource: &Resource) -> bool {
    resource.active && resource.kind == ResourceType::McpServer
}

fn fingerprint(resource: &Resource) -> Digest {
    let key = resource.key.as_ref().map_or("", |key| key.expose_secret());
    let parts = [&resource.endpoint.as_written(), &resource.auth.to_string(), key];
    Digest::sha256(parts.join("\n").as_bytes())
}

/// Milliseconds to the next check of a server: the interval, a fifth more or less, so
/// that replicas and resources of one backend do not ask it together.
fn pause_ms(interval: Duration) -> i64 {
    let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX / 2);
    let mut bytes = [0; 4];
    // Without randomness all are asked at the same time, which does no harm.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    let random = i64::from(u32::from_ne_bytes(bytes));
    interval - interval / 5 + random % (interval * 2 / 5).max(1)
}
