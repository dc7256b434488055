//! Keys in bulk: for a number of people, or for a list of names.

use secrecy::SecretString;

use super::key::new_api_key;
use super::row::{Attendee, NewAttendee, insert};
use crate::catalog::audit::{self, Action, Actor};
use crate::catalog::limits::PERSON;
use crate::catalog::seal::Vault;
use crate::catalog::validate::{invalid, number, optional_line};
use crate::catalog::{Error, Noun, Result, change, event, new_id};
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
        .map(|(name, n)| optional_line("names", name, PERSON).map_err(|error| nth(n, error)))
        .collect::<Result<Vec<_>>>()?
        .into_iter();
    // Before others have to wait: all but the numbers.
    let mut issued = Vec::with_capacity(count as usize);
    let mut rows = Vec::with_capacity(count as usize);
    let now = by.at;
    for _ in 0..count {
        let new = Issued {
            attendee_id: new_id(),
            event_id: event_id.to_owned(),
            user_id: String::new(),
            display_name: names.next().unwrap_or_default(),
            api_key: new_api_key()?,
        };
        let attendee = Attendee {
            display_name: new.display_name.clone(),
            ..Attendee::new(new.attendee_id.clone(), event_id, now)
        };
        rows.push(NewAttendee::new(vault, attendee, &new.api_key)?);
        issued.push(new);
    }
    let mut tx = change::write(db).await?;
    event::name(&mut tx, &by.owner_id, event_id).await?;
    let last: i64 = sqlx::query_scalar(
        "select coalesce(max(cast(substr(user_id, 8) as bigint)), 0) from attendee
         where event_id = $1 and user_id like 'issued:%'",
    )
    .bind(event_id)
    .fetch_one(&mut *tx)
    .await?;
    for ((new, row), n) in issued.iter_mut().zip(&mut rows).zip(last + 1..) {
        new.user_id = format!("issued:{n}");
        row.attendee.user_id.clone_from(&new.user_id);
    }
    insert(&mut tx, &rows).await?;
    let ids: Vec<&str> = issued.iter().map(|new| new.attendee_id.as_str()).collect();
    change::record_all(&mut tx, Noun::Attendee, &ids).await?;
    let detail = format!("{count} keys");
    audit::record(&mut tx, by, Action::IssuedKeys, Noun::Event, event_id, &detail).await?;
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
