//! What the form of a new event, or of a copy, begins with.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::catalog::event::Event;

/// The zone of this name as its database writes it; UTC where there is none.
pub fn zone(name: &str) -> TimeZone {
    let zone = TimeZone::get(name.trim()).ok().filter(|zone| zone.iana_name().is_some());
    zone.unwrap_or(TimeZone::UTC)
}

pub fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

/// Start and end of a new event: a week from the next full hour on.
pub fn week(now: Timestamp, zone: &TimeZone) -> (String, String) {
    let start = next_hour(&now.to_zoned(zone.clone()));
    (print(start), print(start.saturating_add(7.days())))
}

/// Start and end of a copy: as long as `event` by the clocks on the wall, from the next full
/// hour on. One that the clocks were set back in may end before it starts by them; then
/// as long as it was in truth.
pub fn moved(event: &Event, now: Timestamp) -> (String, String) {
    let zone = zone(&event.time_zone);
    let start = next_hour(&now.to_zoned(zone));
    let minutes = (event.ends_at - event.starts_at) / 60_000;
    let walls = || Some((event.start_local.parse().ok()?, event.end_local.parse().ok()?));
    let span = walls().map(|(from, to): (DateTime, DateTime)| to.duration_since(from));
    let span = span.filter(|span| span.is_positive()).map_or(minutes, |span| span.as_mins());
    (print(start), print(start.saturating_add(span.minutes())))
}

fn next_hour(now: &Zoned) -> DateTime {
    let later = now.saturating_add(1.hour()).datetime();
    later.with().minute(0).second(0).subsec_nanosecond(0).build().unwrap_or(later)
}

fn print(at: DateTime) -> String {
    at.strftime("%Y-%m-%dT%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_new_event_is_a_week_from_the_next_full_hour() {
        let week = |now, name| week(at(now), &zone(name));
        let dates = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        assert_eq!(
            week("2026-01-01T10:00:00Z", "UTC"),
            dates("2026-01-01T11:00", "2026-01-08T11:00")
        );
        assert_eq!(
            week("2026-01-01T10:20:59Z", "asia/kolkata"),
            dates("2026-01-01T16:00", "2026-01-08T16:00"),
            "half an hour beside the others"
        );
        assert_eq!(
            week("2026-03-29T00:30:00Z", "Europe/Berlin"),
            dates("2026-03-29T03:00", "2026-04-05T03:00"),
            "there is no two o'clock"
        );
    }

    #[test]
    fn zones_that_nobody_has_are_utc() {
        assert_eq!(zone_name(&zone("europe/berlin ")), "Europe/Berlin");
        for name in ["", "Europe/Atlantis", "<b>", "../../etc/passwd"] {
            assert_eq!(zone_name(&zone(name)), "UTC", "{name}");
        }
    }
}
