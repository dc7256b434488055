//! Redeeming a one-time link: it makes the first administrator, or sets the
//! password of the owner that it was made for.

use sqlx::Row;

use super::{ALIAS, BY_ID, LOCAL, Owner, api_token, find_row, line};
use crate::catalog::validate::invalid;
use crate::catalog::{Digest, Noun, Result, audit, change, new_id};
use crate::db::{Db, Tx};

/// What a link is good for.
#[derive(Debug)]
pub enum Pending {
    /// Becoming an administrator, under a name of one's choice.
    Administrator,
    /// Setting the password of this owner.
    Password(Owner),
}

pub(super) const LIVE: &str = "select owner_id from setup_link
                    where digest = $1 and used_at is null and expires_at > $2";

/// What the link with this token is good for; `None` once it was used or has
/// expired.
pub async fn pending(db: &Db, token: &str, now_ms: i64) -> Result<Option<Pending>> {
    let row = sqlx::query(LIVE)
        .bind(Digest::sha256(token.as_bytes()).hex())
        .bind(now_ms)
        .fetch_optional(db.pool())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let Some(owner_id) = row.try_get::<Option<String>, _>("owner_id")? else {
        return Ok(Some(Pending::Administrator));
    };
    let owner = find_row(db, BY_ID, &owner_id).await?.map(|row| Owner::read(&row)).transpose()?;
    Ok(owner.filter(|owner| owner.active).map(Pending::Password))
}

/// Uses the link up. `name` counts where it makes an administrator: they take
/// over the rows of [`LOCAL`], where nobody signs in as that. `None`: the link
/// is not good any more.
///
/// # Errors
/// [`Invalid`](crate::catalog::Error::Invalid): another owner has that name.
pub async fn redeem(
    db: &Db,
    token: &str,
    name: &str,
    hash: &str,
    now_ms: i64,
) -> Result<Option<Owner>> {
    let digest = Digest::sha256(token.as_bytes()).hex();
    let mut tx = change::write(db).await?;
    let row = sqlx::query(LIVE).bind(&digest).bind(now_ms).fetch_optional(&mut *tx).await?;
    let Some(row) = row else { return Ok(None) };
    let (id, action) = match row.try_get::<Option<String>, _>("owner_id")? {
        Some(id) => (id, "set password"),
        None => (
            administrator(&mut tx, &line("name", name, 64)?, now_ms).await?,
            "became administrator",
        ),
    };
    let row = sqlx::query(
        "update owner set password_hash = $2 where id = $1 and active = 1
         returning id, name, role, active",
    )
    .bind(&id)
    .bind(hash)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let owner = Owner::read(&row)?;
    // Who lost a password may have lost more.
    api_token::revoke_all_in(&mut tx, &id).await?;
    sqlx::query("update setup_link set used_at = $2 where digest = $1")
        .bind(&digest)
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
    change::record(&mut tx, Noun::Owner, &id).await?;
    audit::record(&mut tx, &owner.actor(now_ms), action, Noun::Owner, &id, &owner.name).await?;
    tx.commit().await?;
    Ok(Some(owner))
}

/// The row that becomes the administrator `name`. Further links of that kind
/// are void from here on: there is somebody who can be asked.
async fn administrator(tx: &mut Tx, name: &str, now_ms: i64) -> Result<String> {
    sqlx::query("delete from setup_link where owner_id is null and used_at is null")
        .execute(&mut **tx)
        .await?;
    let local: Option<String> = sqlx::query_scalar(
        "select id from owner where name = $1 and password_hash is null and active = 1",
    )
    .bind(LOCAL)
    .fetch_optional(&mut **tx)
    .await?;
    let taken: Option<String> = sqlx::query_scalar(
        "select id from owner where name = $1
         union select value from meta where name = $2 and $1 = $3",
    )
    .bind(name)
    .bind(ALIAS)
    .bind(LOCAL)
    .fetch_optional(&mut **tx)
    .await?;
    if taken.is_some() && taken != local {
        return Err(invalid("name", "is another owner's"));
    }
    let id = match local {
        Some(id) => {
            sqlx::query("update owner set name = $2, role = 'administrator' where id = $1")
                .bind(&id)
                .bind(name)
                .execute(&mut **tx)
                .await?;
            id
        }
        None => {
            let id = new_id();
            sqlx::query(
                "insert into owner (id, name, role, active, password_hash, created_at)
                 values ($1, $2, 'administrator', 1, null, $3)",
            )
            .bind(&id)
            .bind(name)
            .bind(now_ms)
            .execute(&mut **tx)
            .await?;
            id
        }
    };
    sqlx::query("insert into meta (name, value) values ($1, $2) on conflict (name) do nothing")
        .bind(ALIAS)
        .bind(&id)
        .execute(&mut **tx)
        .await?;
    Ok(id)
}
