//! Wrong shared codes beyond ordinary typing mistakes, counted by minute for all replicas,
//! so that the organiser is warned. Who presented them is not stored.

use std::collections::HashMap;

use sqlx::Row;

use crate::catalog::Result;
use crate::db::Db;

/// How long they are kept, in milliseconds.
const KEPT_MS: i64 = 3_600_000;

/// How far back a warning looks, in milliseconds.
pub const RECENT_MS: i64 = 600_000;

/// Adds tries by event and minute (UTC milliseconds of its start), and forgets those
/// that are old.
pub async fn note(db: &Db, tries: &HashMap<(String, i64), u32>, now_ms: i64) -> Result<()> {
    let mut tx = db.write().await?;
    let mut tries: Vec<_> = tries.iter().collect();
    // In one order, so that replicas do not wait for each other's rows in a circle.
    tries.sort_unstable();
    for ((event_id, minute), count) in tries {
        sqlx::query(
            "insert into code_guess (event_id, minute, tries) values ($1, $2, $3)
             on conflict (event_id, minute) do update set tries = code_guess.tries + excluded.tries",
        )
        .bind(event_id)
        .bind(*minute)
        .bind(i64::from(*count))
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query("delete from code_guess where minute < $1")
        .bind(now_ms - KEPT_MS)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Tries of the last ten minutes, in all replicas.
pub async fn recent(db: &Db, event_id: &str, now_ms: i64) -> Result<u64> {
    let row = sqlx::query(
        "select cast(coalesce(sum(tries), 0) as bigint) as tries from code_guess
         where event_id = $1 and minute > $2",
    )
    .bind(event_id)
    .bind(now_ms - RECENT_MS)
    .fetch_one(db.pool())
    .await?;
    Ok(row.try_get::<i64, _>("tries")?.unsigned_abs())
}
