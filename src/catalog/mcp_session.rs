//! Ownership of MCP sessions, shared by all replicas: a session belongs to the
//! attendee to whom the backend issued its id, or else to the first who used it.
//!
//! A session is known by the origin of its server and its id. One that has ended
//! stays as a tombstone, so that its id is not free for somebody else; only the
//! backend, by issuing the id again, gives it to whomever it likes.

use std::collections::HashSet;
use std::slice;
use std::sync::Arc;

use secrecy::SecretString;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, AnyConnection, AssertSqlSafe, Connection, Row};

use super::seal::{Place, Vault};
use super::{Digest, Result};
use crate::clock::HOUR_MS;
use crate::db::{Columns, Db, Parameters};

pub mod changes;
mod sweep;
pub(crate) mod writer;

pub use sweep::{expire, make_room};

type AnyQuery<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// A session unused for this long has ended.
const IDLE_MS: i64 = 24 * HOUR_MS;

pub(super) const TABLE: &str = "mcp_session";
pub(super) const AFFINITY: &str = "affinity_sealed";

/// A session, and the attendee who has it or is to get it.
#[derive(Clone, Debug)]
pub struct McpSession {
    /// Of the server's origin.
    pub endpoint: Digest,
    /// Of the session's id.
    pub id: Digest,
    pub attendee_id: Arc<str>,
}

impl McpSession {
    /// Seals the cookies by which a load balancer knows the session.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub fn seal_affinity(&self, vault: &Vault, cookies: &str) -> Result<String> {
        let row = affinity_row(self);
        Ok(vault.seal(Place { table: TABLE, row: &row, column: AFFINITY }, cookies)?)
    }

    /// Opens what [`seal_affinity`](Self::seal_affinity) sealed.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_affinity(&self, vault: &Vault, sealed: &str) -> Result<SecretString> {
        let row = affinity_row(self);
        Ok(vault.open(Place { table: TABLE, row: &row, column: AFFINITY }, sealed)?)
    }
}

/// `rekey` names the row in the same way.
fn affinity_row(session: &McpSession) -> String {
    format!("{}.{}", session.endpoint.hex(), session.id.hex())
}

/// What the store knows of a session id that an attendee presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Mine(Mine),
    /// Another attendee holds it, here or at another origin.
    Foreign,
    Ended,
    /// The attendee may claim it.
    Unseen,
}

/// A live session of the attendee who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mine {
    /// Whether the backend is known to accept it; until then it may be released.
    pub is_proven: bool,
    /// Its load balancer's cookies, sealed.
    pub affinity: Option<String>,
}

impl Mine {
    fn of(row: &AnyRow) -> Result<Self> {
        let affinity = row.try_get(AFFINITY)?;
        Ok(Self { is_proven: row.flag("proven")?, affinity })
    }
}

/// The result of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionClaim {
    Mine(Mine),
    /// Never seen before: the attendee's from now on, but not proven.
    New,
    Foreign,
    Ended,
}

/// Looks who holds a session, without writing anything.
pub async fn look(db: &Db, session: &McpSession, now: i64) -> Result<Found> {
    let row = sqlx::query(
        "select attendee_id, last_seen_at, ended_at, proven, affinity_sealed from mcp_session
         where endpoint_digest = $1 and session_digest = $2",
    )
    .bind(session.endpoint.hex())
    .bind(session.id.hex())
    .fetch_optional(db.pool())
    .await?;
    if let Some(row) = row {
        let is_idle = row.int("last_seen_at")? < now - IDLE_MS;
        if row.try_get::<Option<i64>, _>("ended_at")?.is_none() && !is_idle {
            return match row.text("attendee_id")? == *session.attendee_id {
                true => Ok(Found::Mine(Mine::of(&row)?)),
                false => Ok(Found::Foreign),
            };
        }
        if row.flag("proven")? {
            return Ok(Found::Ended);
        }
    }
    let elsewhere = sqlx::query(
        "select attendee_id from mcp_session
         where session_digest = $1 and attendee_id <> $2 and ended_at is null
           and last_seen_at >= $3 limit 1",
    )
    .bind(session.id.hex())
    .bind(session.attendee_id.to_string())
    .bind(now - IDLE_MS)
    .fetch_optional(db.pool())
    .await?;
    Ok(if elsewhere.is_some() { Found::Foreign } else { Found::Unseen })
}

/// Notes that a session of the attendee's is in use, or claims one never seen
/// before. If several claim one at once, exactly one gets `New`.
pub async fn claim(db: &Db, session: &McpSession, now: i64) -> Result<SessionClaim> {
    loop {
        if let Some(mine) = touch(db, session, now).await? {
            return Ok(SessionClaim::Mine(mine));
        }
        if insert_claim(db, session, false, now).await? {
            make_room(db, slice::from_ref(session), now).await?;
            return Ok(SessionClaim::New);
        }
        match look(db, session, now).await? {
            Found::Foreign => return Ok(SessionClaim::Foreign),
            Found::Ended => return Ok(SessionClaim::Ended),
            // It was released, or became the attendee's own, between the statements.
            Found::Mine(_) | Found::Unseen => {}
        }
    }
}

