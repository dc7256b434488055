//! What all calls share: the catalog as it stands, what is cached of it, and who is about.
//! One for the process; workers hold it by reference.
//!
//! Each part holds what it needs and owns its methods: the door to the control runtime,
//! keys, refills of leases, MCP sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::attendee::live::LiveAttendees;
use super::attendee::refill::Refills;
use super::authenticate::Keys;
use super::backend::Dialer;
use super::caller::{Caller, is_open};
use super::control::Control;
use super::dropped::DroppedHeaders;
use super::error::{Organizer, ProxyError};
use super::mcp::session::Sessions;
use super::origin::Origins;
use super::tally::Tally;
use crate::catalog::seal::Vault;
use crate::catalog::snapshot::Snapshot;
use crate::catalog::usage::Batch;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;

pub struct DataPlane {
    pub config: Config,
    pub clock: Clock,
    pub control: Control,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub keys: Arc<Keys>,
    pub lives: Arc<LiveAttendees>,
    pub refills: Arc<Refills>,
    pub sessions: Arc<Sessions>,
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
    /// `runtime` becomes the control runtime.
    ///
    /// # Errors
    /// The certificates that backends are checked against cannot be read.
    pub fn new(
        config: Config,
        db: Arc<Db>,
        vault: Arc<Vault>,
        snapshot: Snapshot,
        runtime: Handle,
    ) -> anyhow::Result<Self> {
        let clock = Clock::default();
        let control = Control::new(runtime, db, vault);
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let lives = Arc::<LiveAttendees>::default();
        let keys = Keys::new(
            config.trusted_proxies.clone(),
            snapshot.clone(),
            lives.clone(),
            control.clone(),
            clock.clone(),
        );
        let sessions = Sessions::new(&config, snapshot.clone(), control.clone(), clock.clone());
        Ok(Self {
            dialer: Dialer::new(config.endpoint_policy, config.connect_timeout.0)?,
            origins: Origins::new(config.public_url.as_ref(), &config.allowed_origins),
            config,
            keys: Arc::new(keys),
            refills: Arc::new(Refills::new(control.clone(), clock.clone())),
            sessions: Arc::new(sessions),
            clock,
            control,
            snapshot,
            lives,
            dropped: DroppedHeaders::default(),
            started: Instant::now(),
            tallies: Mutex::default(),
            unwritten: tokio::sync::Mutex::default(),
            draining: AtomicBool::new(false),
        })
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

    /// What ended the calls of somebody who was admitted before.
    pub fn why_ended(&self, caller: &Caller) -> ProxyError {
        if self.is_draining() {
            return ProxyError::ShuttingDown;
        }
        if caller.endings.are_by_credential() {
            return match caller.is_by_token {
                true => ProxyError::InvalidToken,
                false => ProxyError::InvalidKey,
            };
        }
        let snapshot = self.snapshot.load();
        let event = snapshot.events.get(&caller.event.id).unwrap_or(&caller.event);
        let organizer = || Organizer::from(&**event);
        let why = is_open(event, self.clock.now_ms())
            .err()
            .unwrap_or_else(|| ProxyError::AttendeeDisabled(organizer()));
        if caller.is_by_token { why.for_token() } else { why }
    }
}
