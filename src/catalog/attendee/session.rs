//! The browsers in which attendees are signed in, each found by the digest of a token that only the
//! browser holds. A session belongs to one event and ends with it: the end is that of the moment,
//! so an event that is extended keeps its sessions.
//!
//! A session says how the person came in ([`Way`]), because a name that was typed proves nothing.
//! What a session may be used for is decided in [`yours`](super::yours).

use secrecy::{ExposeSecret, SecretString};
use sqlx::AssertSqlSafe;

use super::row::{Attendee, select};
use super::{key, terms};
use crate::catalog::owner::token;
use crate::catalog::seal::Vault;
use crate::catalog::{Error, Result};
use crate::db::{Columns, Db, Tx, places};

/// How far what is stored of the last visit may lag behind.
const LAG_MS: i64 = 60_000;

/// Browsers of one attendee that are remembered. The one that was idle longest gives way; those in which
/// somebody only typed the name come first.
const MAX_SESSIONS: i64 = 20;

/// Of these, browsers in which somebody only typed the name: they take no other's place.
const MAX_NAMED: i64 = 5;

/// How somebody showed in a browser who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By their card.
    Card,
    /// By their API key.
    Key,
    /// By the shared code and a name under which nobody was there: in this browser they joined.
    Joined,
    /// By the shared code and a name that was there already: this proves nothing.
    Named,
    /// By their GitHub account.
    GitHub,
    /// By an account that a gateway has checked.
    Gateway,
}

impl Way {
    const ALL: [Way; 6] = [Way::Card, Way::Key, Way::Joined, Way::Named, Way::GitHub, Way::Gateway];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Way::Card => "card",
            Way::Key => "key",
            Way::Joined => "joined",
            Way::Named => "named",
            Way::GitHub => "github",
            Way::Gateway => "gateway",
        }
    }

    /// An unknown way proves nothing.
    pub(super) fn stored(text: &str) -> Self {
        Self::ALL.into_iter().find(|way| way.as_str() == text).unwrap_or(Way::Named)
    }

    /// Whether it shows who they are, rather than only that they know the shared code.
    pub fn is_proof(self) -> bool {
        self != Way::Named
    }

    /// Whether it took the event's shared code: another code ends what it allowed.
    pub fn is_by_code(self) -> bool {
        matches!(self, Way::Joined | Way::Named)
    }
}

/// An attendee who is signed in to the page of their event in some browser.
#[derive(Clone, Debug)]
pub struct AttendeeSession {
    pub attendee: Attendee,
    /// The owner of the event.
    pub owner_id: String,
    pub way: Way,
    /// UTC milliseconds.
    pub created_at: i64,
    digest: String,
    last_seen_at: i64,
}

impl AttendeeSession {
    /// What its row is found by. It reveals nothing about the token.
    pub fn id(&self) -> &str {
        &self.digest
    }
}

/// A browser in which an attendee is signed in, as their page lists it.
#[derive(Clone, Debug)]
pub struct SignedInBrowser {
    /// As [`AttendeeSession::id`].
    pub id: String,
    /// What it is, in a few words.
    pub agent: String,
    pub way: Way,
    /// UTC milliseconds, as is the next.
    pub created_at: i64,
    pub last_seen_at: i64,
}

/// A browser in which an attendee is signed in from now on.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    pub way: Way,
    /// What it is, in a few words.
    pub agent: &'a str,
    /// Tokens of attendees' sessions that it holds; one of the same event ends.
    pub held: &'a [SecretString],
}

/// Signs an attendee in, and returns the token of the new session. The form by which they showed who
/// they are says that they agree to the terms of use, so that is noted; of a typed name nobody knows
/// whose consent it would be.
///
/// # Errors
/// Those of the store, and [`Error::NotFound`] where the attendee has just been deleted.
pub async fn start(
    db: &Db,
    attendee_id: &str,
    new: &NewSession<'_>,
    now_ms: i64,
) -> Result<SecretString> {
    let mut tx = db.write().await?;
    let token = start_in(&mut tx, attendee_id, new, now_ms).await?;
    tx.commit().await?;
    Ok(token)
}

