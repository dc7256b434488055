//! Tombstones of deleted attendees who had joined by themselves. Without one, they would be
//! created again when they come back, with a fresh daily cap.
//!
//! A tombstone holds the user id (for a shared code the digest that stands for event and name), the id
//! by which the audit trail speaks of them, and the count of the day of deletion; no name. It goes with
//! its event.

use sqlx::{AnyConnection, Row};

use super::key::new_api_key;
use super::not_found;
use super::row::{Attendee, NewAttendee, insert};
use crate::catalog::audit::{self, Action, Actor};
use crate::catalog::seal::Vault;
use crate::catalog::{Noun, Result, change, new_id};
use crate::db::{Columns, Db, Tx};

/// A deleted attendee, who may not join again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// `shared:<digest>`, `github:<id>` or `gateway:<provider>:<id>`
    pub user_id: String,
    /// The UTC day of the deletion, in days since 1970, and the requests of it that
    /// were used by then.
    pub day: u32,
    pub used: u32,
}

/// Keeps the attendee's digest and count before their row is deleted.
pub(super) async fn bury(tx: &mut Tx, id: &str, today: u32) -> Result<()> {
    // What is leased counts: nobody may pass the cap by being let in again.
    sqlx::query(
        "insert into deleted_attendee (event_id, user_id, attendee_id, day, used)
         select event_id, user_id, id, $2, coalesce((select granted from quota
            where attendee_id = $1 and quota.day = $2), 0)
         from attendee
         where id = $1 and user_id not like 'issued:%' and user_id not like 'gone:%'
         on conflict (event_id, user_id) do update set attendee_id = excluded.attendee_id,
            day = excluded.day, used = excluded.used
            + case when deleted_attendee.day = excluded.day then deleted_attendee.used else 0 end",
    )
    .bind(id)
    .bind(i64::from(today))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Which of these two user ids was deleted from the event.
pub(super) async fn find(
    connection: &mut AnyConnection,
    event_id: &str,
    user_ids: [&str; 2],
) -> Result<Option<String>> {
    let found = sqlx::query_scalar(
        "select user_id from deleted_attendee where event_id = $1 and user_id in ($2, $3)",
    )
    .bind(event_id)
    .bind(user_ids[0])
    .bind(user_ids[1])
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// Those who were deleted from an owner's event, the latest day first.
pub async fn list(db: &Db, owner_id: &str, event_id: &str) -> Result<Vec<Deleted>> {
    let rows = sqlx::query(
        "select user_id, day, used from deleted_attendee
         join event on event.id = deleted_attendee.event_id
         where event.owner_id = $1 and event_id = $2 and event.purge_at is null
         order by day desc, user_id",
    )
    .bind(owner_id)
    .bind(event_id)
    .fetch_all(db.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Deleted {
                user_id: row.text("user_id")?,
                day: row.count("day")?,
                used: row.count("used")?,
            })
        })
        .collect()
}

/// Lets somebody join again under the name that they had, with what they used of
/// that day's cap. They get their name back when they call. What the audit trail says of them goes on
/// under their new id.
///
/// # Errors
/// [`Error::NotFound`](crate::catalog::Error::NotFound) where nobody of that user id
/// is deleted, also where the event is another owner's.
pub async fn let_in_again(
    db: &Db,
    vault: &Vault,
    by: &Actor,
    event_id: &str,
    user_id: &str,
) -> Result<()> {
    let mut tx = change::write(db).await?;
    let tombstone = sqlx::query(
        "select attendee_id, day, used, event.name from deleted_attendee
         join event on event.id = deleted_attendee.event_id
         where event.owner_id = $1 and event_id = $2 and user_id = $3
           and event.purge_at is null",
    )
    .bind(&by.owner_id)
    .bind(event_id)
    .bind(user_id)
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| not_found(user_id))?;
    sqlx::query("delete from deleted_attendee where event_id = $1 and user_id = $2")
        .bind(event_id)
        .bind(user_id)
        .execute(&mut *tx)
        .await?;
    let id = new_id();
    let attendee =
        Attendee { user_id: user_id.to_owned(), ..Attendee::new(id.clone(), event_id, by.at) };
    insert(&mut tx, [&NewAttendee::new(vault, attendee, &new_api_key()?)?]).await?;
    sqlx::query("insert into quota (attendee_id, day, granted, spent) values ($1, $2, $3, $3)")
        .bind(&id)
        .bind(tombstone.try_get::<i64, _>("day")?)
        .bind(tombstone.try_get::<i64, _>("used")?)
        .execute(&mut *tx)
        .await?;
    sqlx::query("update audit set noun_id = $2 where noun = 'attendee' and noun_id = $1")
        .bind(tombstone.try_get::<Option<String>, _>("attendee_id")?)
        .bind(&id)
        .execute(&mut *tx)
        .await?;
    // Replicas remember by the user id that nobody is to be admitted.
    change::record_all(&mut tx, Noun::Attendee, &[user_id, &id]).await?;
    let detail = format!("{user_id} of {}", tombstone.text("name")?);
    audit::record(&mut tx, by, Action::LetInAgain, Noun::Attendee, &id, &detail).await?;
    tx.commit().await?;
    Ok(())
}
