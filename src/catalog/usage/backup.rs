//! Figures for a backup, and how they come back.

use std::collections::HashMap;

use super::rows::{Of, USAGE, add_rows, of_usage};
use super::{FIGURES, Figures, UsageKey, totals};
use crate::catalog::Result;
use crate::db::{Columns, Db};

/// Rows that are restored in one transaction.
const BATCH: usize = 512;

/// The figures of all the owner's events, added up over stretches of `grain`
/// milliseconds; at most `limit` rows.
pub(crate) async fn sums(
    db: &Db,
    owner_id: &str,
    grain: i64,
    limit: u32,
) -> Result<Vec<(UsageKey, Figures)>> {
    let sums = FIGURES.map(|figure| format!("cast(sum({figure}) as bigint) as {figure}"));
    let statement = format!(
        "select event_id, attendee_id, resource_id, operation, usage.name as name,
            minute - minute % $2 as start, {}
         from usage join event on event.id = usage.event_id
         where event.owner_id = $1 and event.purge_at is null
         group by 1, 2, 3, 4, 5, 6 order by 1, 6, 2, 3, 4, 5 limit $3",
        sums.join(", ")
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(owner_id)
        .bind(grain)
        .bind(i64::from(limit))
        .fetch_all(db.pool())
        .await?;
    rows.iter()
        .map(|row| {
            let mut figures = [0; FIGURES.len()];
            for (figure, column) in figures.iter_mut().zip(FIGURES) {
                *figure = row.int(column)?.unsigned_abs();
            }
            let [requests, errors, prompt_tokens, completion_tokens, total_ms, buckets @ ..] =
                figures;
            let key = UsageKey {
                event_id: row.text("event_id")?.into(),
                attendee_id: row.text("attendee_id")?.into(),
                resource_id: row.text("resource_id")?,
                operation: row.text("operation")?.into(),
                name: row.text("name")?.into(),
                minute: row.int("start")?,
            };
            let figures =
                Figures { requests, errors, prompt_tokens, completion_tokens, total_ms, buckets };
            Ok((key, figures))
        })
        .collect()
}

/// Writes the figures of hidden events back.
/// In batches, each a transaction of its own, so that others can write in between.
pub(crate) async fn restore(
    db: &Db,
    figures: impl Iterator<Item = (UsageKey, Figures)>,
) -> Result<()> {
    // A row that a file has twice is added up.
    let mut usage: HashMap<UsageKey, Figures> = HashMap::new();
    for (key, figures) in figures {
        usage.entry(key).or_default().add(&figures);
    }
    let rows: Vec<_> = usage.iter().collect();
    for rows in rows.chunks(BATCH) {
        let rows = || rows.iter().copied();
        let mut tx = db.write().await?;
        add_rows(&mut tx, &USAGE, of_usage(rows()), Of::Hidden).await?;
        totals::add_in(&mut tx, rows(), Of::Hidden).await?;
        tx.commit().await?;
    }
    Ok(())
}
