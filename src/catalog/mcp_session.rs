//! Whose an MCP session is, for all replicas: the attendee's who opened it.
//!
//! A binding that has ended stays as a tombstone, so that its id is not free
//! for somebody else. Nobody but the backend, by issuing the id anew, gives it
//! another life.

use sqlx::Row;

use super::{Digest, Result};
use crate::db::{Columns, Db};

const HOUR_MS: i64 = 3_600_000;

/// A binding unused for so long has ended.
const IDLE_MS: i64 = 24 * HOUR_MS;

/// A tombstone is kept for so long.
const TOMBSTONE_MS: i64 = 30 * 24 * HOUR_MS;

/// Most live bindings of one attendee.
const MAX_LIVE: i64 = 1_000;

/// Whose a session is that a client named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Mine,
    /// Never seen before; it is the attendee's now.
    New,
    Foreign,
    Ended,
}

/// Claims a session for an attendee who names it, before it is forwarded, and
/// notes that it is in use. Of several who claim an unseen one at once, exactly
/// one gets `New`.
pub async fn claim(
    db: &Db,
    endpoint: &Digest,
    session: &Digest,
    attendee_id: &str,
    now: i64,
) -> Result<Claim> {
    loop {
        if touch(db, endpoint, session, attendee_id, now).await? {
            return Ok(Claim::Mine);
        }
        let inserted = sqlx::query(
            "insert into mcp_session (endpoint_digest, session_digest, attendee_id, created_at,
                last_seen_at, ended_at)
             values ($1, $2, $3, $4, $4, null)
             on conflict (endpoint_digest, session_digest) do nothing",
        )
        .bind(endpoint.hex())
        .bind(session.hex())
        .bind(attendee_id)
        .bind(now)
        .execute(db.writer())
        .await?;
        if inserted.rows_affected() > 0 {
            make_room(db, endpoint, session, attendee_id, now).await?;
            return Ok(Claim::New);
        }
        if let Some(refusal) = look(db, endpoint, session, attendee_id, now).await? {
            return Ok(refusal);
        }
        // It was let go, or became the attendee's own, between the statements.
    }
}

/// Notes the use of a live session of the attendee's; `false` where it is not.
async fn touch(
    db: &Db,
    endpoint: &Digest,
    session: &Digest,
    attendee_id: &str,
    now: i64,
) -> Result<bool> {
    let touched = sqlx::query(
        "update mcp_session
         set last_seen_at = case when last_seen_at < $4 then $4 else last_seen_at end
         where endpoint_digest = $1 and session_digest = $2 and attendee_id = $3
           and ended_at is null and last_seen_at >= $5",
    )
    .bind(endpoint.hex())
    .bind(session.hex())
    .bind(attendee_id)
    .bind(now)
    .bind(now - IDLE_MS)
    .execute(db.writer())
    .await?;
    Ok(touched.rows_affected() > 0)
}

/// Why a session that is there cannot be claimed.
async fn look(
    db: &Db,
    endpoint: &Digest,
    session: &Digest,
    attendee_id: &str,
    now: i64,
) -> Result<Option<Claim>> {
    let row = sqlx::query(
        "select attendee_id, last_seen_at, ended_at from mcp_session
         where endpoint_digest = $1 and session_digest = $2",
    )
    .bind(endpoint.hex())
    .bind(session.hex())
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let has_ended = row.try_get::<Option<i64>, _>("ended_at")?.is_some();
    if has_ended || row.int("last_seen_at")? < now - IDLE_MS {
        return Ok(Some(Claim::Ended));
    }
    Ok((row.text("attendee_id")? != attendee_id).then_some(Claim::Foreign))
}

