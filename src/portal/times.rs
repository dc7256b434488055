//! Times as people read them: weekday and day, 24 hours, in the zone of the event.

use jiff::Timestamp;
use jiff::tz::TimeZone;

fn written(ms: i64, time_zone: &str, format: &str) -> String {
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    Timestamp::from_millisecond(ms)
        .map(|at| at.to_zoned(zone).strftime(format).to_string())
        .unwrap_or_default()
}

/// An instant (UTC milliseconds), such as "Sat 28 Nov, 18:00".
pub fn moment(ms: i64, time_zone: &str) -> String {
    written(ms, time_zone, "%a %-d %b, %H:%M")
}

/// From one instant to another: "Sat 28 Nov, 18:00–23:30 (Berlin)".
pub fn window(starts_at: i64, ends_at: i64, time_zone: &str) -> String {
    let day = |ms| written(ms, time_zone, "%Y-%m-%d");
    let year = |ms| written(ms, time_zone, "%Y");
    let ends = if day(starts_at) == day(ends_at) {
        written(ends_at, time_zone, "%H:%M")
    } else if year(starts_at) == year(ends_at) {
        format!(" {}", moment(ends_at, time_zone))
    } else {
        format!(" {}", written(ends_at, time_zone, "%a %-d %b %Y, %H:%M"))
    };
    let space = if ends.starts_with(' ') { " " } else { "" };
    format!("{}{space}–{ends} ({})", moment(starts_at, time_zone), place(time_zone))
}

/// What people call a zone: "Europe/Berlin" is "Berlin".
pub fn place(time_zone: &str) -> String {
    time_zone.rsplit('/').next().unwrap_or(time_zone).replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn a_window_names_the_day_once_where_it_is_one() {
        let starts = at("2026-11-28T17:00:00Z");
        for (ends, expected) in [
            ("2026-11-28T22:30:00Z", "Sat 28 Nov, 18:00–23:30 (Berlin)"),
            ("2026-11-28T23:30:00Z", "Sat 28 Nov, 18:00 – Sun 29 Nov, 00:30 (Berlin)"),
            ("2027-01-02T08:00:00Z", "Sat 28 Nov, 18:00 – Sat 2 Jan 2027, 09:00 (Berlin)"),
        ] {
            assert_eq!(window(starts, at(ends), "Europe/Berlin"), expected);
        }
        assert_eq!(moment(starts, "America/New_York"), "Sat 28 Nov, 12:00");
        assert_eq!(place("America/New_York"), "New York");
        assert_eq!(place("UTC"), "UTC");
    }
}
