//! Keys in bulk: for a number of people, or for a list of names.

use secrecy::SecretString;

use super::{Actor, New, insert, new_api_key};
use crate::catalog::seal::Vault;
use crate::catalog::validate::{invalid, number, optional_line};
use crate::catalog::{Error, Noun, Result, audit, change, new_id};
use crate::db::Db;

/// Most keys that are issued in one transaction.
pub const MAX_ISSUED: u32 = 5_000;

/// A new attendee with their key.
#[derive(Clone, Debug)]
pub struct Issued {
    pub attendee_id: String,
    pub event_id: String,
    /// `issued:<n>`
    pub user_id: String,
    pub display_name: String,
    pub api_key: SecretString,
}

/// Makes as many attendees of an owner's event as `count` or `names` says,
/// whichever is more, called by `names` as far as those go; all or none.
pub async fn issue(
    db: &Db,
    vault: &Vault,
    by: &Actor,
    event_id: &str,
    count: u32,
    names: &[String],
) -> Result<Vec<Issued>> {
    let count = count.max(u32::try_from(names.len()).unwrap_or(u32::MAX));
    number("count", count, 1..=MAX_ISSUED)?;
    let mut names = (names.iter().zip(1..))
        .map(|(name, n)| optional_line("names", name, 128).map_err(|error| nth(n, error)))
        .collect::<Result<Vec<_>>>()?
        .into_iter();
    let mut tx = change::write(db).await?;
    let event = sqlx::query("select id from event where id = $1 and owner_id = $2")
        .bind(event_id)
        .bind(&by.owner_id)
        .fetch_optional(&mut *tx)
        .await?;
    if event.is_none() {
        return Err(Error::NotFound { noun: Noun::Event, name: event_id.to_owned() });
    }
    let last: i64 = sqlx::query_scalar(
        "select coalesce(max(cast(substr(user_id, 8) as bigint)), 0) from attendee
         where event_id = $1 and user_id like 'issued:%'",
    )
    .bind(event_id)
    .fetch_one(&mut *tx)
    .await?;
    let mut issued: Vec<Issued> = Vec::new();
    for n in last + 1..=last + i64::from(count) {
        let new = Issued {
            attendee_id: new_id(),
            event_id: event_id.to_owned(),
            user_id: format!("issued:{n}"),
            display_name: names.next().unwrap_or_default(),
            api_key: new_api_key()?,
        };
        let row = New {
            id: &new.attendee_id,
            event_id,
            user_id: &new.user_id,
            display_name: &new.display_name,
            key: &new.api_key,
        };
        insert(&mut tx, vault, row).await?;
        issued.push(new);
    }
    let ids: Vec<&str> = issued.iter().map(|new| new.attendee_id.as_str()).collect();
    change::record_all(&mut tx, Noun::Attendee, &ids).await?;
    let detail = format!("{count} keys");
    audit::record(&mut tx, by, "issued", Noun::Event, event_id, &detail).await?;
    tx.commit().await?;
    Ok(issued)
}

/// Says which of the names it is that cannot be taken.
fn nth(n: usize, error: Error) -> Error {
    match error {
        Error::Invalid { field, reason } => {
            invalid(field, format!("cannot be taken: number {n} {reason}"))
        }
        other => other,
    }
}
