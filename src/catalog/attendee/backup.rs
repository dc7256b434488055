//! Attendees for a backup, and how they come back: with the key and the card that they had
//! where nobody else has them, under ids of their own.

use std::collections::HashSet;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::card;
use super::key::{self, API_KEY, new_api_key, place};
use super::row::{Attendee, NewAttendee, ROWS, insert, select};
use crate::catalog::seal::{self, Vault};
use crate::catalog::{Result, new_id};
use crate::db::{Columns, Db, Parameters, Tx, places};

/// All that is known of one attendee.
pub struct AttendeeRecord {
    pub attendee: Attendee,
    /// `None` where it cannot be opened.
    pub api_key: Option<SecretString>,
    /// Requests of the cap that they have used on the day asked for.
    pub used: u32,
    /// `None` where they have none, or its code is not known.
    pub card: Option<CardRecord>,
}

/// The card of an attendee, whom its code lets in.
pub struct CardRecord {
    pub code: SecretString,
    /// UTC milliseconds, as is the next.
    pub created_at: i64,
    pub claimed_at: Option<i64>,
}

/// An attendee to be written back, and what they have used of today's cap.
pub(crate) struct RestoreEntry {
    pub new: NewAttendee,
    pub used: u32,
    pub card: Option<RestoredCard>,
}

/// A card to be written back, sealed for its attendee's row.
pub(crate) struct RestoredCard {
    sealed: String,
    digest: String,
    created_at: i64,
    claimed_at: Option<i64>,
}

impl RestoredCard {
    pub(crate) fn new(vault: &Vault, attendee_id: &str, card: &CardRecord) -> Result<Self> {
        let code = card.code.expose_secret();
        Ok(Self {
            sealed: vault.seal(card::place(attendee_id), code)?,
            digest: card::digest(vault, code).hex(),
            created_at: card.created_at,
            claimed_at: card.claimed_at,
        })
    }
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
        ", api_key_sealed, coalesce(quota.spent, 0) as spent, code_sealed,
            claim_code.created_at as card_made_at, claimed_at
         from attendee join event on event.id = attendee.event_id
            left join claim_code on claim_code.attendee_id = attendee.id
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
    // The same goes for a card: they are given a new one.
    let code = row.try_get::<Option<String>, _>(card::CODE)?;
    let code = code.and_then(|sealed| card::open(vault, &attendee.id, &sealed).ok());
    let card = |code| -> Result<CardRecord> {
        let claimed_at = row.try_get("claimed_at")?;
        Ok(CardRecord { code, created_at: row.int("card_made_at")?, claimed_at })
    };
    let card = code.map(card).transpose()?;
    Ok(AttendeeRecord { attendee, api_key, used: row.count("spent")?, card })
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
                digests.extend(key::digests(vault, key).iter().map(|digest| (at, digest.hex())));
            }
            None => drop(not_free.insert(at)),
        }
    }
    not_free.extend(taken(connection, "attendee", "key_digest", &digests).await?);
    Ok(not_free)
}

/// The positions in `codes` of those that somebody's card has here.
pub(crate) async fn cards_taken(
    connection: &mut AnyConnection,
    vault: &Vault,
    codes: impl Iterator<Item = Option<&SecretString>>,
) -> Result<HashSet<usize>> {
    let mut digests = Vec::new();
    for (at, code) in codes.enumerate() {
        let Some(code) = code.map(SecretString::expose_secret) else { continue };
        digests.push((at, card::digest(vault, code).hex()));
        digests.extend(card::old_digest(vault, code).map(|digest| (at, digest.hex())));
    }
    taken(connection, card::TABLE, "digest", &digests).await
}

/// The positions that stand beside digests which a row of the table has in this column.
async fn taken(
    connection: &mut AnyConnection,
    table: &str,
    column: &str,
    digests: &[(usize, String)],
) -> Result<HashSet<usize>> {
    let mut found = HashSet::new();
    for batch in digests.chunks(ROWS) {
        let places = places(1, batch.len());
        let statement = format!("select {column} from {table} where {column} in ({places})");
        let mut query = sqlx::query_scalar(AssertSqlSafe(statement));
        for (_, digest) in batch {
            query = query.bind(digest);
        }
        let taken: HashSet<String> = query.fetch_all(&mut *connection).await?.into_iter().collect();
        found.extend(batch.iter().filter(|(_, digest)| taken.contains(digest)).map(|(at, _)| at));
    }
    Ok(found)
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
    restore_cards(tx, entries).await?;
    let used: Vec<_> = entries.iter().filter(|entry| entry.used > 0).collect();
    if used.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "insert into quota (attendee_id, day, granted, spent) values {}",
        Parameters::on(tx).rows(4, used.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    for RestoreEntry { new, used, .. } in used {
        let requests = i64::from(*used);
        query = query.bind(&new.attendee.id).bind(i64::from(today)).bind(requests).bind(requests);
    }
    query.execute(&mut **tx).await?;
    Ok(())
}

async fn restore_cards(tx: &mut Tx, entries: &[RestoreEntry]) -> Result<()> {
    let cards =
        entries.iter().filter_map(|entry| Some((&entry.new.attendee.id, entry.card.as_ref()?)));
    let cards: Vec<_> = cards.collect();
    if cards.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "insert into claim_code (attendee_id, digest, code_sealed, created_at, claimed_at)
         values {}",
        Parameters::on(tx).rows(5, cards.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    for (attendee_id, card) in cards {
        query = query
            .bind(attendee_id)
            .bind(&card.digest)
            .bind(&card.sealed)
            .bind(card.created_at)
            .bind(card.claimed_at);
    }
    query.execute(&mut **tx).await?;
    Ok(())
}
