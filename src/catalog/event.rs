//! Events: time windows with caps, and the resources that attendees may use
//! while one is open.

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::SecretString;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::audit::{self, Actor};
use super::resource::{self, Resource};
use super::seal::{Place, Vault};
use super::validate::{invalid, quoted};
use super::{Error, Noun, Outcome, Result, Saved, change};
use crate::clock::now_ms;
use crate::db::{Columns, Db, Tx};

pub mod control;
mod draft;
pub mod guesses;
pub mod registration;
mod window;

pub use draft::{Draft, MAX_LINKED, propose_code};
pub use registration::Shut;
pub use window::Window;

#[derive(Clone, Debug)]
pub struct Event {
    /// `xxxx-xxxx`, lower-case hexadecimal.
    pub id: String,
    pub owner_id: String,
    pub name: String,
    /// Markdown.
    pub description: String,
    pub organizer_name: String,
    pub organizer_email: String,
    /// Wall clock in `time_zone`, `YYYY-MM-DDTHH:MM`.
    pub start_local: String,
    pub end_local: String,
    /// An IANA name.
    pub time_zone: String,
    /// UTC milliseconds; both ends belong to the event.
    pub starts_at: i64,
    pub ends_at: i64,
    pub max_token_cap: u32,
    /// Per attendee and UTC day, unless the attendee has one of their own.
    pub daily_request_cap: u32,
    pub requests_per_minute: u32,
    pub burst: u32,
    pub max_open_requests: u32,
    pub shared_code: Option<SecretString>,
    /// Most attendees that may come by the shared code.
    pub shared_code_limit: u32,
    /// How people get in by themselves: `shared-code` or `closed`.
    pub registration: String,
    /// In the room, for a while.
    pub is_registration_stopped: bool,
    pub active: bool,
    /// In the owner's order, inactive ones included.
    pub resources: Vec<Arc<Resource>>,
}

pub(super) const TABLE: &str = "event";
pub(super) const SHARED_CODE: &str = "shared_code_sealed";

fn place(id: &str) -> Place<'_> {
    Place { table: TABLE, row: id, column: SHARED_CODE }
}

impl Event {
    fn open(vault: &Vault, row: &AnyRow) -> Result<Self> {
        let id = row.text("id")?;
        let shared_code = match row.try_get::<Option<String>, _>(SHARED_CODE)? {
            Some(sealed) => Some(vault.open(place(&id), &sealed)?),
            None => None,
        };
        Ok(Self {
            owner_id: row.text("owner_id")?,
            name: row.text("name")?,
            description: row.text("description")?,
            organizer_name: row.text("organizer_name")?,
            organizer_email: row.text("organizer_email")?,
            start_local: row.text("start_local")?,
            end_local: row.text("end_local")?,
            time_zone: row.text("time_zone")?,
            starts_at: row.int("starts_at")?,
            ends_at: row.int("ends_at")?,
            max_token_cap: row.count("max_token_cap")?,
            daily_request_cap: row.count("daily_request_cap")?,
            requests_per_minute: row.count("requests_per_minute")?,
            burst: row.count("burst")?,
            max_open_requests: row.count("max_open_requests")?,
            shared_code,
            shared_code_limit: row.count("shared_code_limit")?,
            registration: row.text("registration")?,
            is_registration_stopped: row.int("stopped")? > 0,
            active: row.flag("active")?,
            resources: Vec::new(),
            id,
        })
    }
}

/// Reads events with their resources: all, an owner's, or one. Those that are
/// active come first, then by end.
pub async fn load(
    connection: &mut AnyConnection,
    vault: &Vault,
    owner_id: Option<&str>,
    id: Option<&str>,
) -> Result<Vec<Event>> {
    // Links first: what a link names was committed with it or before, so the
    // later reads find it.
    let links = sqlx::query(
        "select event_id, resource_id from event_resource
         where cast($1 as text) is null or event_id = $1 order by event_id, position",
    )
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    let rows = sqlx::query(
        "select id, owner_id, name, description, organizer_name, organizer_email, start_local,
            end_local, time_zone, starts_at, ends_at, max_token_cap, daily_request_cap,
            requests_per_minute, burst, max_open_requests, shared_code_sealed, shared_code_limit,
            registration, active,
            (select count(*) from registration_stop where event_id = event.id) as stopped
         from event
         where (cast($1 as text) is null or owner_id = $1) and (cast($2 as text) is null or id = $2)
         order by active desc, ends_at, name",
    )
    .bind(owner_id)
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    let resources: HashMap<String, Arc<Resource>> =
        resource::load(connection, vault, owner_id, None)
            .await?
            .into_iter()
            .map(|resource| (resource.id.clone(), Arc::new(resource)))
            .collect();
    let mut linked: HashMap<String, Vec<Arc<Resource>>> = HashMap::new();
    for link in &links {
        if let Some(resource) = resources.get(&link.text("resource_id")?) {
            linked.entry(link.text("event_id")?).or_default().push(resource.clone());
        }
    }
    rows.iter()
        .map(|row| {
            let mut event = Event::open(vault, row)?;
            event.resources = linked.remove(&event.id).unwrap_or_default();
            Ok(event)
        })
        .collect()
}

