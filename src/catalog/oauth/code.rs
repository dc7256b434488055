//! Authorization codes: each is exchanged for tokens once, within a minute.

use secrecy::SecretString;
use sqlx::AssertSqlSafe;
use sqlx::Row;

use super::grant::{self, COLUMNS, Grant, NewGrant};
use super::token::{self, TokenPair};
use super::{CODE_MS, CODE_PREFIX, digest, digests, new_secret};
use crate::catalog::seal::Vault;
use crate::catalog::{Error, Result, change};
use crate::db::{Columns, Db};

/// What an authorization code is bound to, beside its grant.
#[derive(Clone, Copy, Debug)]
pub struct NewCode<'a> {
    /// As it was in the request.
    pub redirect_uri: &'a str,
    /// Of PKCE, by the method S256.
    pub challenge: &'a str,
}

/// A code that was presented and has not expired.
#[derive(Clone, Debug)]
pub struct AuthorizationCode {
    pub grant: Grant,
    pub redirect_uri: String,
    pub challenge: String,
}

/// Stores a grant with its authorization code, and returns the code.
///
/// # Errors
/// [`Error::Conflict`]: the session has ended, or there are as many grants as there may be.
pub async fn authorize(
    db: &Db,
    vault: &Vault,
    grant: &NewGrant<'_>,
    code: &NewCode<'_>,
    now_ms: i64,
) -> Result<SecretString> {
    let secret = new_secret(CODE_PREFIX)?;
    let mut tx = change::write(db).await?;
    let grant_id = grant::insert_in(&mut tx, vault, grant, now_ms).await?;
    sqlx::query(
        "insert into oauth_code (digest, grant_id, redirect_uri, challenge, expires_at)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(digest(vault, &secret))
    .bind(grant_id)
    .bind(code.redirect_uri)
    .bind(code.challenge)
    .bind(now_ms + CODE_MS)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(secret)
}

/// Exchanges a code for tokens, if `allow` does of the code as stored. `None`: there is no such code, or
/// it has expired. One that was exchanged before ends its grant: somebody else may have it.
///
/// # Errors
/// Those of `allow`; the code can then still be exchanged.
pub async fn redeem<E: From<Error>>(
    db: &Db,
    vault: &Vault,
    code: &str,
    now_ms: i64,
    allow: impl FnOnce(&AuthorizationCode) -> Result<(), E>,
) -> Result<Option<TokenPair>, E> {
    let digests = digests(vault, code);
    let found = find(db, &digests).await?;
    let Some(Stored { code, expires_at, is_redeemed }) = found else { return Ok(None) };
    if is_redeemed {
        grant::end(db, &code.grant).await?;
        return Ok(None);
    }
    if expires_at < now_ms {
        return Ok(None);
    }
    allow(&code)?;
    match exchange(db, vault, &code.grant, &digests, now_ms).await? {
        Some(tokens) => Ok(Some(tokens)),
        // Of two at the same moment, this is the second.
        None => {
            grant::end(db, &code.grant).await?;
            Ok(None)
        }
    }
}

struct Stored {
    code: AuthorizationCode,
    expires_at: i64,
    is_redeemed: bool,
}

async fn find(db: &Db, digests: &[String; 2]) -> Result<Option<Stored>> {
    let row = sqlx::query(AssertSqlSafe(format!(
        "select {COLUMNS}, c.redirect_uri as redirect_uri, c.challenge as challenge,
            c.expires_at as expires_at, c.redeemed_at as redeemed_at
         from oauth_code c join oauth_grant g on g.id = c.grant_id
         join attendee a on a.id = g.attendee_id where c.digest in ($1, $2)"
    )))
    .bind(&digests[0])
    .bind(&digests[1])
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let code = AuthorizationCode {
        grant: Grant::read(&row)?,
        redirect_uri: row.text("redirect_uri")?,
        challenge: row.text("challenge")?,
    };
    let redeemed_at: Option<i64> = row.try_get("redeemed_at")?;
    let expires_at = row.int("expires_at")?;
    Ok(Some(Stored { code, expires_at, is_redeemed: redeemed_at.is_some() }))
}

/// `None`: somebody has exchanged it since it was found.
async fn exchange(
    db: &Db,
    vault: &Vault,
    grant: &Grant,
    digests: &[String; 2],
    now_ms: i64,
) -> Result<Option<TokenPair>> {
    let mut tx = db.write().await?;
    if !grant::touch_in(&mut tx, &grant.id, now_ms).await? {
        return Ok(None);
    }
    let redeemed = sqlx::query(
        "update oauth_code set redeemed_at = $3 where digest in ($1, $2) and redeemed_at is null",
    )
    .bind(&digests[0])
    .bind(&digests[1])
    .bind(now_ms)
    .execute(&mut *tx)
    .await?;
    if redeemed.rows_affected() == 0 {
        return Ok(None);
    }
    let tokens = token::insert_pair(&mut tx, vault, &grant.id, now_ms).await?;
    tx.commit().await?;
    Ok(Some(tokens))
}