/// The same by an API key. `None`: it is not the attendee's any more.
///
/// # Errors
/// Those of the store.
pub async fn start_by_key(
    db: &Db,
    vault: &Vault,
    attendee_id: &str,
    key: &str,
    new: &NewSession<'_>,
    now_ms: i64,
) -> Result<Option<SecretString>> {
    let mut tx = db.write().await?;
    let mut is_theirs = false;
    for digest in key::digests(vault, key) {
        // Held until the end: a new key then waits, and ends this session.
        let held = sqlx::query(
            "update attendee set key_digest = key_digest where id = $1 and key_digest = $2",
        )
        .bind(attendee_id)
        .bind(digest.hex())
        .execute(&mut *tx)
        .await?;
        is_theirs |= held.rows_affected() > 0;
    }
    if !is_theirs {
        return Ok(None);
    }
    let token = start_in(&mut tx, attendee_id, new, now_ms).await?;
    tx.commit().await?;
    Ok(Some(token))
}

/// The same as a part of a transaction.
pub(super) async fn start_in(
    tx: &mut Tx,
    attendee_id: &str,
    new: &NewSession<'_>,
    now_ms: i64,
) -> Result<SecretString> {
    if new.way.is_proof() {
        terms::accept_in(tx, attendee_id, now_ms).await?;
    }
    begin_in(tx, attendee_id, new, now_ms, now_ms).await
}

/// Signs an attendee in as in another browser, in a session that counts as begun at `created_at`.
pub(super) async fn begin_in(
    tx: &mut Tx,
    attendee_id: &str,
    new: &NewSession<'_>,
    created_at: i64,
    now_ms: i64,
) -> Result<SecretString> {
    let token = token::random()?;
    for held in new.held {
        sqlx::query(
            "delete from attendee_session where digest = $1 and attendee_id in (
                select id from attendee
                where event_id = (select event_id from attendee where id = $2))",
        )
        .bind(digest(held))
        .bind(attendee_id)
        .execute(&mut **tx)
        .await?;
    }
    let (of, kept) = match new.way {
        Way::Named => ("and way = 'named'", MAX_NAMED),
        _ => ("", MAX_SESSIONS),
    };
    let statement = format!(
        "delete from attendee_session where digest in (
            select digest from attendee_session where attendee_id = $1 {of}
            order by case when way = 'named' then 1 else 0 end, last_seen_at desc, digest
            limit 1000 offset $2)"
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(attendee_id)
        .bind(kept - 1)
        .execute(&mut **tx)
        .await?;
    // From a select, so that an attendee who is gone is no broken reference.
    let started = sqlx::query(
        "insert into attendee_session
            (digest, attendee_id, way, agent, created_at, last_seen_at)
         select $1, id, $3, $4, $5, $6 from attendee where id = $2",
    )
    .bind(digest(&token))
    .bind(attendee_id)
    .bind(new.way.as_str())
    .bind(new.agent)
    .bind(created_at)
    .bind(now_ms)
    .execute(&mut **tx)
    .await?;
    if started.rows_affected() == 0 {
        return Err(super::not_found(attendee_id));
    }
    Ok(token)
}

