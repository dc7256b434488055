//! Events: time windows with caps, and the resources that attendees may use
//! while one is open.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use sqlx::AnyConnection;

use self::row::select;
use super::attendee::session;
use super::audit::{self, Action, Actor};
use super::resource::{self, Resource};
use super::seal::Vault;
use super::validate::{invalid, quoted};
use super::{Error, Noun, Outcome, Result, Rows, Saved, Unreadable, change};
use crate::db::{Columns, Db, Tx};

pub mod control;
mod draft;
mod fields;
pub mod forget;
pub mod guesses;
mod id;
pub mod purge;
mod registration;
mod row;
mod state;
mod window;

pub use draft::{MAX_CODE, MAX_LINKED, MAX_MARKDOWN, MIN_NEW_CODE, propose_code};
pub use fields::{Changes, Draft};
pub use forget::{FORGET_AFTER_DAYS, days_rule};
pub use id::{Standing, id_in, standing};
pub use registration::{JoinBy, Registration, Shut};
pub use row::Event;
pub(super) use row::{SHARED_CODE, TABLE};
pub use state::EventState;
pub use window::Window;

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
    let rows = sqlx::query(select(
        "where (cast($1 as text) is null or owner_id = $1)
            and (cast($2 as text) is null or id = $2) and purge_at is null
         order by active desc, ends_at, name",
    ))
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
    found.ok_or_else(|| not_found(id))
}

/// The event with this id, whoever owns it; `None` also where it cannot be read.
pub async fn anyones(db: &Db, vault: &Vault, id: &str) -> Result<Option<Event>> {
    let mut rows = load(&mut *db.pool().acquire().await?, vault, None, Some(id)).await?;
    Ok(rows.read.pop())
}

/// An owner's event. Unreadable resources are missing from it.
async fn load_own(
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
    name.ok_or_else(|| not_found(id))
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

/// Creates the event of `draft`, and never changes one that exists.
///
/// # Errors
/// As of [`save`]; [`Error::Conflict`] also where the owner has an event with this id.
pub async fn create(db: &Db, vault: &Vault, by: &Actor, draft: &Draft) -> Result<(Outcome, Event)> {
    let mut tx = change::write(db).await?;
    let (outcome, event) = save_and_read(&mut tx, vault, by, draft).await?;
    if outcome != Outcome::Created {
        // The write is rolled back with the transaction.
        return Err(taken(&event.id));
    }
    tx.commit().await?;
    Ok((outcome, event))
}

/// Changes an owner's event: `edit` receives the event (`None` where the row cannot be read)
/// and a draft of it (then only with the name), and returns what to save.
///
/// # Errors
/// As of [`save`], and those of `edit`; [`Error::NotFound`] also where it is another
/// owner's.
pub async fn edit<E: From<Error>>(
    db: &Db,
    vault: &Vault,
    by: &Actor,
    id: &str,
    edit: impl FnOnce(Option<&Event>, Draft) -> Result<Draft, E>,
) -> Result<(Outcome, Event), E> {
    let mut tx = change::write(db).await?;
    let Rows { read, unreadable } = load_own(&mut tx, vault, &by.owner_id, id).await?;
    let stored = read.first();
    let draft = match (stored, unreadable.first()) {
        (Some(stored), _) => Draft::from(stored),
        (None, Some(row)) => {
            Draft { id: Some(row.id.clone()), name: row.name.clone(), ..Draft::default() }
        }
        (None, None) => return Err(not_found(id).into()),
    };
    let saved = save_and_read(&mut tx, vault, by, &edit(stored, draft)?).await?;
    tx.commit().await.map_err(Error::from)?;
    Ok(saved)
}

async fn save_and_read(
    tx: &mut Tx,
    vault: &Vault,
    by: &Actor,
    draft: &Draft,
) -> Result<(Outcome, Event)> {
    let Saved { id, outcome } = save_in(tx, vault, by, draft).await?;
    let stored = load_own(tx, vault, &by.owner_id, &id).await?.one()?;
    Ok((outcome, stored.ok_or_else(|| not_found(&id))?))
}

fn not_found(id: &str) -> Error {
    Error::NotFound { noun: Noun::Event, name: id.to_owned() }
}

fn taken(id: &str) -> Error {
    Error::Conflict { reason: format!("the event id {id} is taken; use another") }
}

/// [`save`] as a part of a transaction of [`change::write`].
async fn save_in(tx: &mut Tx, vault: &Vault, by: &Actor, draft: &Draft) -> Result<Saved> {
    write_in(tx, vault, by, draft, true).await
}

/// The same for an event of a backup, which keeps its shared code however short it is.
/// `first_active_at`: when it was first switched on, in UTC milliseconds.
pub async fn restore_in(
    tx: &mut Tx,
    vault: &Vault,
    by: &Actor,
    draft: &Draft,
    first_active_at: Option<i64>,
) -> Result<Saved> {
    let saved = write_in(tx, vault, by, draft, false).await?;
    if let Some(at) = first_active_at {
        sqlx::query("update event set first_active_at = $2 where id = $1")
            .bind(&saved.id)
            .bind(at)
            .execute(&mut **tx)
            .await?;
    }
    Ok(saved)
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
            Some(stored) if stored.is_already(&valid) => {
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
        Standing::Foreign => return Err(taken(given)),
    };
    let is_other_code = !stored.as_ref().is_some_and(|event| event.has_code(valid.shared_code));
    if is_code_new && is_other_code {
        valid.check_new_code()?;
    }
    let id = match &draft.id {
        Some(id) => id.clone(),
        None => id::unused(tx).await?,
    };
    id::reserve(tx, &by.owner_id, &id).await?;
    row::write(tx, vault, by, &id, &valid).await?;
    link(tx, &id, &draft.resources).await?;
    if is_other_code {
        session::end_named_in(tx, &id).await?;
    }
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
    let asked = Instant::now();
    delete_in(change::write(db).await?, by, id, asked).await
}

/// [`delete`], if `allow` does of the event as it is stored; `None` where the row cannot be read.
///
/// # Errors
/// As of [`delete`], and those of `allow`.
pub async fn delete_if<E: From<Error>>(
    db: &Db,
    vault: &Vault,
    by: &Actor,
    id: &str,
    allow: impl FnOnce(Option<&Event>) -> Result<(), E>,
) -> Result<(), E> {
    let asked = Instant::now();
    let mut tx = change::write(db).await?;
    let rows = load_own(&mut tx, vault, &by.owner_id, id).await?;
    if !rows.read.is_empty() || !rows.unreadable.is_empty() {
        allow(rows.read.first())?;
    }
    Ok(delete_in(tx, by, id, asked).await?)
}

async fn delete_in(mut tx: Tx, by: &Actor, id: &str, asked: Instant) -> Result<()> {
    let name = name(&mut tx, &by.owner_id, id).await?;
    // The wait for the lock must not shorten the time that other replicas have.
    let waited = i64::try_from(asked.elapsed().as_millis()).unwrap_or_default();
    purge::mark(&mut tx, id, by.at + waited).await?;
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
