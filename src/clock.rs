//! Wall-clock time as everything here counts it: UTC milliseconds, and UTC days
//! since 1970, by which the daily request cap is kept.

use jiff::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// UTC milliseconds since 1970.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The UTC day of an instant in milliseconds, counted from 1970.
pub fn day_of(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(DAY_MS)).unwrap_or(0)
}

/// Milliseconds of the UTC midnight after `now_ms`, when daily caps start anew.
pub fn next_midnight(now_ms: i64) -> i64 {
    (now_ms.div_euclid(DAY_MS) + 1) * DAY_MS
}

/// Whole seconds to that midnight, at least 1.
pub fn seconds_to_midnight(now_ms: i64) -> u64 {
    (next_midnight(now_ms) - now_ms).cast_unsigned().div_ceil(1000).max(1)
}

/// An instant in milliseconds as RFC 3339 in UTC.
pub fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default()
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
