//! The rows of browsers in which owners are signed in, each found by the digest of a
//! token that only the browser holds. How long a session lasts is `identity`'s business.

use secrecy::{ExposeSecret, SecretString};
use sqlx::Row;

use super::sign_in::{self, Outcome, Source};
use super::{Owner, password, token};
use crate::catalog::Result;
use crate::catalog::seal::{Place, Vault};
use crate::db::{Columns, Db, Tx};

/// How far what is stored of the last request may lag behind.
const LAG_MS: i64 = 60_000;

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub struct OwnerSession {
    pub owner: Owner,
    digest: String,
    confirmed_at: Option<i64>,
    last_seen_at: i64,
    flash_sealed: Option<String>,
}

impl OwnerSession {
    /// What its row is found by. It reveals nothing about the token.
    pub fn id(&self) -> &str {
        &self.digest
    }

    /// Whether the owner showed in this browser, at `since` or later, who they are.
    pub(crate) fn is_confirmed_since(&self, since: i64) -> bool {
        self.confirmed_at.is_some_and(|at| at >= since)
    }

    fn place(&self) -> Place<'_> {
        Place { table: "owner_session", row: &self.digest, column: "flash" }
    }
}

/// Sessions last used or begun before these times (UTC milliseconds) have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutoff {
    pub last_seen_at: i64,
    pub created_at: i64,
}

/// A browser in which an owner is signed in from now on.
pub(crate) struct NewSession<'a> {
    pub owner: &'a Owner,
    /// The token that the browser held before: its session ends.
    pub replaced: Option<&'a SecretString>,
    /// The hash of the password that was right, where they signed in with one.
    pub password_hash: Option<&'a str>,
    /// When they showed who they are.
    pub confirmed_at: Option<i64>,
    pub source: Source,
    pub outcome: Outcome,
}

/// Stores a new session and that its owner signed in, and removes sessions that have ended.
/// Returns its token.
///
/// # Errors
/// [`Error::Conflict`]: the password was replaced since it was compared. A sign-in that began before the
/// account was recovered must not outlive the recovery.
pub(crate) async fn start(
    db: &Db,
    new: NewSession<'_>,
    cutoff: Cutoff,
    now_ms: i64,
) -> Result<SecretString> {
    let NewSession { owner, replaced, password_hash, confirmed_at, source, outcome } = new;
    let token = token::random()?;
    let mut tx = db.write().await?;
    if let Some(hash) = password_hash {
        password::hold_in(&mut tx, &owner.id, hash).await?;
    }
    sqlx::query(
        "delete from owner_session where digest = $1 or last_seen_at < $2 or created_at < $3",
    )
    .bind(replaced.map(digest))
    .bind(cutoff.last_seen_at)
    .bind(cutoff.created_at)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "insert into owner_session (digest, owner_id, created_at, last_seen_at, confirmed_at)
         values ($1, $2, $3, $3, $4)",
    )
    .bind(digest(&token))
    .bind(&owner.id)
    .bind(now_ms)
    .bind(confirmed_at)
    .execute(&mut *tx)
    .await?;
    sign_in::count_success(&mut tx, &owner.id, source, outcome, now_ms).await?;
    tx.commit().await?;
    Ok(token)
}

/// The session with this token, where it has not ended and its owner is active.
pub(crate) async fn find(
    db: &Db,
    token: &SecretString,
    cutoff: Cutoff,
) -> Result<Option<OwnerSession>> {
    let digest = digest(token);
    let row = sqlx::query(
        "select o.id as id, o.name as name, o.role as role, o.active as active,
                s.last_seen_at as last_seen_at, s.flash_sealed as flash_sealed,
                s.confirmed_at as confirmed_at
         from owner_session s join owner o on o.id = s.owner_id
         where s.digest = $1 and s.last_seen_at >= $2 and s.created_at >= $3 and o.active = 1",
    )
    .bind(&digest)
    .bind(cutoff.last_seen_at)
    .bind(cutoff.created_at)
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(OwnerSession {
        owner: Owner::read(&row)?,
        digest,
        confirmed_at: row.try_get("confirmed_at")?,
        last_seen_at: row.int("last_seen_at")?,
        flash_sealed: row.try_get("flash_sealed")?,
    }))
}

