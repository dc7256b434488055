//! Writing a [`Batch`]: one transaction of few statements with many rows each,
//! because a statement costs the store far more than a row.
//!
//! Rows go in the order of their keys, one pass over each table, so that two
//! replicas never wait for each other crosswise.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::{Batch, DAY_MS, Figures, UsageKey};
use crate::catalog::Result;
use crate::clock;
use crate::db::{self, Db, Tx};

/// How long a batch is remembered to have been written: far longer than any
/// replica keeps trying.
const REMEMBERED_MS: i64 = DAY_MS;

/// Writes a batch, all or nothing, and once however often it is sent. What
/// belongs to a deleted event or attendee is dropped.
///
/// After an error it is to be sent again: also where the store ended this
/// transaction for being in the way of a deletion.
pub async fn flush(db: &Db, batch: &Batch) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut tx = db.write().await?;
    let first_time =
        sqlx::query("insert into flush (id, at) values ($1, $2) on conflict do nothing")
            .bind(&batch.id)
            .bind(clock::now_ms())
            .execute(&mut *tx)
            .await?;
    if first_time.rows_affected() == 0 {
        return Ok(());
    }
    for rows in db::batches(&sorted(&batch.usage)) {
        add_figures(&mut tx, rows).await?;
    }
    let quotas: BTreeSet<_> = batch.spent.keys().chain(batch.returned.keys()).collect();
    for keys in db::batches(&Vec::from_iter(quotas)) {
        settle_quotas(&mut tx, batch, keys).await?;
    }
    note_attendees(&mut tx, batch).await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets batches that nobody will send again.
pub async fn forget_batches(db: &Db, now: i64) -> Result<()> {
    sqlx::query("delete from flush where at < $1")
        .bind(now - REMEMBERED_MS)
        .execute(db.writer())
        .await?;
    Ok(())
}

fn sorted<K: Ord + Hash, V>(map: &HashMap<K, V>) -> Vec<(&K, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

/// The columns of `usage` that are added up.
const FIGURES: [&str; 19] = [
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "total_ms",
    "le_5",
    "le_10",
    "le_25",
    "le_50",
    "le_100",
    "le_250",
    "le_500",
    "le_1000",
    "le_2500",
    "le_5000",
    "le_10000",
    "le_30000",
    "le_60000",
    "le_inf",
];

async fn add_figures(tx: &mut Tx, rows: &[(&UsageKey, &Figures)]) -> Result<()> {
    let statement = format!(
        "insert into usage (event_id, attendee_id, resource_id, operation, name, minute, {})
         select * from (values {}) as batch
         where exists (select 1 from event where id = batch.column1)
         order by column1, column2, column3, column4, column5, column6
         on conflict (event_id, attendee_id, resource_id, operation, name, minute) do update set {}",
        FIGURES.join(", "),
        db::values(6 + FIGURES.len(), 1, rows.len()),
        FIGURES.map(|figure| format!("{figure} = usage.{figure} + excluded.{figure}")).join(", "),
    );
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for (key, figures) in rows {
        query = query
            .bind(&*key.event_id)
            .bind(&*key.attendee_id)
            .bind(&*key.resource_id)
            .bind(&*key.operation)
            .bind(&*key.name)
            .bind(key.minute);
        let Figures { requests, errors, prompt_tokens, completion_tokens, total_ms, buckets } =
            figures;
        let sums = [requests, errors, prompt_tokens, completion_tokens, total_ms];
        for figure in sums.into_iter().chain(buckets) {
            query = query.bind(i64::try_from(*figure).unwrap_or(i64::MAX));
        }
    }
    query.execute(&mut **tx).await?;
    Ok(())
}

/// An upsert for its order of rows: none is inserted here.
async fn settle_quotas(tx: &mut Tx, batch: &Batch, keys: &[&(Arc<str>, u32)]) -> Result<()> {
    let statement = format!(
        "insert into quota (attendee_id, day, spent, granted)
         select * from (values {}) as batch
         where exists (select 1 from quota where attendee_id = batch.column1 and day = batch.column2)
         order by column1, column2
         on conflict (attendee_id, day) do update set
            spent = quota.spent + excluded.spent, granted = quota.granted + excluded.granted",
        db::values(4, 1, keys.len()),
    );
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for key in keys {
        let spent = batch.spent.get(*key).copied().unwrap_or(0);
        let returned = batch.returned.get(*key).copied().unwrap_or(0);
        query = query.bind(&*key.0).bind(i64::from(key.1)).bind(spent).bind(-i64::from(returned));
    }
    query.execute(&mut **tx).await?;
    Ok(())
}

async fn note_attendees(tx: &mut Tx, batch: &Batch) -> Result<()> {
    let ids: BTreeSet<_> = batch.seen.keys().chain(batch.refusals.keys()).collect();
    for id in ids {
        let refusal = batch.refusals.get(id).copied();
        sqlx::query(
            "update attendee set
                last_seen_at = case when $2 > coalesce(last_seen_at, 0) then $2
                    else last_seen_at end,
                last_error = case when $4 >= coalesce(last_error_at, 0) then $3
                    else last_error end,
                last_error_at = case when $4 >= coalesce(last_error_at, 0) then $4
                    else last_error_at end
             where id = $1",
        )
        .bind(&**id)
        .bind(batch.seen.get(id).copied())
        .bind(refusal.map(|(code, _)| code))
        .bind(refusal.map(|(_, at)| at))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
