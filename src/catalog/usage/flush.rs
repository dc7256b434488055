//! Writing a [`Batch`] in one transaction.
//!
//! Rows go in the order of their keys, one pass over each table, so that two
//! replicas never wait for each other crosswise.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use super::{Batch, DAY_MS, Figures, UsageKey, totals};
use crate::catalog::Result;
use crate::clock;
use crate::db::{Db, Tx};

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
    // One pass over each table, or the second would go back to earlier rows.
    for (key, figures) in sorted(&batch.usage) {
        add_figures(&mut tx, key, figures).await?;
    }
    settle_quotas(&mut tx, batch).await?;
    note_attendees(&mut tx, batch).await?;
    // Last, since all replicas add to the same rows of an event: they hold them shortly.
    totals::add_in(&mut tx, batch.usage.iter()).await?;
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

async fn add_figures(tx: &mut Tx, key: &UsageKey, figures: &Figures) -> Result<()> {
    let mut query = sqlx::query(
        "insert into usage (event_id, attendee_id, resource_id, operation, name, minute, requests,
            errors, prompt_tokens, completion_tokens, total_ms, le_5, le_10, le_25, le_50, le_100,
            le_250, le_500, le_1000, le_2500, le_5000, le_10000, le_30000, le_60000, le_inf)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20, $21, $22, $23, $24, $25
         where exists (select 1 from event where id = $1)
         on conflict (event_id, attendee_id, resource_id, operation, name, minute) do update set
            requests = usage.requests + excluded.requests,
            errors = usage.errors + excluded.errors,
            prompt_tokens = usage.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = usage.completion_tokens + excluded.completion_tokens,
            total_ms = usage.total_ms + excluded.total_ms,
            le_5 = usage.le_5 + excluded.le_5,
            le_10 = usage.le_10 + excluded.le_10,
            le_25 = usage.le_25 + excluded.le_25,
            le_50 = usage.le_50 + excluded.le_50,
            le_100 = usage.le_100 + excluded.le_100,
            le_250 = usage.le_250 + excluded.le_250,
            le_500 = usage.le_500 + excluded.le_500,
            le_1000 = usage.le_1000 + excluded.le_1000,
            le_2500 = usage.le_2500 + excluded.le_2500,
            le_5000 = usage.le_5000 + excluded.le_5000,
            le_10000 = usage.le_10000 + excluded.le_10000,
            le_30000 = usage.le_30000 + excluded.le_30000,
            le_60000 = usage.le_60000 + excluded.le_60000,
            le_inf = usage.le_inf + excluded.le_inf",
    )
    .bind(&*key.event_id)
    .bind(&*key.attendee_id)
    .bind(&key.resource_id)
    .bind(&*key.operation)
    .bind(&*key.name)
    .bind(key.minute);
    for figure in figures.columns() {
        query = query.bind(figure);
    }
    query.execute(&mut **tx).await?;
    Ok(())
}

async fn settle_quotas(tx: &mut Tx, batch: &Batch) -> Result<()> {
    let keys: BTreeSet<_> = batch.spent.keys().chain(batch.returned.keys()).collect();
    for key in keys {
        let (attendee_id, day) = key;
        sqlx::query(
            "update quota set spent = spent + $3, granted = granted - $4
             where attendee_id = $1 and day = $2",
        )
        .bind(&**attendee_id)
        .bind(i64::from(*day))
        .bind(batch.spent.get(key).copied().unwrap_or(0))
        .bind(i64::from(batch.returned.get(key).copied().unwrap_or(0)))
        .execute(&mut **tx)
        .await?;
    }
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
