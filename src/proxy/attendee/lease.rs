//! What this replica may still spend of one attendee's daily request cap.
//!
//! The cap itself is kept by one row of the store; here is the small part of it
//! that was leased ahead, so that a warm call is admitted from one atomic. The
//! day and what is left of it share the atomic: no call can be paid from a day
//! that it does not belong to.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use self::pace::Pace;
use crate::sync::{AtomicI64, AtomicU32, AtomicU64, Mutex, Ordering};

mod pace;
#[cfg(test)]
mod tests;

/// How long the store's answer that a cap is reached is believed, in
/// milliseconds, so that refused calls do not ask it each time.
const EXHAUSTED_MS: i64 = 1_000;

/// How the store answered when asked for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// Something was added; try to take again.
    Granted,
    /// Not even `asked` of this day fitted under this cap.
    Exhausted { day: u32, cap: u32, asked: u32 },
    /// The store did not answer, so nothing may be admitted.
    Failed,
}

/// Requests of a UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayCount {
    pub day: u32,
    pub count: u32,
}

impl DayCount {
    fn pack(self) -> u64 {
        u64::from(self.day) << 32 | u64::from(self.count)
    }

    fn unpack(packed: u64) -> Self {
        Self { day: (packed >> 32) as u32, count: packed as u32 }
    }
}

/// The requests of a UTC day that one attendee may still spend here, and their refills.
#[derive(Default)]
pub struct Lease {
    left: AtomicU64,
    last_taken: AtomicI64,
    /// How many requests the last refill aimed at.
    size: AtomicU32,
    refilling: Mutex<Refilling>,
}

/// State of the refills of one lease.
#[derive(Default)]
struct Refilling {
    /// There from when the store is asked until it has answered.
    pending: Option<Answer>,
    /// As of the last refill that was granted.
    pace: Pace,
    /// As of the refill that is under way.
    next: Pace,
    exhausted: Option<Exhausted>,
}

/// The call or the reserve that a refill is for.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub day: u32,
    pub cap: u32,
    /// Fewer are of no use; 0: nobody waits for them yet.
    pub at_least: u32,
}

/// The store's answer that a number of requests no longer fits under a cap.
#[derive(Clone, Copy, Debug)]
struct Exhausted {
    day: u32,
    cap: u32,
    asked: u32,
    at_ms: i64,
}

impl Exhausted {
    fn rules_out(&self, day: u32, cap: u32, n: u32, now_ms: i64) -> bool {
        // Also of a clock that stepped back: then no age is known.
        let is_fresh = (0..EXHAUSTED_MS).contains(&(now_ms - self.at_ms));
        is_fresh && (self.day, self.cap) == (day, cap) && n >= self.asked
    }
}

/// What every call that waits for a refill waits for.
pub type Answer = Shared<BoxFuture<'static, Refill>>;

impl Lease {
    /// Takes `n` of `day`, all or none; what is left after that.
    pub fn take(&self, day: u32, n: u32, now_ms: i64) -> Option<u32> {
        let mut packed = self.left.load(Ordering::Acquire);
        loop {
            let left = DayCount::unpack(packed);
            if left.day != day || left.count < n {
                return None;
            }
            let rest = DayCount { day, count: left.count - n };
            match self.left.compare_exchange_weak(
                packed,
                rest.pack(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    self.last_taken.store(now_ms, Ordering::Relaxed);
                    return Some(rest.count);
                }
                Err(actual) => packed = actual,
            }
        }
    }

    /// What is left of `day`.
    pub fn left(&self, day: u32) -> u32 {
        let left = DayCount::unpack(self.left.load(Ordering::Acquire));
        if left.day == day { left.count } else { 0 }
    }

    pub fn is_empty(&self) -> bool {
        DayCount::unpack(self.left.load(Ordering::Acquire)).count == 0
    }

    /// Adds `more`. Returns what must go back to the store: what was left of an
    /// earlier day, or `more` itself where it is the earlier one.
    #[must_use]
    pub fn add(&self, more: DayCount) -> Option<DayCount> {
        let mut packed = self.left.load(Ordering::Acquire);
        loop {
            let left = DayCount::unpack(packed);
            let (kept, back) = if left.day == more.day {
                (DayCount { day: left.day, count: left.count + more.count }, None)
            } else if left.day < more.day {
                (more, Some(left))
            } else {
                (left, Some(more))
            };
            match self.left.compare_exchange_weak(
                packed,
                kept.pack(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return back.filter(|back| back.count > 0),
                Err(actual) => packed = actual,
            }
        }
    }

    /// Takes all that is left, to give it back to the store.
    ///
    /// Also from under calls that take at this very moment: where the cap was
    /// lowered, nobody comes a second time.
    pub fn surrender(&self) -> Option<DayCount> {
        let none = |packed| {
            let DayCount { day, count } = DayCount::unpack(packed);
            (count > 0).then(|| DayCount { day, count: 0 }.pack())
        };
        let surrendered = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, none);
        surrendered.ok().map(DayCount::unpack)
    }

    /// UTC milliseconds of the last take.
    pub fn last_taken(&self) -> i64 {
        self.last_taken.load(Ordering::Relaxed)
    }

    /// Whether a lease with `left` requests is refilled ahead of need, so that no call of
    /// a busy attendee waits for the store. Small leases are not refilled ahead: they
    /// would keep from other replicas what nobody here asked for.
    pub fn is_low(&self, left: u32) -> bool {
        let size = self.size.load(Ordering::Relaxed);
        size >= 4 && left <= size / 4
    }

    /// The refill that is under way, or the one that `ask` begins for so many
    /// requests: at most one at a time goes to the store for an attendee. `None`:
    /// none is needed, or the store has said within the last second that what is
    /// needed does not fit under the cap. `ask` may not use the lease.
    pub fn refill(
        &self,
        need: Need,
        now_ms: i64,
        ask: impl FnOnce(u32) -> BoxFuture<'static, Refill>,
    ) -> Option<Answer> {
        let mut refilling = self.refilling.lock();
        if let Some(answer) = &refilling.pending {
            return Some(answer.clone());
        }
        let Need { day, cap, at_least } = need;
        let left = self.left(day);
        let next = refilling.pace.next(left, cap, now_ms);
        let exhausted = refilling.exhausted;
        let fits = |n: &u32| {
            *n > 0 && !exhausted.is_some_and(|known| known.rules_out(day, cap, *n, now_ms))
        };
        let wanted = next.size.saturating_sub(left).max(at_least);
        let n = Some(wanted).filter(fits).or_else(|| Some(at_least).filter(fits))?;
        refilling.next = next;
        Some(refilling.pending.insert(ask(n).shared()).clone())
    }

    /// The store has said that `asked` do not fit.
    pub fn learn_exhausted(&self, day: u32, cap: u32, asked: u32, now_ms: i64) {
        let known = &mut self.refilling.lock().exhausted;
        if !known.is_some_and(|known| known.rules_out(day, cap, asked, now_ms)) {
            *known = Some(Exhausted { day, cap, asked, at_ms: now_ms });
        }
    }

    /// The store has granted `n`: the next refill may ask it again.
    pub fn granted(&self, n: u32) {
        let mut refilling = self.refilling.lock();
        refilling.pending = None;
        refilling.pace = refilling.next.granted(n);
        self.size.store(refilling.pace.size, Ordering::Relaxed);
        refilling.exhausted = refilling.exhausted.filter(|known| known.asked > n);
    }

    /// The store has granted nothing, or will not answer: the next refill may ask
    /// it again, but for what is known not to fit.
    pub fn not_granted(&self) {
        self.refilling.lock().pending = None;
    }
}
