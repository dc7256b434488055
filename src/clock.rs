//! Wall-clock time as everything here counts it: UTC milliseconds, and UTC days
//! since 1970, by which the daily request cap is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// The clock of one process: the wall clock, which tests can move. Clones tell the same time.
///
/// Its UTC days only go forward: leases hold requests of the latest day, so after a wall
/// clock stepped back over midnight, whatever was leased of the day before would be
/// returned unused until that day's cap was gone.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Reading>);

#[derive(Debug, Default)]
struct Reading {
    /// Milliseconds by which it is ahead of the wall clock.
    ahead: AtomicI64,
    latest_day: AtomicU32,
}

impl Clock {
    /// UTC milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        now_ms() + self.0.ahead.load(Ordering::Relaxed)
    }

    /// Sets it to `ms`, UTC milliseconds since 1970. It runs on from there.
    pub fn set(&self, ms: i64) {
        self.0.ahead.store(ms - now_ms(), Ordering::Relaxed);
    }

    /// The UTC day whose cap pays for a call at `now_ms`: its own, or the latest that
    /// was reached before.
    pub fn today(&self, now_ms: i64) -> u32 {
        let day = day_of(now_ms);
        // Read first: all workers share this line, and write it once a day.
        let latest = self.0.latest_day.load(Ordering::Acquire);
        if day <= latest {
            return latest;
        }
        self.0.latest_day.fetch_max(day, Ordering::AcqRel).max(day)
    }

    /// Milliseconds of the UTC midnight that ends [`today`](Self::today), when daily
    /// caps reset.
    pub fn next_midnight(&self, now_ms: i64) -> i64 {
        (i64::from(self.today(now_ms)) + 1) * DAY_MS
    }

    /// Whole seconds to that midnight, at least 1.
    pub fn seconds_to_midnight(&self, now_ms: i64) -> u64 {
        (self.next_midnight(now_ms) - now_ms).cast_unsigned().div_ceil(1000).max(1)
    }
}

/// UTC milliseconds since 1970 by the wall clock. Code that has a [`Clock`] asks that one.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The UTC day of an instant in milliseconds, counted from 1970.
pub fn day_of(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(DAY_MS)).unwrap_or(0)
}

/// A time as whole milliseconds, for figures and logs.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An instant in milliseconds as RFC 3339 in UTC.
pub fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default()
}

/// The UTC date of an instant in milliseconds, such as `2026-11-28`.
pub fn date(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms);
    at.map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

/// An instant in milliseconds as the clocks of a zone show it, to the minute; in
/// UTC where there is no such zone.
pub fn wall_clock(ms: i64, time_zone: &str) -> String {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    Timestamp::from_millisecond(ms)
        .map(|at| at.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string())
        .unwrap_or_default()
}

/// A span of milliseconds in its largest unit that says enough.
pub fn in_words(ms: i64) -> String {
    let minutes = ms / 60_000;
    let (n, unit) = match minutes {
        0..=1 => return "a minute".to_owned(),
        2..=119 => (minutes, "minutes"),
        120..=2_879 => (minutes / 60, "hours"),
        _ => (minutes / 1_440, "days"),
    };
    format!("{n} {unit}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_clock_that_steps_back_over_midnight_opens_no_day_again() {
        let clock = Clock::default();
        let midnight = 20_000 * DAY_MS;
        assert_eq!(clock.today(midnight - 1), 19_999);
        assert_eq!(clock.today(midnight), 20_000);
        assert_eq!(clock.today(midnight - 1), 20_000, "one millisecond back");
        assert_eq!(clock.today(midnight - DAY_MS), 20_000, "a day back");
        assert_eq!(
            clock.next_midnight(midnight - 1),
            midnight + DAY_MS,
            "the cap resets when that day ends"
        );
        assert_eq!(clock.today(midnight + DAY_MS), 20_001);
    }

    proptest! {
        #[test]
        fn days_follow_the_clock_forward_and_never_back(
            instants in prop::collection::vec(0..40_000 * DAY_MS, 1..40),
        ) {
            let clock = Clock::default();
            let mut latest = 0;
            for now_ms in instants {
                latest = latest.max(day_of(now_ms));
                prop_assert_eq!(clock.today(now_ms), latest);
            }
        }
    }
}