/// The session with this token in an event that has not ended, and that it was used now.
pub async fn find(
    db: &Db,
    token: &SecretString,
    event_id: &str,
    now_ms: i64,
) -> Result<Option<AttendeeSession>> {
    let row = sqlx::query(select(
        ", event.owner_id, s.digest as session, s.way, s.created_at as begun_at,
            s.last_seen_at as visited_at
         from attendee_session s join attendee on attendee.id = s.attendee_id
         join event on event.id = attendee.event_id
         where s.digest = $1 and event.id = $2 and event.purge_at is null and event.ends_at >= $3",
    ))
    .bind(digest(token))
    .bind(event_id)
    .bind(now_ms)
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let session = AttendeeSession {
        attendee: Attendee::read(&row)?,
        owner_id: row.text("owner_id")?,
        way: Way::stored(&row.text("way")?),
        created_at: row.int("begun_at")?,
        digest: row.text("session")?,
        last_seen_at: row.int("visited_at")?,
    };
    if session.last_seen_at < now_ms - LAG_MS {
        sqlx::query("update attendee_session set last_seen_at = $2 where digest = $1")
            .bind(&session.digest)
            .bind(now_ms)
            .execute(db.writer())
            .await?;
    }
    Ok(Some(session))
}

/// The browsers in which an attendee is signed in, the one used last first.
pub async fn list(db: &Db, attendee_id: &str) -> Result<Vec<SignedInBrowser>> {
    let rows = sqlx::query(
        "select digest, agent, way, created_at, last_seen_at from attendee_session
         where attendee_id = $1 order by last_seen_at desc, digest",
    )
    .bind(attendee_id)
    .fetch_all(db.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(SignedInBrowser {
                id: row.text("digest")?,
                agent: row.text("agent")?,
                way: Way::stored(&row.text("way")?),
                created_at: row.int("created_at")?,
                last_seen_at: row.int("last_seen_at")?,
            })
        })
        .collect()
}

/// Ends a session: its browser is signed out.
pub async fn end(db: &Db, session: &AttendeeSession) -> Result<()> {
    sqlx::query("delete from attendee_session where digest = $1")
        .bind(&session.digest)
        .execute(db.writer())
        .await?;
    Ok(())
}

/// Ends the sessions that were begun in this way by these attendees, as a part of a transaction, but
/// the one that is `spared`.
pub(super) async fn end_by_in(
    tx: &mut Tx,
    way: Way,
    attendee_ids: &[&str],
    spared: Option<&AttendeeSession>,
) -> Result<()> {
    let statement = format!(
        "delete from attendee_session
         where way = $1 and digest <> $2 and attendee_id in ({})",
        places(3, attendee_ids.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    query = query.bind(way.as_str()).bind(spared.map_or("", AttendeeSession::id).to_owned());
    for id in attendee_ids {
        query = query.bind((*id).to_owned());
    }
    query.execute(&mut **tx).await?;
    Ok(())
}

/// Ends the sessions of an event's people who only typed a name, as a part of a transaction: its shared
/// code is another one now.
pub(in crate::catalog) async fn end_named_in(tx: &mut Tx, event_id: &str) -> Result<()> {
    sqlx::query(
        "delete from attendee_session where way = $2
            and attendee_id in (select id from attendee where event_id = $1)",
    )
    .bind(event_id)
    .bind(Way::Named.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends every session of the attendee, as a part of a transaction; how many there were.
pub(super) async fn end_all_in(tx: &mut Tx, attendee_id: &str) -> Result<u64> {
    let ended = sqlx::query("delete from attendee_session where attendee_id = $1")
        .bind(attendee_id)
        .execute(&mut **tx)
        .await?;
    Ok(ended.rows_affected())
}

/// Fails unless nobody has ended the session since it was looked up.
///
/// # Errors
/// [`Error::Conflict`].
pub(super) async fn require_in(tx: &mut Tx, session: &AttendeeSession) -> Result<()> {
    let open: i64 = sqlx::query_scalar(
        "select count(*) from attendee_session where digest = $1 and attendee_id = $2",
    )
    .bind(&session.digest)
    .bind(&session.attendee.id)
    .fetch_one(&mut **tx)
    .await?;
    if open > 0 {
        return Ok(());
    }
    let reason = "this browser was signed out meanwhile; sign in again, then try once more";
    Err(Error::Conflict { reason: reason.to_owned() })
}

pub(super) fn digest(token: &SecretString) -> String {
    token::digest(token.expose_secret())
}
