//! What this replica may still spend of one attendee's daily request cap.
//!
//! The cap itself is kept by one row of the store; here is the small part of it
//! that was leased ahead, so that a warm call is admitted from one atomic. The
//! day and what is left of it share the atomic: no call can be paid from a day
//! that it does not belong to.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;

/// How many requests one lease takes of a cap: 1/32 of it, at least 1, at most 16.
pub fn lease_size(cap: u32) -> u32 {
    (cap / 32).clamp(1, 16)
}

/// What may be left of a lease of `size` before more is asked for ahead of need,
/// so that no call of somebody busy waits for the store. Small leases are not
/// renewed so: they would keep from other replicas what nobody here asked for.
pub fn is_low(left: u32, size: u32) -> bool {
    size >= 4 && left <= size / 4
}

/// How the store answered when asked for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// Something was added; try to take again.
    Granted,
    /// Not even `asked` fitted under the cap.
    Exhausted { asked: u32 },
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

#[derive(Default)]
pub struct Lease {
    left: AtomicU64,
    last_taken: AtomicI64,
    /// There from when the store is asked until it has answered.
    pending: Mutex<Option<Answer>>,
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
    pub fn surrender(&self) -> Option<DayCount> {
        let packed = self.left.load(Ordering::Acquire);
        let left = DayCount::unpack(packed);
        if left.count == 0 {
            return None;
        }
        let none = DayCount { day: left.day, count: 0 }.pack();
        // A call that takes at this very moment keeps the lease busy: next time.
        self.left
            .compare_exchange(packed, none, Ordering::AcqRel, Ordering::Acquire)
            .ok()
            .map(|_| left)
    }

    /// UTC milliseconds of the last take.
    pub fn last_taken(&self) -> i64 {
        self.last_taken.load(Ordering::Relaxed)
    }

    /// The refill that is under way, or the one that `ask` begins: at most one
    /// at a time goes to the store for an attendee. `ask` may not use the lease.
    pub fn refill(&self, ask: impl FnOnce() -> BoxFuture<'static, Refill>) -> Answer {
        self.pending.lock().get_or_insert_with(|| ask().shared()).clone()
    }

    /// Begins a refill with `ask`, unless one is under way.
    pub fn refill_ahead(&self, ask: impl FnOnce() -> BoxFuture<'static, Refill>) {
        self.pending.lock().get_or_insert_with(|| ask().shared());
    }

    /// The store has answered, or will not: the next refill asks it again.
    pub fn answered(&self) {
        *self.pending.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_a_32nd_of_the_cap_within_bounds() {
        let sizes: Vec<u32> = [1, 31, 64, 511, 512, 100_000].map(lease_size).to_vec();
        assert_eq!(sizes, [1, 1, 2, 15, 16, 16]);
    }

    #[test]
    fn only_leases_of_some_size_are_renewed_ahead_of_need() {
        assert!((1..=3).all(|size| !is_low(0, size)));
        assert!(is_low(4, 16) && !is_low(5, 16));
    }

    #[test]
    fn takes_are_all_or_none_and_of_their_own_day() {
        let lease = Lease::default();
        assert_eq!(lease.add(DayCount { day: 7, count: 5 }), None);
        assert_eq!(lease.take(7, 3, 0), Some(2));
        assert_eq!(lease.take(7, 3, 0), None, "only two are left");
        assert_eq!(lease.take(8, 1, 0), None, "another day");
        assert_eq!(lease.take(7, 2, 0), Some(0));
        assert_eq!(lease.left(7), 0);
    }

    #[test]
    fn a_new_day_sends_the_rest_of_the_old_one_back() {
        let lease = Lease::default();
        assert_eq!(lease.add(DayCount { day: 7, count: 5 }), None);
        assert_eq!(lease.add(DayCount { day: 8, count: 2 }), Some(DayCount { day: 7, count: 5 }));
        assert_eq!(
            lease.add(DayCount { day: 7, count: 1 }),
            Some(DayCount { day: 7, count: 1 }),
            "a refund of yesterday's call must not pay for one of today"
        );
        assert_eq!(lease.left(8), 2);
    }

    #[test]
    fn threads_take_exactly_what_was_leased() {
        let lease = Lease::default();
        assert_eq!(lease.add(DayCount { day: 1, count: 1000 }), None);
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| (0..1000).filter(|_| lease.take(1, 1, 0).is_some()).count())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 1000);
        assert_eq!(lease.surrender(), None);
    }
}
