//! Ends sessions that are idle or whose attendee or event is gone, and keeps the number of
//! live sessions and tombstones of one attendee within bounds.

use std::collections::HashSet;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{IDLE_MS, McpSession, changes};
use crate::catalog::{Digest, Result};
use crate::clock::HOUR_MS;
use crate::db::{Columns, Db, Parameters};

/// A tombstone is kept for this long.
const TOMBSTONE_MS: i64 = 30 * 24 * HOUR_MS;

/// Maximum number of tombstones of one attendee.
const MAX_TOMBSTONES: i64 = 10_000;

/// Maximum number of live sessions of one attendee.
const MAX_LIVE: i64 = 1_000;

/// Sessions that are ended in one transaction, so that others can write in between.
const BATCH: i64 = 500;

/// Ends the sessions that are idle, whose attendee was deleted or whose event has
/// ended, and removes tombstones that are old or too many. A pause of the event, or
/// an attendee who is switched off for a while, ends nothing.
pub async fn expire(db: &Db, now: i64) -> Result<()> {
    while end_some(db, now).await? == usize::try_from(BATCH).unwrap_or(usize::MAX) {}
    sqlx::query("delete from mcp_session where ended_at < $1")
        .bind(now - TOMBSTONE_MS)
        .execute(db.writer())
        .await?;
    let crowded: Vec<String> = sqlx::query_scalar(
        "select attendee_id from mcp_session where ended_at is not null
         group by attendee_id having count(*) > $1",
    )
    .bind(MAX_TOMBSTONES)
    .fetch_all(db.pool())
    .await?;
    for attendee_id in crowded {
        sqlx::query(
            "delete from mcp_session where (endpoint_digest, session_digest) in (
                select endpoint_digest, session_digest from mcp_session
                where attendee_id = $1 and ended_at is not null
                order by ended_at desc, session_digest
                limit $2 offset $2)",
        )
        .bind(attendee_id)
        .bind(MAX_TOMBSTONES)
        .execute(db.writer())
        .await?;
    }
    Ok(())
}

/// Ends the first of those that are due. Returns how many.
async fn end_some(db: &Db, now: i64) -> Result<usize> {
    let due = sqlx::query(
        "select endpoint_digest, session_digest from mcp_session
         where ended_at is null and (last_seen_at < $2 or not exists (
            select 1 from attendee join event on event.id = attendee.event_id
            where attendee.id = mcp_session.attendee_id and event.ends_at >= $1))
         limit $3",
    )
    .bind(now)
    .bind(now - IDLE_MS)
    .bind(BATCH)
    .fetch_all(db.pool())
    .await?;
    end_rows(db, &due, now).await
}

/// Ends what the attendees have left idle for longest, where one has a live
/// session too many besides the one just made. Runs after those are committed,
/// so of several at once the last sees them all.
pub async fn make_room(db: &Db, made: &[McpSession], now: i64) -> Result<()> {
    for session in crowded(db, made).await? {
        let surplus = sqlx::query(
            "select endpoint_digest, session_digest from mcp_session
             where attendee_id = $3 and ended_at is null
               and not (endpoint_digest = $1 and session_digest = $2)
             order by last_seen_at desc, session_digest
             limit $4 offset $4",
        )
        .bind(session.endpoint.hex())
        .bind(session.id.hex())
        .bind(session.attendee_id.to_string())
        .bind(MAX_LIVE - 1)
        .fetch_all(db.pool())
        .await?;
        end_rows(db, &surplus, now).await?;
    }
    Ok(())
}

/// Ends these sessions, whoever has them; a claim that was never proven goes without a
/// tombstone. Their number.
async fn end_rows(db: &Db, rows: &[AnyRow], now: i64) -> Result<usize> {
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        let endpoint = Digest::from_hex(&row.text("endpoint_digest")?);
        keys.extend(endpoint.zip(Digest::from_hex(&row.text("session_digest")?)));
    }
    if keys.is_empty() {
        return Ok(0);
    }
    // In one order, so that replicas do not wait for each other's rows in a circle.
    keys.sort_unstable();
    let mut tx = db.write().await?;
    changes::record(&mut tx, &keys).await?;
    for keys in keys.chunks(usize::try_from(BATCH).unwrap_or(usize::MAX)) {
        named(&mut tx, "delete from mcp_session where proven = 0 and ended_at is null", keys, None)
            .await?;
        let end =
            "update mcp_session set affinity_sealed = null, ended_at = $1 where ended_at is null";
        named(&mut tx, end, keys, Some(now)).await?;
    }
    tx.commit().await?;
    Ok(keys.len())
}

/// Runs `statement` for these sessions.
async fn named(
    tx: &mut AnyConnection,
    statement: &str,
    keys: &[changes::Key],
    first: Option<i64>,
) -> Result<()> {
    let mut parameters = Parameters::on(tx);
    let statement = match first {
        Some(_) => statement.replace("$1", &parameters.next()),
        None => statement.to_owned(),
    };
    let rows = keys.len().next_power_of_two();
    let statement = format!(
        "{statement} and (endpoint_digest, session_digest) in (values {})",
        parameters.rows(2, rows)
    );
    let mut query = sqlx::query(AssertSqlSafe(statement));
    if let Some(first) = first {
        query = query.bind(first);
    }
    for (endpoint, id) in keys {
        query = query.bind(endpoint.hex()).bind(id.hex());
    }
    for _ in 0..(rows - keys.len()) * 2 {
        query = query.bind("");
    }
    query.execute(tx).await?;
    Ok(())
}

/// Those of the sessions whose attendees have too many. Only read, which waits
/// for no writer: nearly nobody has.
async fn crowded<'made>(db: &Db, made: &'made [McpSession]) -> Result<Vec<&'made McpSession>> {
    let mut connection = db.pool().acquire().await?;
    let mut parameters = Parameters::on(&connection);
    let rows = made.len().next_power_of_two();
    let statement = format!(
        "select attendee_id from mcp_session
         where ended_at is null and attendee_id in (values {})
         group by attendee_id having count(*) > {}",
        parameters.rows(1, rows),
        parameters.next(),
    );
    let mut query = sqlx::query(AssertSqlSafe(statement));
    let attendees = made.iter().map(|session| session.attendee_id.to_string());
    for attendee_id in attendees.chain(std::iter::repeat(String::new())).take(rows) {
        query = query.bind(attendee_id);
    }
    let crowded = query.bind(MAX_LIVE).fetch_all(&mut *connection).await?;
    let crowded =
        crowded.iter().map(|row| row.text("attendee_id")).collect::<Result<HashSet<_>, _>>()?;
    Ok(made.iter().filter(|session| crowded.contains(&*session.attendee_id)).collect())
}
