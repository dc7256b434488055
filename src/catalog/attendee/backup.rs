//! Attendees as a backup holds them, and how they come back: with the key they
//! had where nobody else has it, under ids of their own.

use std::collections::HashSet;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::insert::insert_all;
use super::{API_KEY, Attendee, new_api_key, place};
use crate::catalog::seal::{self, Vault};
use crate::catalog::validate::{invalid, number, optional_line};
use crate::catalog::{Result, new_id};
use crate::db::{Columns, Db, Parameters, Tx};

pub use super::insert::Row;

/// All that is known of one attendee.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// By which figures name them.
    pub id: String,
    pub event: String,
    pub user_id: String,
    pub display_name: String,
    /// None: a new one is made.
    #[serde(serialize_with = "exposed")]
    pub api_key: Option<SecretString>,
    pub active: bool,
    pub daily_request_cap: Option<u32>,
    /// UTC milliseconds, as are the others.
    pub created_at: i64,
    pub last_seen_at: Option<i64>,
    pub last_error: Option<String>,
    pub last_error_at: Option<i64>,
    /// What they have used of the cap on the day of the backup.
    pub used: Option<Used>,
}

/// Requests of a UTC day (days since 1970).
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    pub day: u32,
    pub requests: u32,
}

/// Writes a secret into a backup, which is sealed as a whole.
pub fn exposed<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(SecretString::expose_secret).serialize(to)
}

/// Milliseconds of the last instant that a calendar can hold.
const LAST_MS: i64 = 253_402_207_200_000;

/// Rows of one statement.
const ROWS: usize = 128;

const MAX_ISSUED_NUMBER: u32 = 1_000_000_000;

impl Copy {
    /// Whether the fields by themselves meet the rules.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) for the first that does not.
    pub fn check(&self) -> Result<()> {
        check_user_id(&self.user_id)?;
        optional_line("display_name", &self.display_name, 128)?;
        if let Some(key) = &self.api_key {
            check_api_key(key.expose_secret())?;
        }
        if let Some(cap) = self.daily_request_cap {
            number("daily_request_cap", cap, 1..=100_000)?;
        }
        for (field, at) in [
            ("created_at", Some(self.created_at)),
            ("last_seen_at", self.last_seen_at),
            ("last_error_at", self.last_error_at),
        ] {
            if at.is_some_and(|at| !(0..=LAST_MS).contains(&at)) {
                return Err(invalid(field, "is no instant since 1970"));
            }
        }
        optional_line("last_error", self.last_error.as_deref().unwrap_or_default(), 64)?;
        if let Some(used) = self.used {
            number("used", used.requests, 0..=100_000)?;
        }
        Ok(())
    }
}

/// A kind and what tells people of it apart. Issued ones are numbered, and the
/// next number is found by the greatest.
fn check_user_id(text: &str) -> Result<()> {
    optional_line("user_id", text, 200)?;
    let (kind, rest) = text.split_once(':').unwrap_or_default();
    let is_kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = || {
        rest.bytes().all(|byte| byte.is_ascii_digit())
            && rest.parse::<u32>().is_ok_and(|number| number < MAX_ISSUED_NUMBER)
    };
    if !is_kind || rest.is_empty() || text.trim() != text || (kind == "issued" && !is_number()) {
        return Err(invalid("user_id", "is not of the form issued:1, github:2 or shared:…"));
    }
    Ok(())
}

/// What can be sent in a header, cannot be guessed, and is not taken for a
/// shared code.
pub fn check_api_key(key: &str) -> Result<()> {
    let is_sendable = key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    if !(16..=512).contains(&key.len()) || !is_sendable {
        return Err(invalid("api_key", "must have 16 to 512 visible characters, without an @"));
    }
    Ok(())
}