/// An owner's events: active ones first, then by end.
pub async fn list(db: &Db, vault: &Vault, owner_id: &str) -> Result<Vec<Event>> {
    load(&mut *db.pool().acquire().await?, vault, Some(owner_id), None).await
}

/// # Errors
/// [`Error::NotFound`] also where it is another owner's.
pub async fn get(db: &Db, vault: &Vault, owner_id: &str, id: &str) -> Result<Event> {
    let mut connection = db.pool().acquire().await?;
    let found = load(&mut connection, vault, Some(owner_id), Some(id)).await?.pop();
    found.ok_or_else(|| Error::NotFound { noun: Noun::Event, name: id.to_owned() })
}

/// Creates the event of `draft`, or updates the one whose id it names. An id
/// that nobody has yet is taken for the new event.
///
/// # Errors
/// [`Error::Invalid`] names the field; [`Error::Conflict`] where the id is
/// another owner's event.
pub async fn save(db: &Db, vault: &Vault, by: &Actor, draft: &Draft) -> Result<Saved> {
    let mut tx = change::write(db).await?;
    let saved = save_in(&mut tx, vault, by, draft).await?;
    tx.commit().await?;
    Ok(saved)
}

/// [`save`] as a part of a transaction of [`change::write`].
pub async fn save_in(tx: &mut Tx, vault: &Vault, by: &Actor, draft: &Draft) -> Result<Saved> {
    write_in(tx, vault, by, draft, true).await
}

/// The same for an event of a backup, which keeps its shared code however short it is.
pub async fn restore_in(tx: &mut Tx, vault: &Vault, by: &Actor, draft: &Draft) -> Result<Saved> {
    write_in(tx, vault, by, draft, false).await
}

async fn write_in(
    tx: &mut Tx,
    vault: &Vault,
    by: &Actor,
    draft: &Draft,
    is_code_new: bool,
) -> Result<Saved> {
    let valid = draft.validate()?;
    check_resources(tx, by, &draft.resources).await?;
    let stored = match &draft.id {
        Some(id) => load(tx, vault, None, Some(id)).await?.pop(),
        None => None,
    };
    if stored.as_ref().is_some_and(|stored| stored.owner_id != by.owner_id) {
        let id = draft.id.as_deref().unwrap_or_default();
        return Err(Error::Conflict { reason: format!("the event id {id} is taken; use another") });
    }
    let outcome = match &stored {
        Some(stored) if valid.is_stored(stored) => {
            return Ok(Saved { id: stored.id.clone(), outcome: Outcome::Unchanged });
        }
        Some(_) => Outcome::Updated,
        None => Outcome::Created,
    };
    if is_code_new {
        valid.check_new_code(stored.as_ref())?;
    }
    let id = match &draft.id {
        Some(id) => id.clone(),
        None => free_id(tx).await?,
    };
    let shared_code_sealed =
        valid.shared_code.map(|code| vault.seal(place(&id), code)).transpose()?;
    sqlx::query(
        "insert into event (id, owner_id, name, description, organizer_name, organizer_email,
            start_local, end_local, time_zone, starts_at, ends_at, max_token_cap,
            daily_request_cap, requests_per_minute, burst, max_open_requests, shared_code_sealed,
            shared_code_limit, registration, active, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20, $21, $21)
         on conflict (id) do update set name = excluded.name, description = excluded.description,
            organizer_name = excluded.organizer_name, organizer_email = excluded.organizer_email,
            start_local = excluded.start_local, end_local = excluded.end_local,
            time_zone = excluded.time_zone, starts_at = excluded.starts_at,
            ends_at = excluded.ends_at, max_token_cap = excluded.max_token_cap,
            daily_request_cap = excluded.daily_request_cap,
            requests_per_minute = excluded.requests_per_minute, burst = excluded.burst,
            max_open_requests = excluded.max_open_requests,
            shared_code_sealed = excluded.shared_code_sealed,
            shared_code_limit = excluded.shared_code_limit, registration = excluded.registration,
            active = excluded.active, updated_at = excluded.updated_at",
    )
    .bind(&id)
    .bind(&by.owner_id)
    .bind(&valid.name)
    .bind(&draft.description)
    .bind(&valid.organizer_name)
    .bind(&valid.organizer_email)
    .bind(&valid.window.start_local)
    .bind(&valid.window.end_local)
    .bind(&valid.window.time_zone)
    .bind(valid.window.starts_at)
    .bind(valid.window.ends_at)
    .bind(i64::from(draft.max_token_cap))
    .bind(i64::from(draft.daily_request_cap))
    .bind(i64::from(draft.requests_per_minute))
    .bind(i64::from(draft.burst))
    .bind(i64::from(draft.max_open_requests))
    .bind(shared_code_sealed)
    .bind(i64::from(draft.shared_code_limit))
    .bind(&draft.registration)
    .bind(i64::from(draft.active))
    .bind(now_ms())
    .execute(&mut **tx)
    .await?;
    link(tx, &id, &draft.resources).await?;
    change::record(tx, Noun::Event, &id).await?;
    audit::record(tx, by, outcome.as_str(), Noun::Event, &id, &valid.name).await?;
    Ok(Saved { id, outcome })
}

