//! Tokens of the JSON API: by one of these a program acts for the owner who
//! made it, until it expires or is revoked.
//!
//! A forgotten password, redeemed by a one-time link, and the deactivation of an
//! owner revoke all of theirs; ending sessions does not.

use secrecy::{ExposeSecret, SecretString};
use sqlx::Row;

use super::{Owner, token};
use crate::catalog::audit::{self, Action, Actor};
use crate::catalog::limits::NAME;
use crate::catalog::validate::{invalid, line};
use crate::catalog::{Error, Noun, Result, change, new_id};
use crate::clock::DAY_MS;
use crate::db::{Columns, Db, Tx};

/// What every token begins with, so that scanners for leaked secrets know it.
pub const PREFIX: &str = "aip_";

/// Most tokens that an owner has at a time.
const MOST: u32 = 50;

/// How far what is stored of the last use may lag behind.
const LAG_MS: i64 = 60_000;

/// A token as its owner sees it listed.
#[derive(Clone, Debug)]
pub struct ApiToken {
    pub id: String,
    pub name: String,
    /// UTC milliseconds, as are the others.
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
}

/// Whom a token speaks for.
#[derive(Clone, Debug)]
pub struct Holder {
    pub owner: Owner,
    pub token_name: String,
}

impl Holder {
    /// The owner as the one who writes by this token, `at` that time (UTC milliseconds).
    pub fn actor(&self, at: i64) -> Actor {
        let name = format!("{} (token {})", self.owner.name, self.token_name);
        Actor { owner_id: self.owner.id.clone(), name, at }
    }
}

/// Makes a token for the owner who writes, good for `days` or until it is revoked. It
/// cannot be read again.
///
/// # Errors
/// [`Error::Invalid`]: the name, or the days, do not meet the rules.
/// [`Error::Conflict`]: the owner has as many as one may.
pub async fn create(db: &Db, by: &Actor, name: &str, days: Option<u32>) -> Result<SecretString> {
    let name = line("name", name, NAME)?;
    if days.is_some_and(|days| !(1..=3650).contains(&days)) {
        return Err(invalid("days", "must be from 1 to 3650"));
    }
    let token = SecretString::from(format!("{PREFIX}{}", token::random()?.expose_secret()));
    let mut tx = change::write(db).await?;
    let known = sqlx::query(
        "select count(*) as n, count(case when name = $2 then 1 end) as namesakes
         from api_token where owner_id = $1",
    )
    .bind(&by.owner_id)
    .bind(&name)
    .fetch_one(&mut *tx)
    .await?;
    if known.int("namesakes")? > 0 {
        return Err(invalid("name", "is another token's; the audit trail tells them by it"));
    }
    if known.int("n")? >= i64::from(MOST) {
        let reason = format!("there are {MOST} tokens already; revoke one first");
        return Err(Error::Conflict { reason });
    }
    sqlx::query(
        "insert into api_token (id, owner_id, name, digest, created_at, expires_at, last_used_at)
         values ($1, $2, $3, $4, $5, $6, null)",
    )
    .bind(new_id())
    .bind(&by.owner_id)
    .bind(&name)
    .bind(token::digest(token.expose_secret()))
    .bind(by.at)
    .bind(days.map(|days| by.at + i64::from(days) * DAY_MS))
    .execute(&mut *tx)
    .await?;
    note(&mut tx, by, Action::MadeApiToken, &name).await?;
    tx.commit().await?;
    Ok(token)
}

/// An owner's tokens, expired ones included: the newest first.
pub async fn list(db: &Db, owner_id: &str) -> Result<Vec<ApiToken>> {
    let rows = sqlx::query(
        "select id, name, created_at, expires_at, last_used_at from api_token
         where owner_id = $1 order by created_at desc, id desc",
    )
    .bind(owner_id)
    .fetch_all(db.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ApiToken {
                id: row.text("id")?,
                name: row.text("name")?,
                created_at: row.int("created_at")?,
                expires_at: row.try_get("expires_at")?,
                last_used_at: row.try_get("last_used_at")?,
            })
        })
        .collect()
}

/// Ends a token at once; its name.
///
/// # Errors
/// [`Error::NotFound`] also where it is another owner's.
pub async fn revoke(db: &Db, by: &Actor, id: &str) -> Result<String> {
    let mut tx = change::write(db).await?;
    let name: Option<String> =
        sqlx::query_scalar("delete from api_token where id = $1 and owner_id = $2 returning name")
            .bind(id)
            .bind(&by.owner_id)
            .fetch_optional(&mut *tx)
            .await?;
    let missing = || Error::NotFound { noun: Noun::Owner, name: id.to_owned() };
    let name = name.ok_or_else(missing)?;
    note(&mut tx, by, Action::RevokedApiToken, &name).await?;
    tx.commit().await?;
    Ok(name)
}

/// Ends all tokens of an owner, as a part of a transaction.
pub(super) async fn revoke_all_in(tx: &mut Tx, owner_id: &str) -> Result<()> {
    sqlx::query("delete from api_token where owner_id = $1")
        .bind(owner_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Whose token this is, where it is one that is good.
pub async fn holder(db: &Db, token: &SecretString, now_ms: i64) -> Result<Option<Holder>> {
    let row = sqlx::query(
        "select o.id as id, o.name as name, o.role as role, o.active as active,
                t.id as token_id, t.name as token_name, t.last_used_at as last_used_at
         from api_token t join owner o on o.id = t.owner_id
         where t.digest = $1 and (t.expires_at is null or t.expires_at > $2) and o.active = 1",
    )
    .bind(token::digest(token.expose_secret()))
    .bind(now_ms)
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let last: Option<i64> = row.try_get("last_used_at")?;
    if last.is_none_or(|last| last < now_ms - LAG_MS) {
        sqlx::query("update api_token set last_used_at = $2 where id = $1")
            .bind(row.text("token_id")?)
            .bind(now_ms)
            .execute(db.writer())
            .await?;
    }
    Ok(Some(Holder { owner: Owner::read(&row)?, token_name: row.text("token_name")? }))
}

async fn note(tx: &mut Tx, by: &Actor, action: Action, name: &str) -> Result<()> {
    audit::record(tx, by, action, Noun::Owner, &by.owner_id, name).await
}
