//! Access tokens, by which clients call, and refresh tokens, by which they get others.

use secrecy::SecretString;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::grant::{self, COLUMNS, Grant};
use super::{ACCESS_MS, ACCESS_PREFIX, GRACE_MS, REFRESH_PREFIX, digest, digests, new_secret};
use crate::catalog::seal::Vault;
use crate::catalog::{Digest, Error, Result};
use crate::db::{Columns, Db, Tx};

/// What a client gets, once.
pub struct TokenPair {
    pub access: SecretString,
    pub refresh: SecretString,
}

/// An access token that is stored, expired or not.
#[derive(Clone, Debug)]
pub struct AccessToken {
    pub grant: Grant,
    /// UTC milliseconds.
    pub expires_at: i64,
}

/// Access tokens of one grant that are kept, the latest: each window of a client has one.
const ACCESS_KEPT: i64 = 32;

/// Refresh tokens of one grant, those included that were used within a week: a client that needs more
/// refreshes without an end. None is dropped before, so that its second use is noticed.
const MOST_REFRESH: i64 = 500;

pub(super) async fn insert_pair(
    tx: &mut Tx,
    vault: &Vault,
    grant_id: &str,
    now_ms: i64,
) -> Result<TokenPair> {
    let pair =
        TokenPair { access: new_secret(ACCESS_PREFIX)?, refresh: new_secret(REFRESH_PREFIX)? };
    sqlx::query(
        "insert into oauth_token (digest, grant_id, kind, created_at, expires_at)
         values ($1, $3, 'access', $4, $5), ($2, $3, 'refresh', $4, null)",
    )
    .bind(digest(vault, &pair.access))
    .bind(digest(vault, &pair.refresh))
    .bind(grant_id)
    .bind(now_ms)
    .bind(now_ms + ACCESS_MS)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "delete from oauth_token where digest in (
            select digest from oauth_token where grant_id = $1 and kind = 'access'
            order by created_at desc, digest limit 1000 offset $2)",
    )
    .bind(grant_id)
    .bind(ACCESS_KEPT)
    .execute(&mut **tx)
    .await?;
    Ok(pair)
}

/// The access token with one of these digests, one or two: that of the current master key and, while
/// keys are being changed, that of the old one.
pub async fn find_access(db: &Db, digests: &[Digest]) -> Result<Option<AccessToken>> {
    let (Some(current), Some(old)) = (digests.first(), digests.last()) else { return Ok(None) };
    let row = find(db, "access", &[current.hex(), old.hex()]).await?;
    row.map(|row| Ok(AccessToken { grant: Grant::read(&row)?, expires_at: row.int("expires_at")? }))
        .transpose()
}

/// Exchanges a refresh token for another pair of tokens, if `allow` does of its grant. `None`: there is
/// no such token. One that was exchanged more than [`GRACE_MS`] ago ends its grant: it may have been
/// stolen, from whoever used it first or by them. So does one too many.
///
/// # Errors
/// Those of `allow`; the token can then still be exchanged.
pub async fn rotate<E: From<Error>>(
    db: &Db,
    vault: &Vault,
    refresh: &str,
    now_ms: i64,
    allow: impl FnOnce(&Grant) -> Result<(), E>,
) -> Result<Option<TokenPair>, E> {
    let digests = digests(vault, refresh);
    let Some(row) = find(db, "refresh", &digests).await? else { return Ok(None) };
    let grant = Grant::read(&row)?;
    let rotated_at: Option<i64> = row.try_get("rotated_at").map_err(Error::from)?;
    if rotated_at.is_some_and(|at| at < now_ms - GRACE_MS) {
        grant::end(db, &grant).await?;
        return Ok(None);
    }
    allow(&grant)?;
    if refresh_tokens(db, &grant).await? >= MOST_REFRESH {
        tracing::warn!(attendee = grant.attendee_id, "a client refreshed without an end");
        grant::end(db, &grant).await?;
        return Ok(None);
    }
    Ok(exchange(db, vault, &grant, &digests, now_ms).await?)
}

async fn refresh_tokens(db: &Db, grant: &Grant) -> Result<i64> {
    let count = sqlx::query_scalar(
        "select count(*) from oauth_token where grant_id = $1 and kind = 'refresh'",
    )
    .bind(&grant.id)
    .fetch_one(db.pool())
    .await?;
    Ok(count)
}

/// `None`: the grant has ended since it was found.
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
    sqlx::query(
        "update oauth_token set rotated_at = $3 where digest in ($1, $2) and rotated_at is null",
    )
    .bind(&digests[0])
    .bind(&digests[1])
    .bind(now_ms)
    .execute(&mut *tx)
    .await?;
    let pair = insert_pair(&mut tx, vault, &grant.id, now_ms).await?;
    tx.commit().await?;
    Ok(Some(pair))
}

/// Ends the grant of an access or refresh token, if `allow` does of the grant. One that is not known
/// has ended already.
///
/// # Errors
/// Those of `allow`.
pub async fn revoke<E: From<Error>>(
    db: &Db,
    vault: &Vault,
    token: &str,
    allow: impl FnOnce(&Grant) -> Result<(), E>,
) -> Result<(), E> {
    let kind = if token.starts_with(ACCESS_PREFIX) { "access" } else { "refresh" };
    let Some(row) = find(db, kind, &digests(vault, token)).await? else { return Ok(()) };
    let grant = Grant::read(&row)?;
    allow(&grant)?;
    Ok(grant::end(db, &grant).await?)
}

async fn find(db: &Db, kind: &'static str, digests: &[String; 2]) -> Result<Option<AnyRow>> {
    let row = sqlx::query(AssertSqlSafe(format!(
        "select {COLUMNS}, t.expires_at as expires_at, t.rotated_at as rotated_at
         from oauth_token t join oauth_grant g on g.id = t.grant_id
         join attendee a on a.id = g.attendee_id where t.digest in ($1, $2) and t.kind = $3"
    )))
    .bind(&digests[0])
    .bind(&digests[1])
    .bind(kind)
    .fetch_optional(db.pool())
    .await?;
    Ok(row)
}
