//! Ownership of event ids: an id belongs to the first owner who had an event with it, for
//! ever. Clients keep URLs and keys that contain it, and these must never lead to
//! another owner's backends.

use sqlx::{AnyConnection, Row};

use super::draft;
use crate::catalog::Result;
use crate::db::{Columns, Tx};

/// Whether an owner may use an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody ever had it, or the owner had and the event is gone.
    Free,
    /// An event of the owner's has it.
    Present,
    /// Their event of this id was deleted, and its rows are still being removed.
    Purging,
    /// It is another owner's, whether their event still exists or not.
    Foreign,
}

/// What the owner may do with the id.
pub async fn standing(
    connection: &mut AnyConnection,
    owner_id: &str,
    id: &str,
) -> Result<Standing> {
    let row = sqlx::query(
        "select event_id.owner_id, event.id as present, purge_at
         from event_id left join event on event.id = event_id.id where event_id.id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(Standing::Free) };
    Ok(if row.text("owner_id")? != owner_id {
        Standing::Foreign
    } else if row.try_get::<Option<String>, _>("present")?.is_none() {
        Standing::Free
    } else if row.try_get::<Option<i64>, _>("purge_at")?.is_some() {
        Standing::Purging
    } else {
        Standing::Present
    })
}

/// Gives the id to the owner, who may have it already.
pub(super) async fn reserve(tx: &mut Tx, owner_id: &str, id: &str) -> Result<()> {
    sqlx::query("insert into event_id (id, owner_id) values ($1, $2) on conflict (id) do nothing")
        .bind(id)
        .bind(owner_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// A random id that nobody ever had.
pub(super) async fn unused(tx: &mut Tx) -> Result<String> {
    loop {
        let id = draft::random_id()?;
        let taken = sqlx::query("select id from event_id where id = $1")
            .bind(&id)
            .fetch_optional(&mut **tx)
            .await?;
        if taken.is_none() {
            return Ok(id);
        }
    }
}
