//! Figures as a backup holds them, and how they come back.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rows::{Of, USAGE, add_rows, of_usage};
use super::{BUCKETS_MS, FIGURES, Figures, UsageKey, totals};
use crate::catalog::Result;
use crate::catalog::validate::invalid;
use crate::db::{Columns, Db};

/// How finely figures are kept, in milliseconds.
pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Rows that are restored in one transaction.
const BATCH: usize = 512;

/// Greatest figure that is taken from a file: sums of all rows still fit.
const MAX_FIGURE: u64 = 1_000_000_000_000;

/// The figures of one attendee, operation and stretch of time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    pub event: String,
    pub attendee: String,
    pub resource: String,
    pub operation: String,
    pub name: String,
    /// UTC milliseconds of its first minute.
    pub minute: i64,
    pub requests: u64,
    pub errors: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_ms: u64,
    /// Calls by the first of the store's bounds that they fit.
    pub buckets: [u64; BUCKETS_MS.len() + 1],
}

impl Copy {
    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) for the first field
    /// that does not meet its rules.
    pub fn check(&self, now: i64) -> Result<()> {
        // As callers sent them, so any text that the store can hold.
        if [&self.operation, &self.name].iter().any(|text| text.contains('\0')) {
            return Err(invalid("operation", "or name holds a NUL character"));
        }
        let last_day = now + DAY_MS;
        if self.minute % MINUTE_MS != 0 || !(0..=last_day).contains(&self.minute) {
            return Err(invalid("minute", "is not the start of a minute that has been"));
        }
        let sums =
            [self.requests, self.errors, self.prompt_tokens, self.completion_tokens, self.total_ms];
        if sums.iter().chain(&self.buckets).any(|figure| *figure > MAX_FIGURE) {
            return Err(invalid("requests", format!("or another figure is above {MAX_FIGURE}")));
        }
        Ok(())
    }

    fn figures(&self) -> Figures {
        Figures {
            requests: self.requests,
            errors: self.errors,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            total_ms: self.total_ms,
            buckets: self.buckets,
        }
    }
}

/// The figures of all the owner's events, added up over stretches of `grain`
/// milliseconds; at most `limit` rows.
pub async fn copies(db: &Db, owner_id: &str, grain: i64, limit: u32) -> Result<Vec<Copy>> {
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
            Ok(Copy {
                event: row.text("event_id")?,
                attendee: row.text("attendee_id")?,
                resource: row.text("resource_id")?,
                operation: row.text("operation")?,
                name: row.text("name")?,
                minute: row.int("start")?,
                requests,
                errors,
                prompt_tokens,
                completion_tokens,
                total_ms,
                buckets,
            })
        })
        .collect()
}

/// Writes figures back, of hidden events; each row belongs to whom it comes with.
/// In batches, each a transaction of its own, so that others can write in between.
pub async fn restore<'a>(
    db: &Db,
    copies: impl Iterator<Item = (Whose<'a>, &'a Copy)>,
) -> Result<()> {
    // A row that a file has twice is added up.
    let mut usage: HashMap<UsageKey, Figures> = HashMap::new();
    for (whose, copy) in copies {
        let key = UsageKey {
            event_id: Arc::from(whose.event_id),
            attendee_id: Arc::from(whose.attendee_id),
            resource_id: whose.resource_id.to_owned(),
            operation: copy.operation.as_str().into(),
            name: copy.name.as_str().into(),
            minute: copy.minute,
        };
        usage.entry(key).or_default().add(&copy.figures());
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

/// The rows here that restored figures belong to.
pub struct Whose<'a> {
    pub event_id: &'a str,
    pub attendee_id: &'a str,
    pub resource_id: &'a str,
}
