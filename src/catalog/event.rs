//! Events: time windows with caps, and the resources that attendees may use
//! while one is open.

use std::collections::HashMap;
use std::sync::Arc;

use secrecy::SecretString;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::audit::{self, Action, Actor};
use super::resource::{self, Resource};
use super::seal::{Place, Vault};
use super::validate::{invalid, quoted};
use super::{Error, Noun, Outcome, Result, Rows, Saved, Unreadable, change};
use crate::db::{Columns, Db, Tx};

pub mod control;
mod draft;
pub mod guesses;
mod id;
pub mod purge;
pub mod registration;
mod window;

pub use draft::{Draft, MAX_LINKED, propose_code};
pub use id::{Standing, standing};
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
    /// In the owner's order, inactive ones included; without those that cannot be read.
    pub resources: Vec<Arc<Resource>>,
    /// Ids of all linked resources, in the owner's order.
    pub links: Vec<String>,
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
            links: Vec::new(),
            id,
        })
    }
}

/// Reads events with their resources: all, an owner's, or one. Those that are
/// active come first, then by end. Unreadable resources are among the unreadable
/// rows, and missing from their events.
pub async fn load(
    connection: &mut AnyConnection,
    vault: &Vault,
    owner_id: Option<&str>,
    id: Option<&str>,
) -> Result<Rows<Event>> {
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
            and purge_at is null
         order by active desc, ends_at, name",
    )
    .bind(owner_id)
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    let which = resource::Which { owner_id, id: None, event_id: id };
    let resources = resource::load(connection, vault, which).await?;
    let by_id: HashMap<String, Arc<Resource>> = resources
        .read
        .into_iter()
        .map(|resource| (resource.id.clone(), Arc::new(resource)))
        .collect();
    let mut linked: HashMap<String, Vec<String>> = HashMap::new();
    for link in &links {
        linked.entry(link.text("event_id")?).or_default().push(link.text("resource_id")?);
    }
    let mut opened = Vec::with_capacity(rows.len());
    for row in &rows {
        let (id, owner_id, name) = (row.text("id")?, row.text("owner_id")?, row.text("name")?);
        opened.push(match Event::open(vault, row) {
            Ok(mut event) => {
                event.links = linked.remove(&id).unwrap_or_default();
                event.resources =
                    event.links.iter().filter_map(|id| by_id.get(id).cloned()).collect();
                Ok(event)
            }
            Err(error) => {
                let reason = error.to_string();
                Err(Unreadable { noun: Noun::Event, id, owner_id, name, reason })
            }
        });
    }
    let mut events = Rows::of(opened.into_iter());
    events.unreadable.extend(resources.unreadable);
    Ok(events)
}

/// An owner's events, as far as they can be read: active ones first, then by end.
pub async fn list(db: &Db, vault: &Vault, owner_id: &str) -> Result<Vec<Event>> {
    Ok(all(db, vault, owner_id).await?.read)
}

/// An owner's events, and the rows of events and resources that cannot be read.
pub async fn all(db: &Db, vault: &Vault, owner_id: &str) -> Result<Rows<Event>> {
    load(&mut *db.pool().acquire().await?, vault, Some(owner_id), None).await
}

/// # Errors
/// [`Error::NotFound`] also where it is another owner's; [`Error::Conflict`] where
/// it cannot be read.
pub async fn get(db: &Db, vault: &Vault, owner_id: &str, id: &str) -> Result<Event> {
    let mut connection = db.pool().acquire().await?;
    let found = load_own(&mut connection, vault, owner_id, id).await?.one()?;
    found.ok_or_else(|| Error::NotFound { noun: Noun::Event, name: id.to_owned() })
}

/// An owner's event. Unreadable resources are missing from it.
pub async fn load_own(
    connection: &mut AnyConnection,
    vault: &Vault,
    owner_id: &str,
    id: &str,
) -> Result<Rows<Event>> {
    let mut rows = load(connection, vault, Some(owner_id), Some(id)).await?;
    rows.unreadable.retain(|row| row.noun == Noun::Event);
    Ok(rows)
}

/// The name of an owner's event, also of one that cannot be read.
///
/// # Errors
/// [`Error::NotFound`] also where it is another owner's.
pub async fn name(connection: &mut AnyConnection, owner_id: &str, id: &str) -> Result<String> {
    let name = sqlx::query_scalar(
        "select name from event where id = $1 and owner_id = $2 and purge_at is null",
    )
    .bind(id)
    .bind(owner_id)
    .fetch_optional(connection)
    .await?;
    name.ok_or_else(|| Error::NotFound { noun: Noun::Event, name: id.to_owned() })
}

/// Creates the event of `draft`, or updates the one whose id it names. An id
/// that nobody has yet is taken for the new event.
///
/// # Errors
/// [`Error::Invalid`] names the field; [`Error::Conflict`] where the id is
/// another owner's for ever, or a deleted event's whose rows are still removed.
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
    let standing = match &draft.id {
        Some(id) => standing(tx, &by.owner_id, id).await?,
        None => Standing::Free,
    };
    let given = draft.id.as_deref().unwrap_or_default();
    let (outcome, stored) = match standing {
        Standing::Free => (Outcome::Created, None),
        // Saving over it is how an unreadable row is mended.
        Standing::Present => match load_own(tx, vault, &by.owner_id, given).await?.read.pop() {
            Some(stored) if valid.is_stored(&stored) => {
                return Ok(Saved { id: stored.id, outcome: Outcome::Unchanged });
            }
            stored => (Outcome::Updated, stored),
        },
        Standing::Purging => {
            let reason = format!(
                "the event with the id {given} was deleted and its rows are still being removed; \
                 try again in a few minutes, or use another id"
            );
            return Err(Error::Conflict { reason });
        }
        Standing::Foreign => {
            let reason = format!("the event id {given} is taken; use another");
            return Err(Error::Conflict { reason });
        }
    };
    if is_code_new {
        valid.check_new_code(stored.as_ref())?;
    }
    let id = match &draft.id {
        Some(id) => id.clone(),
        None => id::unused(tx).await?,
    };
    id::reserve(tx, &by.owner_id, &id).await?;
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
    .bind(by.at)
    .execute(&mut **tx)
    .await?;
    link(tx, &id, &draft.resources).await?;
    change::record(tx, Noun::Event, &id).await?;
    let action = if outcome == Outcome::Created { Action::Created } else { Action::Updated };
    audit::record(tx, by, action, Noun::Event, &id, &valid.name).await?;
    Ok(Saved { id, outcome })
}

/// Deletes the event: it is gone for everybody at once. Its attendees and figures
/// are removed by [`purge`] in small batches, since all at once they would keep
/// other writers waiting.
///
/// # Errors
/// [`Error::NotFound`] also where it is another owner's.
pub async fn delete(db: &Db, by: &Actor, id: &str) -> Result<()> {
    let mut tx = change::write(db).await?;
    let name = name(&mut tx, &by.owner_id, id).await?;
    purge::mark(&mut tx, id, by.at).await?;
    change::record(&mut tx, Noun::Event, id).await?;
    audit::record(&mut tx, by, Action::Deleted, Noun::Event, id, &name).await?;
    tx.commit().await?;
    Ok(())
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
