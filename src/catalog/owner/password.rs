//! What owners sign in with, and who may. Hashes only: what makes and compares
//! them is `identity`.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{BY_ID, BY_NAME, Owner, find_row};
use crate::catalog::audit::{self, Action};
use crate::catalog::{Noun, Result, change};
use crate::db::{Columns, Db};

/// The owner `name`, and the hash of the password where one was set and they are active.
pub(crate) async fn hash_of(db: &Db, name: &str) -> Result<Option<(Owner, Option<String>)>> {
    active(find_row(db, BY_NAME, name).await?)
}

/// The same for the owner with this id.
pub(crate) async fn hash_of_id(db: &Db, id: &str) -> Result<Option<(Owner, Option<String>)>> {
    active(find_row(db, BY_ID, id).await?)
}

fn active(row: Option<AnyRow>) -> Result<Option<(Owner, Option<String>)>> {
    let Some(row) = row else { return Ok(None) };
    let owner = Owner::read(&row)?;
    let hash = if owner.active { row.try_get("password_hash")? } else { None };
    Ok(Some((owner, hash)))
}

/// Whether there is an active owner who has a password.
pub(crate) async fn is_any_set(db: &Db) -> Result<bool> {
    let row = sqlx::query(
        "select count(*) as n from owner where active = 1 and password_hash is not null",
    )
    .fetch_one(db.pool())
    .await?;
    Ok(row.int("n")? > 0)
}

/// Replaces the owner's own password.
pub(crate) async fn set(db: &Db, owner: &Owner, hash: &str, now_ms: i64) -> Result<()> {
    let mut tx = change::write(db).await?;
    sqlx::query("update owner set password_hash = $2 where id = $1")
        .bind(&owner.id)
        .bind(hash)
        .execute(&mut *tx)
        .await?;
    let (by, id) = (owner.actor(now_ms), &owner.id);
    audit::record(&mut tx, &by, Action::ChangedPassword, Noun::Owner, id, &owner.name).await?;
    Ok(tx.commit().await?)
}

/// Stores the same password under newer parameters: nothing that anybody did.
pub(crate) async fn rehash(db: &Db, owner_id: &str, old: &str, new: &str) -> Result<()> {
    sqlx::query("update owner set password_hash = $3 where id = $1 and password_hash = $2")
        .bind(owner_id)
        .bind(old)
        .bind(new)
        .execute(db.writer())
        .await?;
    Ok(())
}
