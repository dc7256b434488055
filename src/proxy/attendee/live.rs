//! What this replica keeps in memory of an attendee while they are about:
//! their lease, their turn, their open requests, what is yet to be written of
//! their usage, and the means to end their streams.
//!
//! Rows say what is true; this says what is going on. It is made at an
//! attendee's first call and swept once nothing of it is in use.

use std::sync::Arc;

use dashmap::DashMap;
use http::Method;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::lease::{DayCount, Lease};
use super::ledger::Ledger;
use super::rate::Rate;
use crate::catalog::Digest;
use crate::sync::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Mutex, Ordering};

/// Means of one attendee beyond which those without a call are dropped.
const MEANS: usize = 8;

/// How often it is written that an attendee was seen, in milliseconds.
const SEEN_MS: i64 = 10_000;

pub struct LiveAttendee {
    pub attendee_id: Arc<str>,
    pub event_id: Arc<str>,
    pub lease: Lease,
    pub rate: Rate,
    pub ledger: Mutex<Ledger>,
    /// Requests known to be spent of a day, here and, as of the last look at
    /// the store, elsewhere: what attendees are shown.
    spent: Mutex<DayCount>,
    open: AtomicU32,
    /// What the store does not know yet of the last call; 0: it knows.
    last_seen: AtomicI64,
    seen_written: AtomicI64,
    /// Raised when the attendee's row changes: what was cached of it is stale.
    generation: AtomicU64,
    /// Of each means by which they have called.
    endings: Mutex<Vec<(Means, Arc<Endings>)>>,
}

/// By what an attendee calls. Each ends by itself, and its calls with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// The key with this digest: the one that replaces it is another.
    Key(Digest),
    /// The shared code and a name.
    SharedCode,
    /// The access tokens of a grant.
    Grant {
        id: Arc<str>,
        /// It stands with the shared code by which they came.
        is_by_code: bool,
    },
}

impl Means {
    /// Whether it ends with the event's shared code.
    pub fn is_by_code(&self) -> bool {
        matches!(self, Means::SharedCode | Means::Grant { is_by_code: true, .. })
    }
}

/// Tells clients' GET streams and all other calls of one attendee, by one means, to end. Who
/// holds it from before they were found to be active misses no end of theirs.
#[derive(Default)]
pub struct Endings {
    gets: Ending,
    calls: Ending,
    /// They end because what they were begun with has.
    are_by_credential: AtomicBool,
}

impl Endings {
    /// The one that a call of this method heeds.
    pub fn of(&self, method: &Method) -> &Ending {
        if method == Method::GET { &self.gets } else { &self.calls }
    }

    fn end(&self) {
        self.gets.end();
        self.calls.end();
    }

    /// Once it is over: whether that is because the key or the sign-in has ended, and not the attendee's
    /// leave to call.
    pub fn are_by_credential(&self) -> bool {
        self.are_by_credential.load(Ordering::Acquire)
    }
}

/// An end that comes once.
#[derive(Default)]
pub struct Ending {
    over: AtomicBool,
    signal: CancellationToken,
}

impl Ending {
    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.signal.cancel();
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Resolves when it is over.
    pub async fn ended(&self) {
        self.signal.cancelled().await;
    }

    /// As [`ended`](Self::ended), to be kept in a struct.
    pub fn ended_owned(&self) -> WaitForCancellationFutureOwned {
        self.signal.clone().cancelled_owned()
    }
}