/// Notes the use of a live session of the attendee's, if it is one.
async fn touch(db: &Db, session: &McpSession, now: i64) -> Result<Option<Mine>> {
    let touched = sqlx::query(
        "update mcp_session
         set last_seen_at = case when last_seen_at < $4 then $4 else last_seen_at end
         where endpoint_digest = $1 and session_digest = $2 and attendee_id = $3
           and ended_at is null and last_seen_at >= $5
         returning proven, affinity_sealed",
    )
    .bind(session.endpoint.hex())
    .bind(session.id.hex())
    .bind(session.attendee_id.to_string())
    .bind(now)
    .bind(now - IDLE_MS)
    .fetch_optional(db.writer())
    .await?;
    touched.as_ref().map(Mine::of).transpose()
}

/// Writes a claim, unless the id is in use at any origin. Claims are made one
/// after the other, because no key of the table covers an id at two origins.
async fn insert_claim(db: &Db, session: &McpSession, is_proven: bool, now: i64) -> Result<bool> {
    let mut tx = db.write().await?;
    changes::lock(&mut tx).await?;
    sqlx::query(
        "delete from mcp_session
         where endpoint_digest = $1 and session_digest = $2 and proven = 0
           and (ended_at is not null or last_seen_at < $3)",
    )
    .bind(session.endpoint.hex())
    .bind(session.id.hex())
    .bind(now - IDLE_MS)
    .execute(&mut *tx)
    .await?;
    let inserted = sqlx::query(
        "insert into mcp_session (endpoint_digest, session_digest, attendee_id, created_at,
            last_seen_at, ended_at, proven)
         select cast($1 as text), cast($2 as text), cast($3 as text), cast($4 as bigint),
            cast($4 as bigint), null, cast($6 as bigint)
         where not exists (
            select 1 from mcp_session
            where session_digest = $2 and attendee_id <> $3 and ended_at is null
              and last_seen_at >= $5)
         on conflict (endpoint_digest, session_digest) do nothing",
    )
    .bind(session.endpoint.hex())
    .bind(session.id.hex())
    .bind(session.attendee_id.to_string())
    .bind(now)
    .bind(now - IDLE_MS)
    .bind(i64::from(is_proven))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(inserted.rows_affected() > 0)
}

/// Notes that the backend has accepted a claimed session, also if the request that
/// had made the claim has released it meanwhile. `false` if it has ended, or is
/// somebody else's by now.
pub async fn prove(db: &Db, session: &McpSession, now: i64) -> Result<bool> {
    let proven = sqlx::query(
        "update mcp_session set proven = 1
         where endpoint_digest = $1 and session_digest = $2 and attendee_id = $3
           and ended_at is null",
    )
    .bind(session.endpoint.hex())
    .bind(session.id.hex())
    .bind(session.attendee_id.to_string())
    .execute(db.writer())
    .await?;
    Ok(proven.rows_affected() > 0 || insert_claim(db, session, true, now).await?)
}

/// Takes back a claim that was `New`, unless it has been proven since.
pub async fn release(db: &Db, session: &McpSession) -> Result<()> {
    sqlx::query(
        "delete from mcp_session
         where endpoint_digest = $1 and session_digest = $2 and attendee_id = $3
           and ended_at is null and proven = 0",
    )
    .bind(session.endpoint.hex())
    .bind(session.id.hex())
    .bind(session.attendee_id.to_string())
    .execute(db.writer())
    .await?;
    Ok(())
}

/// A session that a backend has issued, with its load balancer's cookies, sealed.
#[derive(Clone, Debug)]
pub struct IssuedSession {
    pub session: McpSession,
    pub affinity: Option<String>,
}

impl From<McpSession> for IssuedSession {
    fn from(session: McpSession) -> Self {
        Self { session, affinity: None }
    }
}

/// Binds session ids that backends issued, before their clients see them, in
/// one statement; `false` for each that another attendee holds live and proven,
/// which only [`take_over`] overrides. None may be named twice.
pub async fn bind(db: &mut AnyConnection, issued: &[IssuedSession], now: i64) -> Result<Vec<bool>> {
    let bound = upsert(db, issued, now, now - IDLE_MS).await?;
    let is_bound = |issued: &IssuedSession| {
        bound.contains(&(issued.session.endpoint.hex(), issued.session.id.hex()))
    };
    Ok(issued.iter().map(is_bound).collect())
}

