//! From wall clocks in a time zone to the instants between which an event is
//! open.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::catalog::Result;
use crate::catalog::validate::invalid;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub start_local: String,
    pub end_local: String,
    pub time_zone: String,
    /// UTC milliseconds.
    pub starts_at: i64,
    pub ends_at: i64,
}

impl Window {
    /// A wall clock that occurs twice, when summer time ends, stands for its
    /// first occurrence as a start and for its second as an end: the event is
    /// open at either. One that is skipped, when summer time begins, is moved on
    /// by the hour that is missing (02:30 is 03:30).
    pub fn parse(start: &str, end: &str, time_zone: &str) -> Result<Self> {
        let unknown = || invalid("time_zone", format!("\"{time_zone}\" is not an IANA time zone"));
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
