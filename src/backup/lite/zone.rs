//! Time zones as .NET names them: by their IANA name, or by that of Windows.

use jiff::ToSpan;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::windows_zones::WINDOWS_ZONES;

/// A window on the wall clock of an IANA zone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub start: String,
    pub end: String,
    pub time_zone: String,
    /// The zone was not known: it is UTC instead, and the clock was moved.
    pub is_moved: bool,
}

/// `start` and `end` as in the file, in the zone that `label` names. A zone that nobody
/// knows is UTC, `offset` minutes behind.
pub(super) fn window(label: &str, offset: i64, start: &str, end: &str) -> Window {
    let (start, end) = (minutes(start), minutes(end));
    if let Some(time_zone) = iana(label) {
        return Window { start, end, time_zone, is_moved: false };
    }
    let moved = |text: String| {
        let clock = DateTime::strptime("%Y-%m-%dT%H:%M", &text).ok();
        let offset = offset.clamp(-1080, 1080);
        let clock = clock.and_then(|clock| clock.checked_sub(offset.minutes()).ok());
        clock.map_or(text, |clock| clock.strftime("%Y-%m-%dT%H:%M").to_string())
    };
    Window { start: moved(start), end: moved(end), time_zone: "UTC".to_owned(), is_moved: true }
}

fn iana(label: &str) -> Option<String> {
    let label = label.trim();
    let windows = WINDOWS_ZONES.iter().find(|(name, _)| name.eq_ignore_ascii_case(label));
    let zone = TimeZone::get(windows.map_or(label, |(_, iana)| iana)).ok()?;
    zone.iana_name().filter(|_| !zone.is_unknown()).map(str::to_owned)
}

/// `2026-01-10T09:00:00Z` up to its minutes: the letter means nothing in these files.
fn minutes(text: &str) -> String {
    text.trim().chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_zone(label: &str, offset: i64) -> (String, String) {
        let window = window(label, offset, "2026-07-01T09:00:00Z", "2026-07-01T17:00:00Z");
        (window.start, window.time_zone)
    }

    #[test]
    fn names_of_iana_and_of_windows_keep_the_wall_clock() {
        let nine = |zone: &str| ("2026-07-01T09:00".to_owned(), zone.to_owned());
        assert_eq!(in_zone("Europe/Berlin", 60), nine("Europe/Berlin"));
        assert_eq!(in_zone("W. Europe Standard Time", 60), nine("Europe/Berlin"));
        assert_eq!(in_zone("pacific standard time", -480), nine("America/Los_Angeles"));
        assert_eq!(in_zone("India Standard Time", 330), nine("Asia/Kolkata"));
        assert_eq!(in_zone("UTC", 0), nine("UTC"));
    }

    #[test]
    fn a_zone_nobody_knows_is_utc_by_its_offset() {
        let utc = |start: &str| (start.to_owned(), "UTC".to_owned());
        assert_eq!(in_zone("Atlantis Standard Time", 330), utc("2026-07-01T03:30"));
        assert_eq!(in_zone("", -600), utc("2026-07-01T19:00"));
        assert_eq!(in_zone("Etc/Unknown", i64::MAX), utc("2026-06-30T15:00"));
    }

    #[test]
    fn every_zone_of_the_table_is_known() {
        for (windows, iana) in WINDOWS_ZONES {
            assert_eq!(in_zone(windows, 0).1, *iana, "{windows}");
        }
    }
}
