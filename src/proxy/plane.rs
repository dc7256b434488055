//! What all calls share: the catalog as it stands, what is cached of it, and
//! who is about. One for the process; workers hold it by reference.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;

use super::attendee::live::{LiveAttendee, LiveAttendees};
use super::attendee::refill::Refills;
use super::backend::Dialer;
use super::dropped::DroppedHeaders;
use super::error::ProxyError;
use super::guessing::Guesses;
use super::mcp::binder::Binder;
use super::mcp::constant::Trials;
use super::mcp::session::{Renewals, Sessions};
use super::origin::Origins;
use super::tally::Tally;
use super::throttle::SourceThrottle;
use crate::catalog;
use crate::catalog::Digest;
use crate::catalog::seal::Vault;
use crate::catalog::snapshot::Snapshot;
use crate::catalog::usage::Batch;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;

/// API keys cached at most.
const KEYS: usize = 65_536;

/// MCP sessions cached at most.
const SESSIONS: usize = 262_144;

/// How long a call waits for the store; a connection that broke while a query
/// was under way may not be noticed for minutes.
pub const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// How long work in the store may take in all. What is not done by then hangs: it
/// is dropped, and with it the connection that it holds.
pub const STORE_LIMIT: Duration = Duration::from_secs(30);

/// What is cached of an API key's attendee.
pub struct CachedKey {
    pub live: Arc<LiveAttendee>,
    /// The generation of the attendee's row that this was read from.
    pub generation: u64,
    pub active: bool,
    pub daily_cap: Option<u32>,
}

pub type Keys =
    Cache<Digest, Arc<CachedKey>, quick_cache::UnitWeighter, foldhash::fast::RandomState>;

pub struct DataPlane {
    pub config: Config,
    pub clock: Clock,
    pub db: Arc<Db>,
    pub vault: Arc<Vault>,
    /// Where everything that touches the store runs.
    pub control: Handle,
    pub snapshot: ArcSwap<Snapshot>,
    pub keys: Keys,
    pub lives: LiveAttendees,
    pub sessions: Sessions,
    /// All endings of sessions up to this one have reached `sessions`.
    pub session_revision: AtomicI64,
    pub renewed: Renewals,
    pub binder: Binder,
    pub trials: Trials,
    pub refills: Refills,
    pub throttle: SourceThrottle,
    pub guesses: Guesses,
    pub origins: Origins,
    pub dialer: Dialer,
    pub dropped: DroppedHeaders,
    pub started: Instant,
    /// The counters of each worker.
    pub tallies: Mutex<Vec<Arc<Tally>>>,
    /// A batch of usage that the store has not confirmed.
    pub unwritten: tokio::sync::Mutex<Option<Batch>>,
    draining: AtomicBool,
}

impl DataPlane {
    pub fn new(
        config: Config,
        db: Arc<Db>,
        vault: Arc<Vault>,
        snapshot: Snapshot,
        control: Handle,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            dialer: Dialer::new(config.endpoint_policy, config.connect_timeout.0)?,
            origins: Origins::new(config.public_url.as_ref(), &config.allowed_origins),
            config,
            clock: Clock::default(),
            db,
            vault,
            control,
            snapshot: ArcSwap::from_pointee(snapshot),
            keys: Keys::with(
                KEYS,
                KEYS as u64,
                Default::default(),
                Default::default(),
                Default::default(),
            ),
            lives: LiveAttendees::default(),
            sessions: Sessions::with(
                SESSIONS,
                SESSIONS as u64,
                Default::default(),
                Default::default(),
                Default::default(),
            ),
            // Not known yet: the first look has everything looked up again.
            session_revision: AtomicI64::new(i64::MIN),
            renewed: Renewals::default(),
            binder: Binder::default(),
            trials: Trials::default(),
            refills: Refills::default(),
            throttle: SourceThrottle::default(),
            guesses: Guesses::default(),
            dropped: DroppedHeaders::default(),
            started: Instant::now(),
            tallies: Mutex::default(),
            unwritten: tokio::sync::Mutex::default(),
            draining: AtomicBool::new(false),
        })
    }

    /// Runs what touches the store on the control runtime, to its end even if
    /// the client leaves. Any failure means that the store cannot be asked.
    pub fn on_control<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, ProxyError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, catalog::Error>> + Send + 'static,
    {
        // Begun at once, so that a call keeps no room for it.
        let work = tokio::time::timeout(STORE_PATIENCE, self.in_store(work));
        let failed = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "the store could not be asked");
            ProxyError::StoreUnavailable
        };
        async move {
            match work.await {
                Ok(Ok(Ok(Ok(done)))) => Ok(done),
                Ok(Ok(Ok(Err(error)))) => Err(failed(&error)),
                Ok(Ok(Err(error))) => Err(failed(&error)),
                Ok(Err(error)) => Err(failed(&error)),
                Err(error) => Err(failed(&error)),
            }
        }
    }

    /// Runs what touches the store on the control runtime, for [`STORE_LIMIT`] at
    /// most.
    pub fn in_store<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Result<T, Elapsed>> {
        self.control.spawn(async { tokio::time::timeout(STORE_LIMIT, work).await })
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// No new work from here on; clients' GET streams end.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Release);
        for live in self.lives.all() {
            live.end_gets();
        }
    }
}