/// One open request; counts until it is dropped.
pub struct OpenRequest(Arc<LiveAttendee>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl LiveAttendee {
    /// The state of somebody who is not in [`LiveAttendees`]: nothing of it is ever written.
    pub fn new(attendee_id: &str, event_id: &str) -> Self {
        Self {
            attendee_id: attendee_id.into(),
            event_id: event_id.into(),
            lease: Lease::default(),
            rate: Rate::default(),
            ledger: Mutex::default(),
            spent: Mutex::new(DayCount { day: 0, count: 0 }),
            open: AtomicU32::new(0),
            last_seen: AtomicI64::new(0),
            seen_written: AtomicI64::new(0),
            generation: AtomicU64::new(0),
            endings: Mutex::default(),
        }
    }

    /// Counts one more open request, unless `limit` are open already.
    pub fn open(self: &Arc<Self>, limit: u32) -> Option<OpenRequest> {
        if self.open.fetch_add(1, Ordering::AcqRel) >= limit {
            self.open.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(OpenRequest(self.clone()))
    }

    pub fn open_requests(&self) -> u32 {
        self.open.load(Ordering::Acquire)
    }

    /// What tells calls that begin now by these means to end.
    pub fn endings(&self, means: &Means) -> Arc<Endings> {
        let mut all = self.endings.lock();
        if let Some((_, endings)) = all.iter().find(|(known, _)| known == means) {
            return endings.clone();
        }
        // Means that have ended leave an entry behind where their token is sent once more.
        if all.len() >= MEANS {
            all.retain(|(_, endings)| Arc::strong_count(endings) > 1);
        }
        let endings = Arc::<Endings>::default();
        all.push((means.clone(), endings.clone()));
        endings
    }

    /// Ends everything that is open now; later calls are not affected.
    pub fn end_all(&self) {
        for (_, endings) in std::mem::take(&mut *self.endings.lock()) {
            endings.end();
        }
    }

    /// Ends what is open now by these means, because they have ended.
    pub fn end_means(&self, has_ended: impl Fn(&Means) -> bool) {
        self.endings.lock().retain(|(means, endings)| {
            let is_over = has_ended(means);
            if is_over {
                endings.are_by_credential.store(true, Ordering::Release);
                endings.end();
            }
            !is_over
        });
    }

    /// Ends the GET streams that are open now. For the drain, in which no
    /// others begin.
    pub fn end_gets(&self) {
        for (_, endings) in &*self.endings.lock() {
            endings.gets.end();
        }
    }

    /// What ends the calls of a caller by these means, whose row is of this generation. `None`: the row
    /// has changed since.
    pub fn endings_of(&self, generation: u64, means: &Means) -> Option<Arc<Endings>> {
        if generation != self.generation() {
            return None;
        }
        // In this order. A row's change is noted first and ends streams second,
        // so endings from after the change do not go with a row from before it.
        let endings = self.endings(means);
        (generation == self.generation()).then_some(endings)
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub fn seen(&self, now_ms: i64) {
        self.last_seen.store(now_ms, Ordering::Relaxed);
    }

    /// When the attendee was last seen, if that is yet to be written.
    pub fn take_seen(&self, now_ms: i64) -> Option<i64> {
        if now_ms - self.seen_written.load(Ordering::Relaxed) < SEEN_MS {
            return None;
        }
        let at = Some(self.last_seen.swap(0, Ordering::Relaxed)).filter(|at| *at != 0)?;
        self.seen_written.store(now_ms, Ordering::Relaxed);
        Some(at)
    }

    /// Counts requests as spent.
    pub fn spend(&self, more: DayCount) {
        {
            let mut spent = self.spent.lock();
            if spent.day < more.day {
                *spent = DayCount { day: more.day, count: 0 };
            }
            if spent.day == more.day {
                spent.count = spent.count.saturating_add(more.count);
            }
        }
        self.ledger.lock().spend(more.day, i64::from(more.count));
    }

    /// Takes back what [`spend`](Self::spend) counted: the backend never got it.
    pub fn unspend(&self, less: DayCount) {
        {
            let mut spent = self.spent.lock();
            if spent.day == less.day {
                spent.count = spent.count.saturating_sub(less.count);
            }
        }
        self.ledger.lock().spend(less.day, -i64::from(less.count));
    }

    /// Returns permits to the lease, or by way of the ledger to an earlier day.
    pub fn give_back(&self, permits: DayCount) {
        if let Some(back) = self.lease.add(permits) {
            self.ledger.lock().give_back(back);
        }
    }

    /// What the store says is spent of a day, all replicas together; what is in
    /// our ledger is not in it yet.
    pub fn learn_spent(&self, day: u32, stored: u32) {
        let unwritten = self.ledger.lock().unwritten(day);
        let count = u32::try_from(i64::from(stored) + unwritten).unwrap_or(0);
        let known = DayCount { day, count };
        let mut spent = self.spent.lock();
        if spent.day < known.day || (spent.day == known.day && spent.count < known.count) {
            *spent = known;
        }
    }

    pub fn spent(&self, day: u32) -> u32 {
        let spent = self.spent.lock();
        if spent.day == day { spent.count } else { 0 }
    }
}

/// All attendees that are about.
#[derive(Default)]
pub struct LiveAttendees {
    by_attendee: DashMap<String, Arc<LiveAttendee>>,
    changes: AtomicU64,
}

impl LiveAttendees {
    /// The attendee's state; `true` where it was made just now.
    pub fn enter(&self, attendee_id: &str, event_id: &str) -> (Arc<LiveAttendee>, bool) {
        if let Some(live) = self.get(attendee_id) {
            return (live, false);
        }
        let mut made = false;
        let live = self
            .by_attendee
            .entry(attendee_id.to_owned())
            .or_insert_with(|| {
                made = true;
                Arc::new(LiveAttendee::new(attendee_id, event_id))
            })
            .clone();
        (live, made)
    }

    pub fn all(&self) -> Vec<Arc<LiveAttendee>> {
        self.by_attendee.iter().map(|live| live.clone()).collect()
    }

    /// The state of an attendee who is about.
    pub fn get(&self, attendee_id: &str) -> Option<Arc<LiveAttendee>> {
        self.by_attendee.get(attendee_id).map(|live| live.clone())
    }

    /// Notes that the row of an attendee, who may be about, has changed.
    pub fn row_changed(&self, attendee_id: &str) -> Option<Arc<LiveAttendee>> {
        self.changes.fetch_add(1, Ordering::AcqRel);
        let live = self.get(attendee_id)?;
        live.generation.fetch_add(1, Ordering::AcqRel);
        Some(live)
    }

    /// How many changes of rows were noted so far.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The generation of a row that began to be read when so many `changes` had been noted.
    /// If another was noted since, the row may not have it: then the generation is a past one,
    /// so that the row is read again.
    pub fn generation_of_row(&self, live: &LiveAttendee, changes: u64) -> u64 {
        // In this order: a change raises the count before the generation.
        let generation = live.generation();
        if self.changes() == changes { generation } else { generation.wrapping_sub(1) }
    }

    /// Forgets an attendee of whom nobody but this table holds anything.
    pub fn forget_idle(&self) {
        self.by_attendee.retain(|_, live| {
            Arc::strong_count(live) > 1
                || !live.lease.is_empty()
                || !live.ledger.lock().is_empty()
                || live.last_seen.load(Ordering::Relaxed) != 0
        });
    }
}
