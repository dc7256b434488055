//! From wall clocks in a time zone to the instants between which an event is
//! open.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::catalog::Result;
use crate::catalog::validate::{invalid, quoted};
use crate::clock;

/// When an event is open, as people say it and as instants.
#[derive(Debug, PartialEq, Eq)]
pub struct Window {
    /// Wall clock in `time_zone`, `YYYY-MM-DDTHH:MM`.
    pub start_local: String,
    pub end_local: String,
    /// An IANA name.
    pub time_zone: String,
    /// UTC milliseconds; both ends belong to the event.
    pub starts_at: i64,
    pub ends_at: i64,
}

impl Window {
    /// A wall clock that occurs twice, when summer time ends, stands for its
    /// first occurrence as a start and for its second as an end: the event is
    /// open at either. One that is skipped, when summer time begins, is moved on
    /// by the hour that is missing (02:30 is 03:30).
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) names the field.
    pub fn parse(start: &str, end: &str, time_zone: &str) -> Result<Self> {
        let unknown =
            || invalid("time_zone", format!("{} is not an IANA time zone", quoted(time_zone)));
        let zone = TimeZone::get(time_zone.trim()).map_err(|_| unknown())?;
        if zone.is_unknown() {
            return Err(unknown());
        }
        let name = zone.iana_name().ok_or_else(unknown)?.to_owned();
        let (start, end) = (wall_clock("start", start)?, wall_clock("end", end)?);
        let out_of_range = |field| move |_| invalid(field, "is out of the calendar's range");
        let starts_at =
            zone.to_ambiguous_timestamp(start).compatible().map_err(out_of_range("start"))?;
        let ends_at = zone.to_ambiguous_timestamp(end).later().map_err(out_of_range("end"))?;
        if starts_at >= ends_at {
            return Err(invalid("end", "must be later than the start"));
        }
        Ok(Self {
            start_local: print(start),
            end_local: print(end),
            time_zone: name,
            starts_at: starts_at.as_millisecond(),
            ends_at: ends_at.as_millisecond(),
        })
    }

    /// What the zone makes of a wall clock that is skipped or occurs twice.
    pub fn notes(&self) -> Vec<String> {
        let Ok(zone) = TimeZone::get(&self.time_zone) else { return Vec::new() };
        let note = |field, local: &str, at, which| {
            let said = local.replace('T', " ");
            match zone.to_ambiguous_timestamp(wall_clock(field, local).ok()?).offset() {
                AmbiguousOffset::Unambiguous { .. } => None,
                AmbiguousOffset::Gap { .. } => {
                    let meant = clock::wall_clock(at, &self.time_zone);
                    Some(format!(
                        "The clocks go forward over the {field}, {said}: {meant} is meant."
                    ))
                }
                AmbiguousOffset::Fold { .. } => {
                    Some(format!("The {field}, {said}, occurs twice: the {which} is meant."))
                }
            }
        };
        let start = note("start", &self.start_local, self.starts_at, "first");
        let end = note("end", &self.end_local, self.ends_at, "second");
        start.into_iter().chain(end).collect()
    }
}

fn print(at: DateTime) -> String {
    at.strftime("%Y-%m-%dT%H:%M").to_string()
}