/// Binds a session id that the backend issued, before the client sees it.
/// `false` where it is live and another attendee's.
pub async fn bind(
    db: &Db,
    endpoint: &Digest,
    session: &Digest,
    attendee_id: &str,
    now: i64,
) -> Result<bool> {
    let bound = sqlx::query(
        "insert into mcp_session (endpoint_digest, session_digest, attendee_id, created_at,
            last_seen_at, ended_at)
         values ($1, $2, $3, $4, $4, null)
         on conflict (endpoint_digest, session_digest) do update
            set attendee_id = excluded.attendee_id, created_at = excluded.created_at,
                last_seen_at = excluded.last_seen_at, ended_at = null
            where mcp_session.attendee_id = excluded.attendee_id
               or mcp_session.ended_at is not null
               or mcp_session.last_seen_at < $5",
    )
    .bind(endpoint.hex())
    .bind(session.hex())
    .bind(attendee_id)
    .bind(now)
    .bind(now - IDLE_MS)
    .execute(db.writer())
    .await?;
    if bound.rows_affected() == 0 {
        return Ok(false);
    }
    make_room(db, endpoint, session, attendee_id, now).await?;
    Ok(true)
}

/// Undoes a claim that was `New` and that the backend did not accept.
pub async fn release(
    db: &Db,
    endpoint: &Digest,
    session: &Digest,
    attendee_id: &str,
) -> Result<()> {
    sqlx::query(
        "delete from mcp_session
         where endpoint_digest = $1 and session_digest = $2 and attendee_id = $3
           and ended_at is null",
    )
    .bind(endpoint.hex())
    .bind(session.hex())
    .bind(attendee_id)
    .execute(db.writer())
    .await?;
    Ok(())
}

/// Ends an attendee's session; what remains is its tombstone.
pub async fn end(
    db: &Db,
    endpoint: &Digest,
    session: &Digest,
    attendee_id: &str,
    now: i64,
) -> Result<()> {
    sqlx::query(
        "update mcp_session set ended_at = $4
         where endpoint_digest = $1 and session_digest = $2 and attendee_id = $3
           and ended_at is null",
    )
    .bind(endpoint.hex())
    .bind(session.hex())
    .bind(attendee_id)
    .bind(now)
    .execute(db.writer())
    .await?;
    Ok(())
}

/// Ends every session of somebody's who is done.
pub async fn end_all(db: &Db, attendee_id: &str, now: i64) -> Result<()> {
    sqlx::query("update mcp_session set ended_at = $2 where attendee_id = $1 and ended_at is null")
        .bind(attendee_id)
        .bind(now)
        .execute(db.writer())
        .await?;
    Ok(())
}

/// Ends the sessions that are idle, or whose attendee or event is over, and
/// removes old tombstones.
pub async fn expire(db: &Db, now: i64) -> Result<()> {
    sqlx::query(
        "update mcp_session set ended_at = $1
         where ended_at is null and (last_seen_at < $2 or not exists (
            select 1 from attendee join event on event.id = attendee.event_id
            where attendee.id = mcp_session.attendee_id and attendee.active = 1
              and event.active = 1 and event.ends_at >= $1))",
    )
    .bind(now)
    .bind(now - IDLE_MS)
    .execute(db.writer())
    .await?;
    sqlx::query("delete from mcp_session where ended_at < $1")
        .bind(now - TOMBSTONE_MS)
        .execute(db.writer())
        .await?;
    Ok(())
}

/// Ends what the attendee has left idle for longest, where there is one live
/// binding too many besides the one just made. Runs after that one is
/// committed, so of several at once the last sees them all.
async fn make_room(
    db: &Db,
    endpoint: &Digest,
    session: &Digest,
    attendee_id: &str,
    now: i64,
) -> Result<()> {
    sqlx::query(
        "update mcp_session set ended_at = $4
         where (endpoint_digest, session_digest) in (
            select endpoint_digest, session_digest from mcp_session
            where attendee_id = $3 and ended_at is null
              and not (endpoint_digest = $1 and session_digest = $2)
            order by last_seen_at desc, session_digest
            limit $5 offset $5)",
    )
    .bind(endpoint.hex())
    .bind(session.hex())
    .bind(attendee_id)
    .bind(now)
    .bind(MAX_LIVE - 1)
    .execute(db.writer())
    .await?;
    Ok(())
}
