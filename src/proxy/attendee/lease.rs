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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    #[test]
    fn a_lease_is_surrendered_also_while_it_is_in_use() {
        for _ in 0..200 {
            let lease = Lease::default();
            assert_eq!(lease.add(DayCount { day: 1, count: 1_000_000 }), None);
            let (taken, back) = std::thread::scope(|scope| {
                let taking = scope.spawn(|| {
                    let mut taken = 0;
                    while lease.take(1, 1, 0).is_some() {
                        taken += 1;
                    }
                    taken
                });
                while lease.left(1) == 1_000_000 {
                    std::hint::spin_loop();
                }
                let back = lease.surrender();
                assert!(lease.is_empty());
                (taking.join().unwrap(), back)
            });
            assert_eq!(taken + back.map_or(0, |back| back.count), 1_000_000);
        }
    }

    proptest! {
        /// Whatever is added of a day is taken, goes back to the store, or is left.
        #[test]
        fn no_request_of_a_day_is_lost_or_made(
            steps in prop::collection::vec((0..3_u8, 0..3_u32, 1..20_u32), 1..60),
        ) {
            let lease = Lease::default();
            let mut out = [0_i64; 3];
            for (step, day, n) in steps {
                let (into, back) = match step {
                    0 => (n, lease.add(DayCount { day, count: n })),
                    1 => (0, lease.take(day, n, 0).map(|_| DayCount { day, count: n })),
                    _ => (0, lease.surrender()),
                };
                out[day as usize] += i64::from(into);
                if let Some(DayCount { day, count }) = back {
                    out[day as usize] -= i64::from(count);
                }
            }
            prop_assert_eq!(out, [0, 1, 2].map(|day| i64::from(lease.left(day))));
        }
    }

    const NEED: Need = Need { day: 1, cap: 1_000, at_least: 1 };

    /// How many are asked of the store, which is then not waited for.
    fn asks(lease: &Lease, need: Need, now_ms: i64) -> Option<u32> {
        let mut asked = None;
        let _ = lease.refill(need, now_ms, |n| {
            asked = Some(n);
            std::future::pending().boxed()
        });
        asked
    }

    fn grant(lease: &Lease, n: u32) {
        assert_eq!(lease.add(DayCount { day: NEED.day, count: n }), None);
        lease.granted(n);
    }

    #[test]
    fn one_refill_at_a_time_asks_the_store() {
        let lease = Lease::default();
        assert_eq!(asks(&lease, NEED, 0), Some(1));
        assert_eq!(asks(&lease, NEED, 0), None, "one is under way");
        lease.not_granted();
        assert_eq!(asks(&lease, NEED, 0), Some(1));
    }

    #[test]
    fn what_is_known_not_to_fit_is_not_asked_for_within_a_second() {
        let lease = Lease::default();
        lease.learn_exhausted(1, 1_000, 4, 0);
        assert_eq!(asks(&lease, Need { at_least: 5, ..NEED }, 999), None);
        assert_eq!(asks(&lease, Need { at_least: 3, ..NEED }, 999), Some(3), "may fit");
        lease.not_granted();
        lease.learn_exhausted(1, 1_000, 1, 500);
        assert_eq!(asks(&lease, NEED, 1_499), None);
        for (need, now_ms, why) in [
            (Need { day: 2, ..NEED }, 600, "another day"),
            (Need { cap: 1_001, ..NEED }, 600, "the cap was raised"),
            (NEED, 1_500, "some may have come back"),
            (NEED, 499, "the clock stepped back"),
        ] {
            assert_eq!(asks(&lease, need, now_ms), Some(1), "{why}");
            lease.not_granted();
        }
    }

    #[test]
    fn near_the_cap_what_does_not_fit_is_asked_for_once_a_second() {
        let lease = Lease::default();
        // So busy that eight are wanted at a time.
        for size in [1, 2, 4, 8] {
            assert_eq!(asks(&lease, NEED, 0), Some(size));
            grant(&lease, size);
            assert_eq!(lease.take(1, size, 0), Some(0));
        }
        assert_eq!(asks(&lease, NEED, 0), Some(16));
        lease.learn_exhausted(1, 1_000, 16, 0);
        grant(&lease, 1);
        assert_eq!(lease.take(1, 1, 0), Some(0));
        for now_ms in [1, 2] {
            assert_eq!(asks(&lease, NEED, now_ms), Some(1), "no more will fit");
            grant(&lease, 1);
            assert_eq!(lease.take(1, 1, now_ms), Some(0));
            assert!(lease.is_low(0));
            assert_eq!(asks(&lease, Need { at_least: 0, ..NEED }, now_ms), None, "in vain");
        }
        assert_eq!(asks(&lease, NEED, 1_000), Some(2), "some may have come back");
    }

    #[test]
    fn a_refill_ahead_of_need_asks_for_what_is_missing_and_for_nothing_where_nothing_is() {
        let lease = Lease::default();
        for size in [1, 2, 4, 8] {
            assert_eq!(asks(&lease, NEED, 0), Some(size));
            grant(&lease, size);
            assert!(size >= 4 || !lease.is_low(0), "small leases are not renewed ahead of need");
            assert!(size < 4 || lease.is_low(size / 4) && !lease.is_low(size / 4 + 1));
            let keep = if size == 8 { 2 } else { 0 };
            assert_eq!(lease.take(1, size - keep, 0), Some(keep));
        }
        let ahead = Need { at_least: 0, ..NEED };
        assert_eq!(asks(&lease, ahead, 60_000), None, "the attendee has become slow");
        assert_eq!(asks(&lease, ahead, 0), Some(14));
    }

    /// The store's side of one attendee's cap, as a lease's owner speaks with it.
    struct Store {
        lease: Lease,
        cap: u32,
        day: u32,
        now_ms: i64,
        /// Requests leased of each day.
        leased: Vec<u32>,
        /// Day, instant and number of each request that did not fit.
        refused: Vec<(u32, i64, u32)>,
    }

    impl Store {
        /// Asks for a refill, and for as few as will do where it does not fit. Whether
        /// the lease has them now.
        fn refill(&mut self, at_least: u32) -> bool {
            let need = Need { day: self.day, cap: self.cap, at_least };
            let Some(n) = asks(&self.lease, need, self.now_ms) else { return false };
            for n in [n, at_least] {
                if n > 0 && self.leased[self.day as usize] + n <= self.cap {
                    self.leased[self.day as usize] += n;
                    let back = self.lease.add(DayCount { day: self.day, count: n });
                    self.returned(back);
                    self.lease.granted(n);
                    return true;
                }
                self.lease.learn_exhausted(self.day, self.cap, n, self.now_ms);
                self.refused.push((self.day, self.now_ms, n));
            }
            self.lease.not_granted();
            false
        }

        fn returned(&mut self, back: Option<DayCount>) {
            if let Some(back) = back {
                self.leased[back.day as usize] -= back.count;
            }
        }

        /// Whether the store has said of late that `n` do not fit.
        fn has_refused(&self, n: u32) -> bool {
            self.refused.iter().any(|(day, at_ms, asked)| {
                *day == self.day && self.now_ms - at_ms < EXHAUSTED_MS && *asked <= n
            })
        }
    }

    proptest! {
        /// Calls of several sizes, refills ahead of need, leases that go back and days that
        /// end, in any order.
        #[test]
        fn no_day_has_more_calls_than_its_cap_and_none_is_refused_that_fits(
            cap in 1..60_u32,
            steps in prop::collection::vec((0..8_u8, 1..6_u32, 0..700_i64), 1..150),
        ) {
            let mut store = Store {
                lease: Lease::default(),
                cap,
                day: 0,
                now_ms: 0,
                leased: vec![0; steps.len() + 1],
                refused: Vec::new(),
            };
            let mut taken = vec![0; steps.len() + 1];
            for (step, n, pause_ms) in steps {
                store.now_ms += pause_ms;
                let day = store.day;
                match step {
                    0 => {
                        let back = store.lease.surrender();
                        store.returned(back);
                    }
                    1 => store.day += 1,
                    2 => {
                        store.refill(0);
                    }
                    _ => {
                        let mut is_paid = store.lease.take(day, n, store.now_ms).is_some();
                        if !is_paid && store.refill(n) {
                            is_paid = store.lease.take(day, n, store.now_ms).is_some();
                            prop_assert!(is_paid, "a refill is as large as its call needs");
                        }
                        if is_paid {
                            taken[day as usize] += n;
                        } else {
                            prop_assert!(store.has_refused(n));
                        }
                    }
                }
                for (day, leased) in store.leased.iter().enumerate() {
                    prop_assert!(*leased <= cap);
                    prop_assert_eq!(taken[day] + store.lease.left(day as u32), *leased);
                }
            }
        }
    }
}