/// Gives a session that the backend has issued to its attendee, whoever held the
/// id before. Every replica learns of it.
pub async fn take_over(db: &Db, issued: &IssuedSession, now: i64) -> Result<()> {
    let mut tx = db.write().await?;
    changes::record(&mut tx, &[(issued.session.endpoint, issued.session.id)]).await?;
    upsert(&mut tx, slice::from_ref(issued), now, i64::MAX).await?;
    tx.commit().await?;
    make_room(db, slice::from_ref(&issued.session), now).await
}

/// Writes issued sessions over what is free, or was last seen before `seen_before`;
/// those that were written.
async fn upsert(
    db: &mut AnyConnection,
    issued: &[IssuedSession],
    now: i64,
    seen_before: i64,
) -> Result<HashSet<(String, String)>> {
    let mut parameters = Parameters::on(&*db);
    // Made up with rows of nobody, the statement is of few lengths: it is
    // prepared once for each.
    let rows = issued.len().next_power_of_two();
    let statement = format!(
        "insert into mcp_session (endpoint_digest, session_digest, attendee_id, created_at,
            last_seen_at, ended_at, proven, affinity_sealed)
         select column1, column2, column3, {}, {}, null, 1, nullif(column4, '')
         from (values {}) as issued
         where column3 <> ''
         on conflict (endpoint_digest, session_digest) do update
            set attendee_id = excluded.attendee_id, created_at = excluded.created_at,
                last_seen_at = excluded.last_seen_at, ended_at = null, proven = 1,
                affinity_sealed = excluded.affinity_sealed
            where mcp_session.attendee_id = excluded.attendee_id
               or mcp_session.ended_at is not null
               or mcp_session.proven = 0
               or mcp_session.last_seen_at < {}
         returning endpoint_digest, session_digest",
        parameters.next(),
        parameters.next(),
        parameters.rows(4, rows),
        parameters.next(),
    );
    let query = sqlx::query(AssertSqlSafe(statement)).bind(now).bind(now);
    let issued = issued.iter().map(|issued| (&issued.session, issued.affinity.clone()));
    let query = bind_rows(query, issued.collect(), rows, 4).bind(seen_before);
    // Read to the end: rows may come before the commit has succeeded.
    let bound = query.fetch_all(db).await?;
    bound
        .iter()
        .map(|row| Ok((row.text("endpoint_digest")?, row.text("session_digest")?)))
        .collect()
}

/// Ends attendees' sessions in one statement; what remains are tombstones. Every
/// replica learns of it.
pub async fn end(db: &mut AnyConnection, sessions: &[McpSession], now: i64) -> Result<()> {
    let mut tx = db.begin().await?;
    let keys: Vec<_> = sessions.iter().map(|session| (session.endpoint, session.id)).collect();
    changes::record(&mut tx, &keys).await?;
    let mut parameters = Parameters::on(&tx);
    let rows = sessions.len().next_power_of_two();
    let statement = format!(
        "update mcp_session set ended_at = {}, proven = 1, affinity_sealed = null
         from (values {}) as gone
         where endpoint_digest = column1 and session_digest = column2 and attendee_id = column3
           and ended_at is null",
        parameters.next(),
        parameters.rows(3, rows)
    );
    let query = sqlx::query(AssertSqlSafe(statement)).bind(now);
    let ended = sessions.iter().map(|session| (session, None));
    bind_rows(query, ended.collect(), rows, 3).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Replaces the cookies of sessions that are still live, in one statement.
pub async fn renew_affinity(db: &Db, renewed: &[IssuedSession]) -> Result<()> {
    let mut connection = db.writer().acquire().await?;
    let mut parameters = Parameters::on(&connection);
    let rows = renewed.len().next_power_of_two();
    let statement = format!(
        "update mcp_session set affinity_sealed = nullif(column4, '')
         from (values {}) as renewed
         where endpoint_digest = column1 and session_digest = column2 and attendee_id = column3
           and ended_at is null",
        parameters.rows(4, rows)
    );
    let values = renewed.iter().map(|renewed| (&renewed.session, renewed.affinity.clone()));
    let query = bind_rows(sqlx::query(AssertSqlSafe(statement)), values.collect(), rows, 4);
    query.execute(&mut *connection).await?;
    Ok(())
}

/// Binds the columns of the sessions, three of their own and perhaps a text beside,
/// and as many rows of nobody as make up `rows`.
fn bind_rows<'q>(
    mut query: AnyQuery<'q>,
    mut sessions: Vec<(&McpSession, Option<String>)>,
    rows: usize,
    columns: usize,
) -> AnyQuery<'q> {
    // In one order, so that replicas do not wait for each other's rows in a circle.
    sessions.sort_unstable_by_key(|(session, _)| (session.endpoint, session.id));
    let nobodys = (rows - sessions.len()) * columns;
    for (session, text) in sessions {
        query = query
            .bind(session.endpoint.hex())
            .bind(session.id.hex())
            .bind(session.attendee_id.to_string());
        if columns > 3 {
            query = query.bind(text.unwrap_or_default());
        }
    }
    for _ in 0..nobodys {
        query = query.bind("");
    }
    query
}
