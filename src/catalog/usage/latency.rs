//! How long calls took, as far as a histogram tells.

use super::BUCKETS_MS;

/// Calls by the first of [`BUCKETS_MS`] that they fit, and one more for the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency(pub [u64; BUCKETS_MS.len() + 1]);

impl Latency {
    /// The time that `percent` of the calls did not pass, in milliseconds: exact
    /// to the bucket, and within it as if the calls were spread evenly. Calls that
    /// are slower than the last bound count as long as it. `None` without calls.
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let calls: u128 = self.0.iter().map(|count| u128::from(*count)).sum();
        if calls == 0 {
            return None;
        }
        // The first call at which the share is reached, counted from 1.
        let rank = (calls * u128::from(percent)).div_ceil(100).max(1);
        let (mut below, mut floor) = (0, 0);
        for (count, bound) in self.0.iter().zip(BUCKETS_MS) {
            let count = u128::from(*count);
            if below + count >= rank {
                let within = u128::from(bound - floor) * (rank - below);
                return Some(floor + u64::try_from(within.div_ceil(count)).unwrap_or(bound));
            }
            below += count;
            floor = bound;
        }
        BUCKETS_MS.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::Figures;
    use super::*;

    #[test]
    fn without_calls_there_is_no_time() {
        assert_eq!(Latency::default().percentile(50), None);
    }

    #[test]
    fn a_time_is_found_within_its_bucket() {
        let mut latency = Latency::default();
        latency.0[4] = 10;
        // Ten calls between 50 and 100 ms.
        assert_eq!(latency.percentile(50), Some(75));
        assert_eq!(latency.percentile(95), Some(100));
        latency.0[13] = 1_000;
        assert_eq!(latency.percentile(95), Some(60_000));
    }

    proptest! {
        #[test]
        fn a_percentile_falls_into_the_bucket_of_the_true_one(
            mut times in prop::collection::vec(0_u64..=60_000, 1..300), percent in 1_u8..=100,
        ) {
            let mut figures = Figures::default();
            for ms in &times {
                figures.add_call(Duration::from_millis(*ms), false);
            }
            times.sort_unstable();
            let rank = (times.len() * usize::from(percent)).div_ceil(100);
            let exact = times[rank - 1];
            let found = Latency(figures.buckets).percentile(percent).unwrap();
            let bucket = |ms| BUCKETS_MS.partition_point(|bound| *bound < ms);
            prop_assert_eq!(bucket(found), bucket(exact), "{} for {}", found, exact);
        }

        #[test]
        fn a_greater_share_never_takes_less_time(
            counts in prop::array::uniform14(0_u64..1_000_000_000_000), percent in 1_u8..100,
        ) {
            let latency = Latency(counts);
            prop_assert!(latency.percentile(percent) <= latency.percentile(percent + 1));
        }
    }
}
