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
            .map(|_| scope.spawn(|| (0..1000).filter(|_| lease.take(1, 1, 0).is_some()).count()))
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

/// The store's side of one attendee's cap, and the lease that is filled from it.
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
    /// Asks for a refill and, where that does not fit, for as few as will do. Returns
    /// whether the lease has them now.
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

    /// Whether the store has said within the last second that `n` do not fit.
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
