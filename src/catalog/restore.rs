//! What an owner has uploaded to restore, until they confirm it: one a person,
//! sealed, found only by the browser session that uploaded it.
//!
//! A row and not memory, so that whichever replica is asked next has it.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::audit::Actor;
use super::seal::{self, Place, Vault};
use super::{Result, new_id};
use crate::db::{Columns, Db};

/// How long it waits.
const WAITS_MS: i64 = 30 * 60_000;

fn place(id: &str) -> Place<'_> {
    Place { table: "restore", row: id, column: "archive_sealed" }
}

/// Keeps `archive` instead of what this owner had uploaded before; its id.
pub(crate) async fn keep(
    db: &Db,
    vault: &Arc<Vault>,
    by: &Actor,
    session: &str,
    archive: SecretString,
) -> Result<String> {
    let id = new_id();
    let sealed = off_the_runtime(vault, {
        let id = id.clone();
        move |vault| vault.seal(place(&id), archive.expose_secret())
    })
    .await?;
    let mut tx = db.write().await?;
    sqlx::query("delete from restore where owner_id = $1 or at < $2")
        .bind(&by.owner_id)
        .bind(by.at - WAITS_MS)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "insert into restore (owner_id, session, id, at, archive_sealed)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(&by.owner_id)
    .bind(session)
    .bind(&id)
    .bind(by.at)
    .bind(sealed)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(id)
}

/// What this session has uploaded under this id; none after half an hour.
pub(crate) async fn find(
    db: &Db,
    vault: &Arc<Vault>,
    by: &Actor,
    session: &str,
    id: &str,
) -> Result<Option<SecretString>> {
    let row = sqlx::query(
        "select archive_sealed from restore
         where owner_id = $1 and session = $2 and id = $3 and at >= $4",
    )
    .bind(&by.owner_id)
    .bind(session)
    .bind(id)
    .bind(by.at - WAITS_MS)
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (id, sealed) = (id.to_owned(), row.text("archive_sealed")?);
    let opened = off_the_runtime(vault, move |vault| vault.open(place(&id), &sealed)).await;
    // What an earlier master key sealed is uploaded again.
    Ok(opened.ok())
}

/// As large as a file may be, it would hold up everything else on its thread.
async fn off_the_runtime<T: Send + 'static>(
    vault: &Arc<Vault>,
    work: impl FnOnce(&Vault) -> std::result::Result<T, seal::Error> + Send + 'static,
) -> std::result::Result<T, seal::Error> {
    let vault = vault.clone();
    tokio::task::spawn_blocking(move || work(&vault)).await.map_err(|_| seal::Error::Failed)?
}

/// Forgets what the owner has uploaded, and what nobody confirmed in time.
pub(crate) async fn discard(db: &Db, by: &Actor) -> Result<()> {
    sqlx::query("delete from restore where owner_id = $1 or at < $2")
        .bind(&by.owner_id)
        .bind(by.at - WAITS_MS)
        .execute(db.writer())
        .await?;
    Ok(())
}
