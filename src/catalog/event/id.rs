//! Ownership of event ids: an id belongs to the first owner who had an event with it, for
//! ever. Clients keep URLs and keys that contain it, and these must never lead to
//! another owner's backends.

use sqlx::{AnyConnection, Row};
use unicode_normalization::UnicodeNormalization as _;

use super::draft;
use crate::catalog::Result;
use crate::db::{Columns, Tx};

/// Characters that are looked at for an id.
const LONGEST_TYPED: usize = 1000;

/// The id of an event as somebody typed or pasted it: in any case, with any sign or none in its
/// middle, alone or in a link. `None` where there is none in the text.
pub fn id_in(typed: &str) -> Option<String> {
    let typed: String = typed.trim().chars().take(LONGEST_TYPED).collect();
    let id = match typed.rsplit_once("/event/") {
        Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        None => &typed,
    };
    let plain: String = id.nfkc().filter(|character| character.is_alphanumeric()).collect();
    let plain = plain.to_lowercase();
    let id = format!("{}-{}", plain.get(..4)?, plain.get(4..)?);
    draft::is_event_id(&id).then_some(id)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_however_it_is_given() {
        for given in [
            "a1b2-c3d4",
            " A1B2C3D4 ",
            "a1b2\u{2013}c3d4",
            "a1b2 c3d4",
            "https://proxy.example/event/a1b2-c3d4",
            "http://10.0.0.5:8910/event/a1b2-c3d4?test#top",
        ] {
            assert_eq!(id_in(given).as_deref(), Some("a1b2-c3d4"), "{given}");
        }
        for given in
            ["", "a1b2", "a1b2-c3d4-e5f6", "7QK4-M2XB", "ä1b2-c3d4", "https://proxy.example/"]
        {
            assert_eq!(id_in(given), None, "{given}");
        }
    }
}
