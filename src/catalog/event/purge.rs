//! Removes the rows of deleted events in small batches, each a transaction of its
//! own: on SQLite there is one writer, and calls of other events wait for it.
//!
//! Until the last row is gone the event's own row stays, marked, so that nothing
//! can be created under its id in between.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::catalog::{Error, Noun, Result, change};
use crate::db::{Db, Tx};

/// How long after a deletion rows are first removed, in milliseconds: what other
/// replicas had begun to write for the event is written by then.
const GRACE_MS: i64 = 2_000;

/// Rows of figures of one batch: about 10 ms of SQLite's writer.
const FIGURES: u32 = 500;

/// Attendees of one batch, each with their card and quotas.
const ATTENDEES: u32 = 200;

/// Tables of figures, with their keys.
const TABLES: [(&str, &str); 3] = [
    ("usage", "event_id, attendee_id, resource_id, operation, name, minute"),
    ("usage_minute", "event_id, minute, resource_id, operation, name"),
    ("usage_attendee", "event_id, quarter, attendee_id"),
];

/// Marks an event as deleted: no query finds it from now on. What is left of it
/// says that it has ended, so its keys and sessions have ended with it.
pub async fn mark(tx: &mut Tx, id: &str, now: i64) -> Result<()> {
    sqlx::query(
        "update event set purge_at = $2, active = 0, shared_code_sealed = null, updated_at = $3,
            ends_at = case when ends_at < $3 then ends_at else $3 - 1 end
         where id = $1",
    )
    .bind(id)
    .bind(now + GRACE_MS)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    for statement in [
        "delete from event_resource where event_id = $1",
        "delete from registration_stop where event_id = $1",
    ] {
        sqlx::query(statement).bind(id).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Hides an event that is yet to be filled: as if it were deleted, until
/// [`reveal`]. What is hidden after `until` (UTC milliseconds) is removed, so
/// that nothing half done stays behind.
pub async fn hide(tx: &mut Tx, id: &str, until: i64) -> Result<()> {
    sqlx::query("update event set purge_at = $2 where id = $1")
        .bind(id)
        .bind(until)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Shows an event that was hidden until `until`.
///
/// # Errors
/// [`Error::Conflict`] where that time has passed and its rows may be removed.
pub async fn reveal(tx: &mut Tx, id: &str, until: i64, now: i64) -> Result<()> {
    let shown = sqlx::query(
        "update event set purge_at = null where id = $1 and purge_at = $2 and purge_at > $3",
    )
    .bind(id)
    .bind(until)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    if shown.rows_affected() == 0 {
        let reason = "it took too long, so nothing was kept; try again when the proxy is less busy";
        return Err(Error::Conflict { reason: reason.to_owned() });
    }
    change::record(tx, Noun::Event, id).await
}

/// Removes batches until nothing is left or the time is used up. Returns whether
/// something is left.
pub async fn run(db: &Db, now: i64, budget: Duration) -> Result<bool> {
    let begun = Instant::now();
    while step(db, now).await? {
        if begun.elapsed() >= budget {
            return Ok(true);
        }
        // Between two batches everybody who waits for the writer comes first.
        tokio::task::yield_now().await;
    }
    Ok(false)
}

/// Removes one batch of an event that was deleted; `false` where none is left.
/// `now`: UTC milliseconds. Replicas may do so at the same time.
pub async fn step(db: &Db, now: i64) -> Result<bool> {
    let id: Option<String> =
        sqlx::query_scalar("select id from event where purge_at <= $1 order by purge_at limit 1")
            .bind(now)
            .fetch_optional(db.pool())
            .await?;
    let Some(id) = id else { return Ok(false) };
    for (table, key) in TABLES {
        let statement = format!(
            "delete from {table} where ({key}) in
                (select {key} from {table} where event_id = $1 limit {FIGURES})"
        );
        let deleted = sqlx::query(AssertSqlSafe(statement)).bind(&id).execute(db.writer()).await?;
        if deleted.rows_affected() > 0 || is_any_left(db, table, &id).await? {
            return Ok(true);
        }
    }
    let mut tx = change::write(db).await?;
    if !purge_attendees(&mut tx, &id).await? {
        // Those who were deleted before the event are cached by their user id.
        let deleted: Vec<String> =
            sqlx::query_scalar("select user_id from deleted_attendee where event_id = $1")
                .bind(&id)
                .fetch_all(&mut *tx)
                .await?;
        let deleted: Vec<&str> = deleted.iter().map(String::as_str).collect();
        change::record_all(&mut tx, Noun::Attendee, &deleted).await?;
        // Figures that were being written when the last ones were removed go first.
        let figures = TABLES
            .map(|(table, _)| format!("not exists (select 1 from {table} where event_id = $1)"));
        let statement = format!(
            "delete from event where id = $1 and purge_at is not null and {}",
            figures.join(" and ")
        );
        sqlx::query(AssertSqlSafe(statement)).bind(&id).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Whether the event has figures still. Of two replicas that pick the same rows, the later
/// removes none of them, which says nothing of the others.
async fn is_any_left(db: &Db, table: &str, event_id: &str) -> Result<bool> {
    let statement = format!("select 1 from {table} where event_id = $1 limit 1");
    let query = sqlx::query(AssertSqlSafe(statement)).bind(event_id);
    Ok(query.fetch_optional(db.pool()).await?.is_some())
}

/// Removes a batch of the event's attendees; `false` where there are none.
async fn purge_attendees(tx: &mut Tx, event_id: &str) -> Result<bool> {
    let ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "select id from attendee where event_id = $1 order by id limit {ATTENDEES}"
    )))
    .bind(event_id)
    .fetch_all(&mut **tx)
    .await?;
    let Some(last) = ids.last() else { return Ok(false) };
    for statement in [
        "delete from quota where attendee_id in
            (select id from attendee where event_id = $1 and id <= $2)",
        "delete from attendee where event_id = $1 and id <= $2",
    ] {
        sqlx::query(statement).bind(event_id).bind(last).execute(&mut **tx).await?;
    }
    // Their keys are cached by replicas, and may come back with a restored event.
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    change::record_all(tx, Noun::Attendee, &ids).await?;
    Ok(true)
}
