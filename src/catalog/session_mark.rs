//! How the server of a resource deals with sessions, as the proxy has found out by
//! trying it: for the data plane, and for the resource's page.
//!
//! A mark belongs to the endpoint that was tried: it goes when the endpoint changes.
//! It is no setting, so it is not in backups.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{Digest, Noun, Result, change};
use crate::db::{Columns, Db, Tx};

/// How one server deals with sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The id that it gives to everybody, as a digest.
    pub constant: Option<Digest>,
    /// Its load balancer's cookies were larger than the proxy keeps.
    pub has_large_affinity: bool,
}

/// The marks of all resources that have one, by the resource's id.
pub async fn all(db: &mut AnyConnection) -> Result<HashMap<String, Mark>> {
    let rows =
        sqlx::query("select resource_id, constant_digest, has_large_affinity from session_mark")
            .fetch_all(db)
            .await?;
    let read = |row: &AnyRow| {
        let constant: Option<String> = row.try_get("constant_digest")?;
        let constant = constant.as_deref().and_then(Digest::from_hex);
        let has_large_affinity = row.flag("has_large_affinity")?;
        Ok((row.text("resource_id")?, Mark { constant, has_large_affinity }))
    };
    rows.iter().map(read).collect()
}

/// The mark of one resource, as the store has it at this instant.
pub async fn of(db: &Db, resource_id: &str) -> Result<Mark> {
    let row = sqlx::query(
        "select constant_digest, has_large_affinity from session_mark where resource_id = $1",
    )
    .bind(resource_id)
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(Mark::default()) };
    let constant: Option<String> = row.try_get("constant_digest")?;
    let constant = constant.as_deref().and_then(Digest::from_hex);
    Ok(Mark { constant, has_large_affinity: row.flag("has_large_affinity")? })
}

/// Notes that the resource's server gives everybody the session of this id.
pub async fn set_constant(db: &Db, resource_id: &str, id: Digest) -> Result<()> {
    if of(db, resource_id).await?.constant == Some(id) {
        return Ok(());
    }
    write(
        db,
        "insert into session_mark (resource_id, constant_digest)
         select id, cast($2 as text) from resource where id = $1
         on conflict (resource_id) do update set constant_digest = excluded.constant_digest",
        resource_id,
        Some(id),
    )
    .await
}

/// Notes that the cookies of the resource's load balancer are too large to keep.
pub async fn set_large_affinity(db: &Db, resource_id: &str) -> Result<()> {
    if of(db, resource_id).await?.has_large_affinity {
        return Ok(());
    }
    write(
        db,
        "insert into session_mark (resource_id, has_large_affinity)
         select id, 1 from resource where id = $1
         on conflict (resource_id) do update set has_large_affinity = 1",
        resource_id,
        None,
    )
    .await
}

async fn write(
    db: &Db,
    statement: &'static str,
    resource_id: &str,
    id: Option<Digest>,
) -> Result<()> {
    let mut tx = change::write(db).await?;
    let mut query = sqlx::query(statement).bind(resource_id);
    if let Some(id) = id {
        query = query.bind(id.hex());
    }
    query.execute(&mut *tx).await?;
    change::record(&mut tx, Noun::Resource, resource_id).await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets what was found out of a resource whose endpoint changes.
pub(super) async fn forget(tx: &mut Tx, resource_id: &str) -> Result<()> {
    sqlx::query("delete from session_mark where resource_id = $1")
        .bind(resource_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
