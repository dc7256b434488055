//! Whose an MCP session is, for all replicas: the attendee's who opened it.
//!
//! A binding that has ended stays as a tombstone, so that its id is not free
//! for somebody else. Nobody but the backend, by issuing the id anew, gives it
//! another life.

use std::collections::HashSet;
use std::slice;
use std::sync::Arc;

use sqlx::any::AnyArguments;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row};

use super::{Digest, Result};
use crate::db::{Columns, Db, Parameters};

type AnyQuery<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

const HOUR_MS: i64 = 3_600_000;

/// A binding unused for so long has ended.
const IDLE_MS: i64 = 24 * HOUR_MS;

/// A tombstone is kept for so long.
const TOMBSTONE_MS: i64 = 30 * 24 * HOUR_MS;

/// Most live bindings of one attendee.
const MAX_LIVE: i64 = 1_000;

/// A session and whose it is, or is to be.
#[derive(Clone, Debug)]
pub struct Session {
    /// Of the server's origin.
    pub endpoint: Digest,
    /// Of the session's id.
    pub id: Digest,
    pub attendee_id: Arc<str>,
}

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
pub async fn claim(db: &Db, session: &Session, now: i64) -> Result<Claim> {
    loop {
        if touch(db, session, now).await? {
            return Ok(Claim::Mine);
        }
        let inserted = sqlx::query(
            "insert into mcp_session (endpoint_digest, session_digest, attendee_id, created_at,
                last_seen_at, ended_at)
             values ($1, $2, $3, $4, $4, null)
             on conflict (endpoint_digest, session_digest) do nothing",
        )
        .bind(session.endpoint.hex())
        .bind(session.id.hex())
        .bind(session.attendee_id.to_string())
        .bind(now)
        .execute(db.writer())
        .await?;
        if inserted.rows_affected() > 0 {
            make_room(db, slice::from_ref(session), now).await?;
            return Ok(Claim::New);
        }
        if let Some(refusal) = look(db, session, now).await? {
            return Ok(refusal);
        }
        // It was let go, or became the attendee's own, between the statements.
    }
}

/// Notes the use of a live session of the attendee's; `false` where it is not.
async fn touch(db: &Db, session: &Session, now: i64) -> Result<bool> {
    let touched = sqlx::query(
        "update mcp_session
         set last_seen_at = case when last_seen_at < $4 then $4 else last_seen_at end
         where endpoint_digest = $1 and session_digest = $2 and attendee_id = $3
           and ended_at is null and last_seen_at >= $5",
    )
    .bind(session.endpoint.hex())
    .bind(session.id.hex())
    .bind(session.attendee_id.to_string())
    .bind(now)
    .bind(now - IDLE_MS)
    .execute(db.writer())
    .await?;
    Ok(touched.rows_affected() > 0)
}

/// Why a session that is there cannot be claimed.
async fn look(db: &Db, session: &Session, now: i64) -> Result<Option<Claim>> {
    let row = sqlx::query(
        "select attendee_id, last_seen_at, ended_at from mcp_session
         where endpoint_digest = $1 and session_digest = $2",
    )
    .bind(session.endpoint.hex())
    .bind(session.id.hex())
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let has_ended = row.try_get::<Option<i64>, _>("ended_at")?.is_some();
    if has_ended || row.int("last_seen_at")? < now - IDLE_MS {
        return Ok(Some(Claim::Ended));
    }
    Ok((row.text("attendee_id")? != *session.attendee_id).then_some(Claim::Foreign))
}