/// `YYYY-MM-DDTHH:MM`; browsers may add `:00`.
fn wall_clock(field: &'static str, text: &str) -> Result<DateTime> {
    let text = text.trim();
    let text = match text.strip_suffix(":00") {
        Some(minutes) if text.len() == 19 => minutes,
        _ => text,
    };
    if text.is_empty() {
        return Err(invalid(field, "is required"));
    }
    let parsed = DateTime::strptime("%Y-%m-%dT%H:%M", text);
    match parsed {
        Ok(at) if text.len() == 16 => Ok(at),
        _ => Err(invalid(field, "must be a wall clock such as 2026-11-22T09:00")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of a window in UTC.
    fn utc(start: &str, end: &str, time_zone: &str) -> (String, String) {
        let window = Window::parse(start, end, time_zone).unwrap();
        let print = |ms| jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
        (print(window.starts_at), print(window.ends_at))
    }

    fn berlin(start: &str, end: &str) -> (String, String) {
        utc(start, end, "Europe/Berlin")
    }

    fn instants(start: &str, end: &str) -> (String, String) {
        (start.to_owned(), end.to_owned())
    }

    #[test]
    fn summer_time_moves_the_instants_and_not_the_wall_clock() {
        assert_eq!(
            berlin("2026-03-28T09:00", "2026-03-29T09:00"),
            instants("2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z")
        );
        assert_eq!(
            utc("2026-01-01T00:00", "2026-07-01T00:00", "America/New_York"),
            instants("2026-01-01T05:00:00Z", "2026-07-01T04:00:00Z")
        );
        assert_eq!(
            utc("2026-01-01T00:00", "2026-01-02T00:00", "Asia/Kathmandu"),
            instants("2025-12-31T18:15:00Z", "2026-01-01T18:15:00Z")
        );
    }

    #[test]
    fn a_skipped_hour_is_moved_on() {
        // On 2026-03-29, 02:00 to 03:00 does not exist in Berlin.
        assert_eq!(
            berlin("2026-03-29T02:30", "2026-03-29T12:00"),
            instants("2026-03-29T01:30:00Z", "2026-03-29T10:00:00Z")
        );
        assert_eq!(
            berlin("2026-03-28T12:00", "2026-03-29T02:30"),
            instants("2026-03-28T11:00:00Z", "2026-03-29T01:30:00Z")
        );
        assert_eq!(
            berlin("2026-03-29T01:59", "2026-03-29T03:00"),
            instants("2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z")
        );
    }

    #[test]
    fn a_repeated_hour_begins_at_its_first_and_ends_at_its_second() {
        // On 2026-10-25, 02:00 to 03:00 occurs twice in Berlin.
        assert_eq!(
            berlin("2026-10-25T02:30", "2026-10-25T02:30"),
            instants("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")
        );
        assert_eq!(
            berlin("2026-10-25T02:45", "2026-10-25T02:15"),
            instants("2026-10-25T00:45:00Z", "2026-10-25T01:15:00Z"),
            "an hour that the wall clock goes back"
        );
    }

    #[test]
    fn zones_are_kept_by_their_own_name() {
        let zone =
            |name| Window::parse("2026-01-01T00:00", "2026-01-02T00:00", name).unwrap().time_zone;
        assert_eq!(zone(" asia/tokyo "), "Asia/Tokyo");
        assert_eq!(zone("utc"), "UTC");
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_can_be_read_again(
            start in "(19|20|99)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-4]):[0-5][0-9](:00)?",
            end in "(20|99)[0-9]{2}-(03|10|12)-(2[5-9]|3[01])T[0-2][0-9]:[0-5][0-9]",
            zone in 0_usize..1000,
            is_upper in proptest::bool::ANY,
        ) {
            let zones: Vec<String> =
                jiff::tz::db().available().map(|name| name.to_string()).collect();
            let zone = &zones[zone % zones.len()];
            let zone = if is_upper { zone.to_uppercase() } else { zone.clone() };
            if let Ok(window) = Window::parse(&start, &end, &zone) {
                let Window { start_local, end_local, time_zone, .. } = &window;
                let again = Window::parse(start_local, end_local, time_zone);
                proptest::prop_assert_eq!(again.ok(), Some(window), "{}", zone);
            }
        }
    }

    /// Zones whose clocks go back and forward by an hour, two, half an hour and a day.
    const CHANGING: [&str; 7] = [
        "Europe/Berlin",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Antarctica/Troll",
        "Pacific/Apia",
        "Asia/Gaza",
    ];

    /// Instants of the years 1975 to 2044, in seconds.
    const YEARS: std::ops::Range<i64> = 157_766_400..2_366_841_600;

    /// When the clocks next change after an instant, or did before it, and by how much:
    /// more than 0 where they go forward. In seconds.
    fn change(zone: &TimeZone, second: i64) -> (i64, i64) {
        let at = jiff::Timestamp::from_second(second).unwrap();
        let offset = |second| {
            i64::from(zone.to_offset(jiff::Timestamp::from_second(second).unwrap()).seconds())
        };
        let all = zone.following(at).chain(zone.preceding(at));
        all.map(|transition| transition.timestamp().as_second())
            .map(|second| (second, offset(second) - offset(second - 1)))
            // Some tables hold instants at which nothing changes but a name.
            .find(|(_, gained)| *gained != 0)
            .unwrap()
    }

    /// What the zone's clocks show at an instant in seconds.
    fn shown(second: i64, zone: &str) -> String {
        clock::wall_clock(second * 1_000, zone).replace(' ', "T")
    }

    proptest::proptest! {
        #[test]
        fn a_window_holds_every_instant_at_which_the_clocks_show_its_ends(
            zone in proptest::sample::select(&CHANGING), near in YEARS,
            start in -300_i64..300, minutes in 0_i64..300,
        ) {
            let (change, _) = change(&TimeZone::get(zone).unwrap(), near);
            let (start, end) = (change + start * 60, change + (start + minutes) * 60);
            match Window::parse(&shown(start, zone), &shown(end, zone), zone) {
                Ok(window) => {
                    proptest::prop_assert!(window.starts_at <= start * 1_000);
                    proptest::prop_assert!(window.ends_at >= end * 1_000);
                    proptest::prop_assert!(window.starts_at < window.ends_at);
                    for (at, local) in
                        [(window.starts_at, window.start_local), (window.ends_at, window.end_local)]
                    {
                        proptest::prop_assert_eq!(shown(at / 1_000, zone), local);
                    }
                }
                Err(_) => proptest::prop_assert_eq!(minutes, 0, "a later end is refused"),
            }
        }

        #[test]
        fn a_skipped_clock_is_moved_on_and_a_repeated_one_holds_both(
            zone in proptest::sample::select(&CHANGING), near in YEARS,
            within in 0_i64..1_440,
        ) {
            let (change, gained) = change(&TimeZone::get(zone).unwrap(), near);
            let within = within * 60 % gained.abs();
            // What the clocks before the change would show then.
            let local = DateTime::strptime("%Y-%m-%dT%H:%M", shown(change - 60, zone)).unwrap();
            let later = 60 + within + gained.min(0);
            let local = print(local + jiff::SignedDuration::from_secs(later));
            if gained > 0 {
                let window = Window::parse(&local, "2099-01-01T00:00", zone).unwrap();
                proptest::prop_assert_eq!(window.starts_at, (change + within) * 1_000);
                proptest::prop_assert_eq!(window.notes().len(), 1, "{}", local);
                let window = Window::parse("1970-01-02T00:00", &local, zone).unwrap();
                proptest::prop_assert_eq!(window.ends_at, (change + within) * 1_000);
            } else {
                let window = Window::parse(&local, &local, zone).unwrap();
                proptest::prop_assert_eq!(window.starts_at, (change + gained + within) * 1_000);
                proptest::prop_assert_eq!(window.ends_at, (change + within) * 1_000);
                proptest::prop_assert_eq!(window.notes().len(), 2, "{}", local);
            }
        }
    }

    #[test]
    fn what_the_calendar_cannot_hold_is_refused() {
        let parse = |end| Window::parse("9999-12-01T00:00", end, "Pacific/Pago_Pago");
        assert!(parse("9999-12-30T00:00").is_ok());
        assert!(parse("9999-12-31T23:59").is_err());
    }
}