/// Counts the session as used now.
pub(crate) async fn touch(db: &Db, session: &OwnerSession, now_ms: i64) -> Result<()> {
    if session.last_seen_at < now_ms - LAG_MS {
        sqlx::query("update owner_session set last_seen_at = $2 where digest = $1")
            .bind(&session.digest)
            .bind(now_ms)
            .execute(db.writer())
            .await?;
    }
    Ok(())
}

/// Notes that the owner has shown in this browser who they are.
pub(crate) async fn note_confirmed(db: &Db, session: &OwnerSession, now_ms: i64) -> Result<()> {
    sqlx::query("update owner_session set confirmed_at = $2 where digest = $1")
        .bind(&session.digest)
        .bind(now_ms)
        .execute(db.writer())
        .await?;
    Ok(())
}

/// Ends the session with this token.
pub(crate) async fn end(db: &Db, token: &SecretString) -> Result<()> {
    sqlx::query("delete from owner_session where digest = $1")
        .bind(digest(token))
        .execute(db.writer())
        .await?;
    Ok(())
}

/// Ends every session of the owner but this one; how many there were.
pub(crate) async fn end_others(db: &Db, session: &OwnerSession) -> Result<u64> {
    let ended = sqlx::query("delete from owner_session where owner_id = $1 and digest <> $2")
        .bind(&session.owner.id)
        .bind(&session.digest)
        .execute(db.writer())
        .await?;
    Ok(ended.rows_affected())
}

/// Ends every session of the owner, as a part of a transaction.
pub(super) async fn end_all_in(tx: &mut Tx, owner_id: &str) -> Result<()> {
    sqlx::query("delete from owner_session where owner_id = $1")
        .bind(owner_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Whether nobody has ended the session since it was looked up, as a part of a transaction.
pub(super) async fn is_open_in(tx: &mut Tx, session: &OwnerSession) -> Result<bool> {
    let open: i64 = sqlx::query_scalar("select count(*) from owner_session where digest = $1")
        .bind(&session.digest)
        .fetch_one(&mut **tx)
        .await?;
    Ok(open > 0)
}

/// Other browsers in which the owner is signed in.
pub(crate) async fn count_others(db: &Db, session: &OwnerSession, cutoff: Cutoff) -> Result<u64> {
    let row = sqlx::query(
        "select count(*) as n from owner_session
         where owner_id = $1 and digest <> $2 and last_seen_at >= $3 and created_at >= $4",
    )
    .bind(&session.owner.id)
    .bind(&session.digest)
    .bind(cutoff.last_seen_at)
    .bind(cutoff.created_at)
    .fetch_one(db.pool())
    .await?;
    Ok(row.count("n")?.into())
}

/// Leaves a text that [`take_flash`] finds once. It may hold a secret.
pub(crate) async fn leave_flash(
    db: &Db,
    vault: &Vault,
    session: &OwnerSession,
    text: &str,
) -> Result<()> {
    set_flash(db, session, Some(vault.seal(session.place(), text)?)).await
}

/// The text that was left when this session was looked up; gone after that.
pub(crate) async fn take_flash(
    db: &Db,
    vault: &Vault,
    session: &mut OwnerSession,
) -> Result<Option<SecretString>> {
    let Some(sealed) = session.flash_sealed.take() else { return Ok(None) };
    set_flash(db, session, None).await?;
    // What an earlier master key sealed is not worth an error page.
    Ok(vault.open(session.place(), &sealed).ok())
}

async fn set_flash(db: &Db, session: &OwnerSession, sealed: Option<String>) -> Result<()> {
    sqlx::query("update owner_session set flash_sealed = $2 where digest = $1")
        .bind(&session.digest)
        .bind(sealed)
        .execute(db.writer())
        .await?;
    Ok(())
}

fn digest(token: &SecretString) -> String {
    token::digest(token.expose_secret())
}
