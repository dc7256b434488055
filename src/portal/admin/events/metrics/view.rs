//! The stretch of time that the page looks at, and in which steps: days are
//! those of the event's time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;

use crate::catalog::usage::series::Span;
use crate::clock::{HOUR_MS, MINUTE_MS};

/// The steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    #[default]
    Minute,
    Hour,
    Day,
}

impl By {
    pub const ALL: &[By] = &[By::Minute, By::Hour, By::Day];

    /// As the address has it.
    pub fn word(self) -> &'static str {
        match self {
            By::Minute => "minute",
            By::Hour => "hour",
            By::Day => "day",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            By::Minute => "One day by minute",
            By::Hour => "A week by hour",
            By::Day => "Three months by day",
        }
    }

    /// How many days are looked at.
    fn days(self) -> i32 {
        match self {
            By::Minute => 1,
            By::Hour => 7,
            By::Day => 92,
        }
    }

    fn format(self) -> &'static str {
        match self {
            By::Minute => "%H:%M",
            By::Hour => "%Y-%m-%d %H:%M",
            By::Day => "%Y-%m-%d",
        }
    }
}

/// Whole days up to the last on which somebody called; today where nobody has.
#[derive(Clone, Debug)]
pub struct View {
    pub by: By,
    pub span: Span,
    first: Date,
    last: Date,
    zone: TimeZone,
}

impl View {
    /// # Errors
    /// The days are out of the calendar's range.
    pub fn of(
        by: By,
        time_zone: &str,
        extent: Option<Span>,
        now: i64,
    ) -> Result<Self, jiff::Error> {
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        let at = extent.map_or(now, |extent| extent.to - 1);
        let last = Timestamp::from_millisecond(at)?.to_zoned(zone.clone()).date();
        let first = last.checked_sub((by.days() - 1).days())?;
        let span = Span { from: start(first, &zone)?, to: start(last.tomorrow()?, &zone)? };
        Ok(Self { by, span, first, last, zone })
    }

    /// Its hours or days.
    pub fn spans(&self) -> Vec<Span> {
        self.between(self.span)
    }

    /// The steps that begin within a part of it, which begins with one.
    pub fn between(&self, part: Span) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut from = part.from;
        while from < part.to {
            let to = self.after(from).min(self.span.to);
            spans.push(Span { from, to });
            from = to;
        }
        spans
    }

    /// Where the step after the one that begins at `from` begins.
    fn after(&self, from: i64) -> i64 {
        match self.by {
            By::Minute => from + MINUTE_MS,
            By::Hour => from + HOUR_MS,
            By::Day => {
                let at = Timestamp::from_millisecond(from).map(|at| at.to_zoned(self.zone.clone()));
                let next = at.and_then(|at| at.date().tomorrow());
                next.and_then(|day| start(day, &self.zone)).unwrap_or(i64::MAX)
            }
        }
    }

    /// The start of a step as the event's clocks show it.
    pub fn label(&self, from: i64) -> String {
        Timestamp::from_millisecond(from)
            .map(|at| at.to_zoned(self.zone.clone()).strftime(self.by.format()).to_string())
            .unwrap_or_default()
    }

    /// The days that are looked at.
    pub fn days(&self) -> String {
        if self.first == self.last {
            self.last.to_string()
        } else {
            format!("{} to {}", self.first, self.last)
        }
    }
}

/// The first instant of a day in UTC milliseconds.
fn start(day: Date, zone: &TimeZone) -> Result<i64, jiff::Error> {
    Ok(day.to_zoned(zone.clone())?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: &str) -> i64 {
        at.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn view(by: By, zone: &str, last: &str) -> View {
        let extent = Span { from: 0, to: ms(last) + MINUTE_MS };
        View::of(by, zone, Some(extent), 0).unwrap()
    }

    #[test]
    fn days_are_those_of_the_event() {
        // Half past five in the morning of the next day there.
        let view = view(By::Minute, "Asia/Kathmandu", "2026-11-22T23:45:00Z");
        assert_eq!(view.days(), "2026-11-23");
        assert_eq!(view.span.from, ms("2026-11-22T18:15:00Z"));
        assert_eq!(view.span.to, ms("2026-11-23T18:15:00Z"));
        assert_eq!(view.label(ms("2026-11-22T23:45:00Z")), "05:30");
    }

    #[test]
    fn the_day_that_the_clocks_go_back_has_an_hour_more() {
        let days = view(By::Day, "Europe/Berlin", "2026-10-25T12:00:00Z").spans();
        assert_eq!(days.len(), 92);
        let last = days.last().unwrap();
        assert_eq!(last.to - last.from, 25 * HOUR_MS);
        let hours = view(By::Hour, "Europe/Berlin", "2026-10-25T12:00:00Z").spans();
        assert_eq!(hours.len(), 7 * 24 + 1);
        assert!(hours.windows(2).all(|pair| pair[0].to == pair[1].from));
    }
}
