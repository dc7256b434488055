//! One-time links, of three kinds: one lets whoever holds it become the first administrator. One
//! recovers an owner's account, by a password or a Microsoft account in place of whatever was there.
//! One adds a Microsoft account to an owner's; only the browser that asked for it holds that, sealed,
//! and it works only in the session that asked.
//! What redeeming one does is in `redeem` and `entra`.

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AnyConnection, Row};

use super::{Owner, find, token};
use crate::catalog::audit::{self, Action, Actor};
use crate::catalog::{Error, Noun, Result, change};
use crate::db::{Db, Tx};

/// How long a link works.
const VALID_MS: i64 = 3_600_000;

/// What lets one person set a password, once, until it expires.
#[derive(Debug)]
pub struct SetupLink {
    /// 64 hexadecimal digits; only its digest is stored.
    pub token: SecretString,
    /// UTC milliseconds.
    pub expires_at: i64,
}

impl SetupLink {
    /// The link itself, on a portal that is reached at `base`.
    pub fn url(&self, base: &str) -> String {
        format!("{}/admin/setup/{}", base.trim_end_matches('/'), self.token.expose_secret())
    }
}

/// Makes the link that lets whoever holds it become the first administrator.
pub async fn first(db: &Db, now_ms: i64) -> Result<SetupLink> {
    let mut tx = change::write(db).await?;
    let link = insert(&mut tx, &LinkFor::FirstAdministrator, now_ms).await?;
    tx.commit().await?;
    Ok(link)
}

/// Makes a link by which the owner `name` sets a new password. The audit trail names the
/// owner as the one who made it.
///
/// # Errors
/// [`Error::NotFound`] where there is no such owner, else as [`renew`].
pub async fn reset(db: &Db, name: &str, now_ms: i64) -> Result<SetupLink> {
    let not_found = || Error::NotFound { noun: Noun::Owner, name: name.to_owned() };
    let owner = find(db, name.trim()).await?.ok_or_else(not_found)?;
    renew(db, &owner.actor(now_ms), &owner).await
}

/// Makes a link by which the owner sets a new password. Earlier ones of theirs stop
/// working.
///
/// # Errors
/// [`Error::Conflict`]: the owner is deactivated, so that no link of theirs works.
pub async fn renew(db: &Db, by: &Actor, owner: &Owner) -> Result<SetupLink> {
    if !owner.active {
        let reason = format!("{} is deactivated; reactivate them first", owner.name);
        return Err(Error::Conflict { reason });
    }
    let mut tx = change::write(db).await?;
    let link = insert(&mut tx, &LinkFor::Recovery(owner.id.clone()), by.at).await?;
    audit::record(&mut tx, by, Action::MadeLink, Noun::Owner, &owner.id, &owner.name).await?;
    tx.commit().await?;
    Ok(link)
}

/// Makes what lets the owner who writes add a Microsoft account to theirs, or replace the one that
/// is there.
pub async fn to_add_account(db: &Db, by: &Actor) -> Result<SetupLink> {
    let mut tx = change::write(db).await?;
    let link = insert(&mut tx, &LinkFor::NewAccount(by.owner_id.clone()), by.at).await?;
    tx.commit().await?;
    Ok(link)
}

/// Stores a new link; for an owner it takes the place of their earlier ones of its kind.
pub(super) async fn insert(tx: &mut Tx, whom: &LinkFor, now_ms: i64) -> Result<SetupLink> {
    let token = token::random()?;
    let expires_at = now_ms + VALID_MS;
    let (owner_id, kind) = match whom {
        LinkFor::FirstAdministrator => (None, RECOVERY),
        LinkFor::Recovery(id) => (Some(id), RECOVERY),
        LinkFor::NewAccount(id) => (Some(id), ACCOUNT),
    };
    sqlx::query("delete from setup_link where expires_at < $1 or (owner_id = $2 and kind = $3)")
        .bind(now_ms)
        .bind(owner_id)
        .bind(kind)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "insert into setup_link (digest, owner_id, kind, created_at, expires_at, used_at)
         values ($1, $2, $3, $4, $5, null)",
    )
    .bind(token::digest(token.expose_secret()))
    .bind(owner_id)
    .bind(kind)
    .bind(now_ms)
    .bind(expires_at)
    .execute(&mut **tx)
    .await?;
    Ok(SetupLink { token, expires_at })
}

/// Kinds as stored.
const RECOVERY: &str = "recovery";
const ACCOUNT: &str = "account";

/// Whom a link is for, and what for.
pub(super) enum LinkFor {
    /// The first administrator, who has no row yet.
    FirstAdministrator,
    /// The owner with this id, who has no way in or may have lost it to somebody.
    Recovery(String),
    /// The owner with this id, who is signed in.
    NewAccount(String),
}

/// Whom the link with this token is for; `None` once it was used or has expired.
pub(super) async fn find_live(
    connection: &mut AnyConnection,
    token: &str,
    now_ms: i64,
) -> Result<Option<LinkFor>> {
    let row = sqlx::query(
        "select owner_id, kind from setup_link
         where digest = $1 and used_at is null and expires_at > $2",
    )
    .bind(token::digest(token))
    .bind(now_ms)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let owner_id: Option<String> = row.try_get("owner_id")?;
    let kind: String = row.try_get("kind")?;
    Ok(Some(match owner_id {
        None => LinkFor::FirstAdministrator,
        Some(id) if kind == ACCOUNT => LinkFor::NewAccount(id),
        Some(id) => LinkFor::Recovery(id),
    }))
}

/// Marks the link with this token as used.
pub(super) async fn use_up(tx: &mut Tx, token: &str, now_ms: i64) -> Result<()> {
    sqlx::query("update setup_link set used_at = $2 where digest = $1")
        .bind(token::digest(token))
        .bind(now_ms)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Voids the links that would make a first administrator.
pub(super) async fn void_first(tx: &mut Tx) -> Result<()> {
    sqlx::query("delete from setup_link where owner_id is null and used_at is null")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Voids the links of an owner that nobody has used.
pub(super) async fn void_unused(tx: &mut Tx, owner_id: &str) -> Result<()> {
    sqlx::query("delete from setup_link where owner_id = $1 and used_at is null")
        .bind(owner_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Voids what would add a Microsoft account to an owner's.
pub(super) async fn void_additions(tx: &mut Tx, owner_id: &str) -> Result<()> {
    sqlx::query("delete from setup_link where owner_id = $1 and kind = $2 and used_at is null")
        .bind(owner_id)
        .bind(ACCOUNT)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
