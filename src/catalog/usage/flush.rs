//! Writing a [`Batch`] in one transaction.
//!
//! Rows go in the order of their keys, one pass over each table, so that two
//! replicas never wait for each other crosswise.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::rows::{Of, USAGE, add_rows, of_usage};
use super::{Batch, totals};
use crate::catalog::Result;
use crate::clock::DAY_MS;
use crate::db::{Db, Parameters, Tx};

/// Quotas of one statement, a power of two.
const QUOTAS: usize = 128;

/// How long a batch is remembered to have been written: far longer than any
/// replica keeps trying.
const REMEMBERED_MS: i64 = DAY_MS;

/// Writes a batch, all or nothing, and once however often it is sent. What
/// belongs to a deleted event or attendee is dropped.
///
/// After an error it is to be sent again: also where the store ended this
/// transaction for being in the way of a deletion.
pub async fn flush(db: &Db, batch: &Batch, now: i64) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut tx = db.write().await?;
    let first_time =
        sqlx::query("insert into flush (id, at) values ($1, $2) on conflict do nothing")
            .bind(&batch.id)
            .bind(now)
            .execute(&mut *tx)
            .await?;
    if first_time.rows_affected() == 0 {
        return Ok(());
    }
    add_rows(&mut tx, &USAGE, of_usage(batch.usage.iter()), Of::Present).await?;
    settle_quotas(&mut tx, batch).await?;
    note_attendees(&mut tx, batch).await?;
    // Last, since all replicas add to the same rows of an event: they hold them shortly.
    totals::add_in(&mut tx, batch.usage.iter(), Of::Present).await?;
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

/// Of the days that have a lease, that is of all that anything was spent of.
async fn settle_quotas(tx: &mut Tx, batch: &Batch) -> Result<()> {
    let keys: BTreeSet<_> = batch.spent.keys().chain(batch.returned.keys()).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    for keys in keys.chunks(QUOTAS) {
        let length = keys.len().next_power_of_two();
        let statement = format!(
            "insert into quota (attendee_id, day, granted, spent)
             select column1, column2, column3, column4 from (values {}) as settled
             where exists (select 1 from quota where attendee_id = column1 and day = column2)
             order by 1, 2
             on conflict (attendee_id, day) do update set
                granted = quota.granted + excluded.granted, spent = quota.spent + excluded.spent",
            Parameters::on(tx).rows(4, length)
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(statement));
        let nobody = (Arc::from(""), 0);
        for key in keys.iter().copied().chain(std::iter::repeat(&nobody)).take(length) {
            let (attendee_id, day) = key;
            query = query
                .bind(attendee_id.to_string())
                .bind(i64::from(*day))
                .bind(-i64::from(batch.returned.get(key).copied().unwrap_or(0)))
                .bind(batch.spent.get(key).copied().unwrap_or(0));
        }
        query.execute(&mut **tx).await?;
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
