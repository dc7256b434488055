//! The burst limit of one attendee: so many requests a minute, so many at once.
//!
//! GCRA on one atomic. A caller over the limit is not refused but given the
//! instant of its turn, in the order of asking, because MCP clients lose their
//! whole session on a 429 and lose nothing by a delay. (The `governor` crate
//! can neither reserve a later turn nor bound the wait, hence our own.)

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest that a request is held back for its turn.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(10);

/// When the next request may go, in nanoseconds since the process's start.
#[derive(Default)]
pub struct Rate {
    arrival: AtomicU64,
}

/// More than [`MAX_WAIT`] away; the turn was not reserved.
#[derive(Debug, PartialEq, Eq)]
pub struct TooFar {
    /// How long until a turn within [`MAX_WAIT`] can be had.
    pub retry_after: Duration,
}

impl Rate {
    /// Reserves the next turns, all or none, and says how long to wait for the
    /// last of them: zero within the burst. `now` is the time since the process's start.
    pub fn reserve(
        &self,
        now: Duration,
        turns: u32,
        per_minute: u32,
        burst: u32,
    ) -> Result<Duration, TooFar> {
        let now = nanos(now);
        let interval = 60_000_000_000 / u64::from(per_minute.max(1));
        let tolerance = interval * u64::from(burst.max(1));
        let mut arrival = self.arrival.load(Ordering::Relaxed);
        loop {
            let next = arrival.max(now) + interval * u64::from(turns);
            let wait = Duration::from_nanos(next.saturating_sub(now + tolerance));
            if wait > MAX_WAIT {
                return Err(TooFar { retry_after: wait - MAX_WAIT });
            }
            match self.arrival.compare_exchange_weak(
                arrival,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(wait),
                Err(actual) => arrival = actual,
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_goes_at_once_then_turns_are_evenly_spaced() {
        let rate = Rate::default();
        let now = Duration::from_secs(100);
        for _ in 0..60 {
            assert_eq!(rate.reserve(now, 1, 600, 60), Ok(Duration::ZERO));
        }
        assert_eq!(rate.reserve(now, 1, 600, 60), Ok(Duration::from_millis(100)));
        assert_eq!(rate.reserve(now, 1, 600, 60), Ok(Duration::from_millis(200)));
    }

    #[test]
    fn a_turn_beyond_ten_seconds_is_refused_and_not_reserved() {
        let rate = Rate::default();
        let now = Duration::from_secs(100);
        let granted = (0..1000).filter(|_| rate.reserve(now, 1, 60, 5).is_ok()).count();
        assert_eq!(granted, 15, "a burst of 5 and ten seconds of one a second");
        let TooFar { retry_after } = rate.reserve(now, 1, 60, 5).unwrap_err();
        assert_eq!(retry_after, Duration::from_secs(1));
        assert!(rate.reserve(now + retry_after, 1, 60, 5).is_ok());
    }

    #[test]
    fn many_messages_take_as_many_turns_all_or_none() {
        let rate = Rate::default();
        let now = Duration::from_secs(100);
        assert_eq!(rate.reserve(now, 60, 600, 60), Ok(Duration::ZERO));
        assert_eq!(rate.reserve(now, 60, 600, 60), Ok(Duration::from_secs(6)));
        assert!(rate.reserve(now, 60, 600, 60).is_err());
        assert_eq!(rate.reserve(now, 1, 600, 60), Ok(Duration::from_millis(6100)));
    }

    #[test]
    fn the_burst_comes_back_with_time() {
        let rate = Rate::default();
        for second in [100, 200] {
            for _ in 0..5 {
                assert_eq!(rate.reserve(Duration::from_secs(second), 1, 60, 5), Ok(Duration::ZERO));
            }
        }
    }

    proptest! {
        /// Whatever is asked for, and when: each span of time has at most a burst, and what
        /// the rate adds to it in that time.
        #[test]
        fn no_span_of_time_has_more_than_a_burst_and_its_share(
            per_minute in 1..1_200_u32,
            burst in 1..60_u32,
            asks in prop::collection::vec((0..5_000_u64, 1..60_u32), 1..80),
        ) {
            let rate = Rate::default();
            let mut now = Duration::from_secs(100);
            let mut gone: Vec<(Duration, u32)> = Vec::new();
            for (pause_ms, turns) in asks {
                now += Duration::from_millis(pause_ms);
                let turns = turns.min(burst);
                let wait = match rate.reserve(now, turns, per_minute, burst) {
                    Ok(wait) => wait,
                    // The wait that is announced suffices, and no shorter one does.
                    Err(TooFar { retry_after }) => {
                        let too_soon = now + retry_after - Duration::from_nanos(1);
                        prop_assert!(rate.reserve(too_soon, turns, per_minute, burst).is_err());
                        now += retry_after;
                        rate.reserve(now, turns, per_minute, burst).expect("as announced")
                    }
                };
                prop_assert!(wait <= MAX_WAIT);
                gone.push((now + wait, turns));
            }
            let interval = 60_000_000_000 / u128::from(per_minute);
            for (first, (since, _)) in gone.iter().enumerate() {
                let mut turns = 0;
                for (until, more) in &gone[first..] {
                    prop_assert!(until >= since, "in the order of asking");
                    turns += u128::from(*more);
                    let share = (*until - *since).as_nanos();
                    prop_assert!(turns * interval <= u128::from(burst) * interval + share);
                }
            }
        }
    }
}
