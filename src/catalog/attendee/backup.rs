//! Attendees for a backup, and how they come back: with the key they had where nobody
//! else has it, under ids of their own.

use std::collections::HashSet;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::key::{self, API_KEY, new_api_key, place};
use super::row::{Attendee, NewAttendee, ROWS, insert, select};
use crate::catalog::seal::{self, Vault};
use crate::catalog::{Result, new_id};
use crate::db::{Columns, Db, Parameters, Tx};

/// All that is known of one attendee.
pub struct AttendeeRecord {
    pub attendee: Attendee,
    /// `None` where it cannot be opened.
    pub api_key: Option<SecretString>,
    /// Requests of the cap that they have used on the day asked for.
    pub used: u32,
}

/// An attendee to be written back, and what they have used of today's cap.
pub(crate) struct RestoreEntry {
    pub new: NewAttendee,
    pub used: u32,
}

/// How many attendees the owner's events have.
pub(crate) async fn count(db: &Db, owner_id: &str) -> Result<u32> {
    let row = sqlx::query(
        "select count(*) as n from attendee join event on event.id = attendee.event_id
         where event.owner_id = $1 and event.purge_at is null",
    )
    .bind(owner_id)
    .fetch_one(db.pool())
    .await?;
    Ok(row.count("n")?)
}

/// Every attendee of the owner's events, with what was used of `day`.
pub(crate) async fn all(
    db: &Db,
    vault: &Arc<Vault>,
    owner_id: &str,
    day: u32,
) -> Result<Vec<AttendeeRecord>> {
    let rows = sqlx::query(select(
        ", api_key_sealed, coalesce(quota.spent, 0) as spent
         from attendee join event on event.id = attendee.event_id
            left join quota on quota.attendee_id = attendee.id and quota.day = $2
         where event.owner_id = $1 and event.purge_at is null
         order by event_id, attendee.created_at, attendee.id",
    ))
    .bind(owner_id)
    .bind(i64::from(day))
    .fetch_all(db.pool())
    .await?;
    let vault = vault.clone();
    // Opening twenty thousand keys would hold up everything else on the runtime's thread.
    let open = move || rows.iter().map(|row| record(&vault, row)).collect();
    tokio::task::spawn_blocking(open).await.map_err(|_| seal::Error::Failed)?
}

fn record(vault: &Vault, row: &AnyRow) -> Result<AttendeeRecord> {
    let attendee = Attendee::read(row)?;
    // One that cannot be opened must not keep the rest out of a backup: its attendee
    // comes back with a new key.
    let api_key = vault.open(place(&attendee.id), &row.text(API_KEY)?).ok();
    Ok(AttendeeRecord { attendee, api_key, used: row.count("spent")? })
}

/// The positions in `keys` of those that cannot be kept here, because somebody has the key
/// already or there is none.
pub(crate) async fn not_free(
    connection: &mut AnyConnection,
    vault: &Vault,
    keys: impl Iterator<Item = Option<&SecretString>>,
) -> Result<HashSet<usize>> {
    let mut not_free = HashSet::new();
    let mut digests = Vec::new();
    for (at, key) in keys.enumerate() {
        match key {
            Some(key) => {
                let key = key.expose_secret();
                digests.push((at, key::digest(vault, key).hex()));
                digests.extend(key::old_digest(vault, key).map(|digest| (at, digest.hex())));
            }
            None => drop(not_free.insert(at)),
        }
    }
    for batch in digests.chunks(ROWS) {
        let places: Vec<_> = (1..=batch.len()).map(|n| format!("${n}")).collect();
        let statement =
            format!("select key_digest from attendee where key_digest in ({})", places.join(", "));
        let mut query = sqlx::query_scalar(AssertSqlSafe(statement));
        for (_, digest) in batch {
            query = query.bind(digest);
        }
        let taken: HashSet<String> = query.fetch_all(&mut *connection).await?.into_iter().collect();
        not_free
            .extend(batch.iter().filter(|(_, digest)| taken.contains(digest)).map(|(at, _)| at));
    }
    Ok(not_free)
}

/// One attendee as they are to be written back into `event_id`: with this key, or a new
/// one.
pub(crate) fn renewed(
    vault: &Vault,
    event_id: &str,
    attendee: Attendee,
    key: Option<SecretString>,
) -> Result<NewAttendee> {
    let key = key.map_or_else(new_api_key, Ok)?;
    let attendee = Attendee {
        id: new_id(),
        event_id: event_id.to_owned(),
        display_name: attendee.display_name.trim().to_owned(),
        ..attendee
    };
    NewAttendee::new(vault, attendee, &key)
}

/// Writes attendees back into events that are hidden, and what they used `today`.
/// In batches, each a transaction of its own, so that others can write in between.
pub(crate) async fn restore(db: &Db, entries: &[RestoreEntry], today: u32) -> Result<()> {
    for batch in entries.chunks(ROWS) {
        let mut tx = db.write().await?;
        restore_in(&mut tx, batch, today).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn restore_in(tx: &mut Tx, entries: &[RestoreEntry], today: u32) -> Result<()> {
    insert(tx, entries.iter().map(|entry| &entry.new)).await?;
    let used: Vec<_> = entries.iter().filter(|entry| entry.used > 0).collect();
    if used.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "insert into quota (attendee_id, day, granted, spent) values {}",
        Parameters::on(tx).rows(4, used.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    for RestoreEntry { new, used } in used {
        let requests = i64::from(*used);
        query = query.bind(&new.attendee.id).bind(i64::from(today)).bind(requests).bind(requests);
    }
    query.execute(&mut **tx).await?;
    Ok(())
}
