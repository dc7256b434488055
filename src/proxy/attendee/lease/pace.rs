//! How many requests a lease should hold: as many as the attendee uses in about a
//! second, so that somebody busy seldom needs the store, and somebody who is not
//! keeps next to nothing from other replicas.
//!
//! Measured from one refill to the next, which costs a call nothing.

/// The cap divided by this is the largest lease.
const PARTS: u32 = 32;

/// Maximum number of requests of a lease, however large the cap.
const MOST: u32 = 64;

/// One refill, as the next one looks back at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// How many requests the lease was to hold.
    pub size: u32,
    /// How many it held once the refill was granted, less what was taken meanwhile.
    held: u32,
    /// When it was asked for, in UTC milliseconds.
    at_ms: i64,
}

impl Pace {
    /// The refill that follows at `now_ms`, with `left` on the lease.
    ///
    /// A size doubles at most, because two calls in quick succession do not make
    /// an attendee busy.
    pub(super) fn next(self, left: u32, cap: u32, now_ms: i64) -> Self {
        let used = u64::from(self.held.saturating_sub(left));
        // A clock that stepped back says nothing about the time between.
        let elapsed_ms = u64::try_from(now_ms - self.at_ms).unwrap_or(0).max(1);
        let a_second = u32::try_from((used * 1_000).div_ceil(elapsed_ms)).unwrap_or(u32::MAX);
        let size = a_second.min(self.size.saturating_mul(2)).clamp(1, most(cap));
        Self { size, held: left, at_ms: now_ms }
    }

    /// This refill once `n` were granted.
    pub(super) fn granted(self, n: u32) -> Self {
        Self { held: self.held.saturating_add(n), ..self }
    }
}

/// Maximum number of requests that a replica leases under a cap.
fn most(cap: u32) -> u32 {
    (cap / PARTS).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sizes of leases of somebody who calls once in `every_ms`, each lease
    /// used up before the next.
    fn sizes(cap: u32, every_ms: i64, count: usize) -> Vec<u32> {
        let (mut pace, mut now_ms) = (Pace::default(), 1_000_000);
        (0..count)
            .map(|_| {
                pace = pace.next(0, cap, now_ms);
                pace = pace.granted(pace.size);
                now_ms += every_ms * i64::from(pace.size);
                pace.size
            })
            .collect()
    }

    #[test]
    fn a_lease_is_a_32nd_of_the_cap_within_bounds_at_most() {
        let sizes: Vec<u32> = [1, 31, 64, 511, 512, 2_048, 100_000].map(most).to_vec();
        assert_eq!(sizes, [1, 1, 2, 15, 16, 64, 64]);
    }

    #[test]
    fn leases_grow_with_use_to_a_second_of_it() {
        assert_eq!(sizes(100_000, 2_000, 4), [1, 1, 1, 1], "one call in two seconds");
        assert_eq!(sizes(100_000, 100, 6), [1, 2, 4, 8, 10, 10], "ten a second");
        assert_eq!(sizes(100_000, 1, 8), [1, 2, 4, 8, 16, 32, 64, 64], "a thousand a second");
        assert_eq!(sizes(320, 1, 6), [1, 2, 4, 8, 10, 10], "a small cap");
    }

    #[test]
    fn somebody_who_was_busy_and_pauses_begins_small() {
        let pace = Pace { size: 64, held: 64, at_ms: 0 };
        assert_eq!(pace.next(0, 100_000, 60_000).size, 2);
        assert_eq!(pace.next(0, 100_000, 600_000).size, 1);
        assert_eq!(pace.next(64, 100_000, 1).size, 1, "nothing was used");
    }

    proptest! {
        #[test]
        fn a_size_is_within_its_bounds_whatever_was_measured(
            size in any::<u32>(), held in any::<u32>(), at_ms in 0..i64::MAX,
            left in any::<u32>(), cap in any::<u32>(), now_ms in 0..i64::MAX, n in any::<u32>(),
        ) {
            let next = Pace { size, held, at_ms }.next(left, cap, now_ms);
            prop_assert!((1..=most(cap)).contains(&next.size));
            prop_assert_eq!(next.granted(n).size, next.size);
        }
    }
}