/// Deletes the event with its attendees and figures.
pub async fn delete(db: &Db, by: &Actor, id: &str) -> Result<()> {
    let mut tx = change::write(db).await?;
    let name: Option<String> =
        sqlx::query_scalar("select name from event where id = $1 and owner_id = $2")
            .bind(id)
            .bind(&by.owner_id)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(name) = name else {
        return Err(Error::NotFound { noun: Noun::Event, name: id.to_owned() });
    };
    // Their keys are cached by replicas, and may come back with a restored event. Those
    // who were deleted before are cached by their user id.
    let attendees: Vec<String> = sqlx::query_scalar(
        "select id from attendee where event_id = $1
         union all select user_id from deleted_attendee where event_id = $1",
    )
    .bind(id)
    .fetch_all(&mut *tx)
    .await?;
    let attendees: Vec<&str> = attendees.iter().map(String::as_str).collect();
    change::record_all(&mut tx, Noun::Attendee, &attendees).await?;
    for statement in [
        "delete from usage where event_id = $1",
        "delete from usage_minute where event_id = $1",
        "delete from usage_attendee where event_id = $1",
        "delete from quota where attendee_id in (select id from attendee where event_id = $1)",
        "delete from event where id = $1",
    ] {
        sqlx::query(statement).bind(id).execute(&mut *tx).await?;
    }
    change::record(&mut tx, Noun::Event, id).await?;
    audit::record(&mut tx, by, "deleted", Noun::Event, id, &name).await?;
    tx.commit().await?;
    Ok(())
}

/// Whose events have this id: nobody's, or the owner of one.
pub async fn owner_of(connection: &mut AnyConnection, id: &str) -> Result<Option<String>> {
    let owner = sqlx::query_scalar("select owner_id from event where id = $1")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(owner)
}

async fn check_resources(tx: &mut Tx, by: &Actor, ids: &[String]) -> Result<()> {
    for id in ids {
        let owned = sqlx::query("select id from resource where id = $1 and owner_id = $2")
            .bind(id)
            .bind(&by.owner_id)
            .fetch_optional(&mut **tx)
            .await?;
        if owned.is_none() {
            return Err(invalid("resources", format!("there is no resource {}", quoted(id))));
        }
    }
    Ok(())
}

async fn link(tx: &mut Tx, event_id: &str, resource_ids: &[String]) -> Result<()> {
    sqlx::query("delete from event_resource where event_id = $1")
        .bind(event_id)
        .execute(&mut **tx)
        .await?;
    for (position, resource_id) in (0_i64..).zip(resource_ids) {
        sqlx::query(
            "insert into event_resource (event_id, resource_id, position) values ($1, $2, $3)",
        )
        .bind(event_id)
        .bind(resource_id)
        .bind(position)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn free_id(tx: &mut Tx) -> Result<String> {
    loop {
        let id = draft::random_id()?;
        let taken = sqlx::query("select id from event where id = $1")
            .bind(&id)
            .fetch_optional(&mut **tx)
            .await?;
        if taken.is_none() {
            return Ok(id);
        }
    }
}
