//! Sums of usage over attendees and over operations, kept with every write of
//! it: what pages about a whole event are read from.

use super::rows::{Of, Sums, Table, add_rows};
use super::{FIGURES, Figures, UsageKey};
use crate::catalog::Result;
use crate::db::Tx;

/// Hours and days of every time zone begin with a quarter of an hour.
pub(super) const QUARTER_MS: i64 = 15 * 60_000;

const BY_MINUTE: Table = Table {
    name: "usage_minute",
    texts: &["event_id", "resource_id", "operation", "name"],
    time: "minute",
    figures: &FIGURES,
};

const BY_ATTENDEE: Table = Table {
    name: "usage_attendee",
    texts: &["event_id", "attendee_id"],
    time: "quarter",
    figures: FIGURES.split_at(4).0,
};

/// Adds rows that are written to `usage` in the same transaction, after them and
/// in the order of keys.
pub(super) async fn add_in<'a>(
    tx: &mut Tx,
    usage: impl Iterator<Item = (&'a UsageKey, &'a Figures)>,
    of: Of,
) -> Result<()> {
    let (mut by_minute, mut by_attendee) = (Sums::new(), Sums::new());
    for (key, figures) in usage {
        let operation = vec![&*key.event_id, &*key.resource_id, &*key.operation, &*key.name];
        by_minute.entry((operation, key.minute)).or_default().add(figures);
        let quarter = key.minute - key.minute.rem_euclid(QUARTER_MS);
        let attendee = vec![&*key.event_id, &*key.attendee_id];
        by_attendee.entry((attendee, quarter)).or_default().add(figures);
    }
    for (table, sums) in [(BY_ATTENDEE, by_attendee), (BY_MINUTE, by_minute)] {
        add_rows(tx, &table, sums, of).await?;
    }
    Ok(())
}