/// How many attendees the owner's events have.
pub async fn count(db: &Db, owner_id: &str) -> Result<u32> {
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
pub async fn copies(db: &Db, vault: &Arc<Vault>, owner_id: &str, day: u32) -> Result<Vec<Copy>> {
    let rows = sqlx::query(
        "select attendee.id, event_id, user_id, display_name, attendee.active,
            attendee.daily_request_cap, attendee.created_at, last_seen_at, last_error,
            last_error_at, api_key_sealed, coalesce(quota.spent, 0) as spent
         from attendee join event on event.id = attendee.event_id
            left join quota on quota.attendee_id = attendee.id and quota.day = $2
         where event.owner_id = $1 and event.purge_at is null
         order by event_id, attendee.created_at, attendee.id",
    )
    .bind(owner_id)
    .bind(i64::from(day))
    .fetch_all(db.pool())
    .await?;
    let vault = vault.clone();
    // Opening twenty thousand keys would hold up everything else on the runtime's thread.
    let open = move || rows.iter().map(|row| copy(&vault, row, day)).collect();
    tokio::task::spawn_blocking(open).await.map_err(|_| seal::Error::Failed)?
}

fn copy(vault: &Vault, row: &AnyRow, day: u32) -> Result<Copy> {
    let attendee = Attendee::read(row)?;
    // One that cannot be opened must not keep the rest out of a backup: its attendee
    // comes back with a new key.
    let key = vault.open(place(&attendee.id), &row.text(API_KEY)?).ok();
    let requests = row.count("spent")?;
    Ok(Copy {
        id: attendee.id,
        event: attendee.event_id,
        user_id: attendee.user_id,
        display_name: attendee.display_name,
        api_key: key,
        active: attendee.active,
        daily_request_cap: attendee.daily_request_cap,
        created_at: attendee.created_at,
        last_seen_at: attendee.last_seen_at,
        last_error: attendee.last_error,
        last_error_at: attendee.last_error_at,
        used: (requests > 0).then_some(Used { day, requests }),
    })
}

/// Which of these attendees cannot have their key here, because somebody has it
/// already, or have none: by their place in `copies`.
pub async fn without_key(
    connection: &mut AnyConnection,
    vault: &Vault,
    copies: &[Copy],
) -> Result<HashSet<usize>> {
    let mut without = HashSet::new();
    let mut digests = Vec::new();
    for (at, copy) in copies.iter().enumerate() {
        match &copy.api_key {
            Some(key) => {
                let key = key.expose_secret();
                digests.push((at, vault.digest(key).hex()));
                digests.extend(vault.old_digest(key).map(|digest| (at, digest.hex())));
            }
            None => drop(without.insert(at)),
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
        without.extend(batch.iter().filter(|(_, digest)| taken.contains(digest)).map(|(at, _)| at));
    }
    Ok(without)
}

/// One attendee as they are to be written back: with their key, or a new one.
pub fn to_row(vault: &Vault, copy: &Copy, keeps_key: bool) -> Result<Row> {
    let key = match &copy.api_key {
        Some(key) if keeps_key => key.clone(),
        _ => new_api_key()?,
    };
    let mut row = Row::new(vault, new_id(), &key, copy.created_at)?;
    row.user_id.clone_from(&copy.user_id);
    copy.display_name.trim().clone_into(&mut row.display_name);
    row.active = copy.active;
    row.daily_request_cap = copy.daily_request_cap;
    row.last_seen_at = copy.last_seen_at;
    row.last_error.clone_from(&copy.last_error);
    row.last_error_at = copy.last_error_at;
    Ok(row)
}

/// Writes attendees back into `event_id`, which is hidden, and what they used today.
/// In batches, each a transaction of its own, so that others can write in between.
pub async fn restore(
    db: &Db,
    event_id: &str,
    rows: &[(Row, Option<Used>)],
    today: u32,
) -> Result<()> {
    for rows in rows.chunks(ROWS) {
        let mut tx = db.write().await?;
        restore_in(&mut tx, event_id, rows, today).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn restore_in(
    tx: &mut Tx,
    event_id: &str,
    rows: &[(Row, Option<Used>)],
    today: u32,
) -> Result<()> {
    let used: Vec<_> = rows
        .iter()
        .filter_map(|(row, used)| Some((&row.id, used.filter(|used| used.day == today)?.requests)))
        .collect();
    insert_all(tx, event_id, rows.iter().map(|(row, _)| row)).await?;
    if used.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "insert into quota (attendee_id, day, granted, spent) values {}",
        Parameters::on(tx).rows(4, used.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    for (id, requests) in used {
        let requests = i64::from(requests);
        query = query.bind(id.clone()).bind(i64::from(today)).bind(requests).bind(requests);
    }
    query.execute(&mut **tx).await?;
    Ok(())
}