/// Binds session ids that backends issued, before their clients see them, in
/// one statement; of each whether it is bound, `false` where it is live and
/// another attendee's. None may be named twice.
pub async fn bind(db: &mut AnyConnection, issued: &[Session], now: i64) -> Result<Vec<bool>> {
    let mut parameters = Parameters::on(db);
    // Made up with rows of nobody, the statement is of few lengths: it is
    // prepared once for each.
    let rows = issued.len().next_power_of_two();
    let statement = format!(
        "insert into mcp_session (endpoint_digest, session_digest, attendee_id, created_at,
            last_seen_at, ended_at)
         select column1, column2, column3, {}, {}, null from (values {}) as issued
         where column3 <> ''
         on conflict (endpoint_digest, session_digest) do update
            set attendee_id = excluded.attendee_id, created_at = excluded.created_at,
                last_seen_at = excluded.last_seen_at, ended_at = null
            where mcp_session.attendee_id = excluded.attendee_id
               or mcp_session.ended_at is not null
               or mcp_session.last_seen_at < {}
         returning endpoint_digest, session_digest",
        parameters.next(),
        parameters.next(),
        parameters.rows(3, rows),
        parameters.next(),
    );
    let query = sqlx::query(AssertSqlSafe(statement)).bind(now).bind(now);
    let query = bind_rows(query, issued, rows).bind(now - IDLE_MS);
    // Read to the end: rows may come before the commit has succeeded.
    let bound = query.fetch_all(db).await?;
    let bound = bound
        .iter()
        .map(|row| Ok((row.text("endpoint_digest")?, row.text("session_digest")?)))
        .collect::<Result<HashSet<_>>>()?;
    let is_bound = |session: &Session| bound.contains(&(session.endpoint.hex(), session.id.hex()));
    Ok(issued.iter().map(is_bound).collect())
}

/// Undoes a claim that was `New` and that the backend did not accept.
pub async fn release(db: &Db, session: &Session) -> Result<()> {
    sqlx::query(
        "delete from mcp_session
         where endpoint_digest = $1 and session_digest = $2 and attendee_id = $3
           and ended_at is null",
    )
    .bind(session.endpoint.hex())
    .bind(session.id.hex())
    .bind(session.attendee_id.to_string())
    .execute(db.writer())
    .await?;
    Ok(())
}

/// Ends attendees' sessions in one statement; what remains are tombstones.
pub async fn end(db: &mut AnyConnection, sessions: &[Session], now: i64) -> Result<()> {
    let mut parameters = Parameters::on(db);
    let rows = sessions.len().next_power_of_two();
    let statement = format!(
        "update mcp_session set ended_at = {}
         from (values {}) as gone
         where endpoint_digest = column1 and session_digest = column2 and attendee_id = column3
           and ended_at is null",
        parameters.next(),
        parameters.rows(3, rows)
    );
    let query = sqlx::query(AssertSqlSafe(statement)).bind(now);
    bind_rows(query, sessions, rows).execute(db).await?;
    Ok(())
}

/// Binds the sessions' columns, and so many rows of nobody that there are `rows`.
fn bind_rows<'q>(mut query: AnyQuery<'q>, sessions: &[Session], rows: usize) -> AnyQuery<'q> {
    // In one order, or replicas would wait for each other's rows in a circle.
    let mut sessions: Vec<_> = sessions.iter().collect();
    sessions.sort_unstable_by_key(|session| (session.endpoint, session.id));
    for session in &sessions {
        query = query
            .bind(session.endpoint.hex())
            .bind(session.id.hex())
            .bind(session.attendee_id.to_string());
    }
    for _ in sessions.len()..rows {
        query = query.bind("").bind("").bind("");
    }
    query
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

/// Ends what the attendees have left idle for longest, where one has a live
/// binding too many besides the one just made. Runs after those are committed,
/// so of several at once the last sees them all.
pub async fn make_room(db: &Db, made: &[Session], now: i64) -> Result<()> {
    for session in crowded(db, made).await? {
        sqlx::query(
            "update mcp_session set ended_at = $4
             where (endpoint_digest, session_digest) in (
                select endpoint_digest, session_digest from mcp_session
                where attendee_id = $3 and ended_at is null
                  and not (endpoint_digest = $1 and session_digest = $2)
                order by last_seen_at desc, session_digest
                limit $5 offset $5)",
        )
        .bind(session.endpoint.hex())
        .bind(session.id.hex())
        .bind(session.attendee_id.to_string())
        .bind(now)
        .bind(MAX_LIVE - 1)
        .execute(db.writer())
        .await?;
    }
    Ok(())
}

/// Those of the sessions whose attendees have too many. Only read, which waits
/// for no writer: nearly nobody has.
async fn crowded<'made>(db: &Db, made: &'made [Session]) -> Result<Vec<&'made Session>> {
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
