//! Resources: backends with their endpoint URL and key, both sealed.
//!
//! A [`Resource`] is opened and parsed once, when it is loaded: what the data
//! plane needs for a call (address, credential header) is ready in it.

use std::collections::HashMap;

use secrecy::ExposeSecret;
use sqlx::AnyConnection;

use self::row::{WRITTEN, place, select};

use super::audit::{self, Action, Actor};
use super::columns::upsert;
use super::seal::Vault;
use super::validate::invalid;
use super::{Error, Noun, Outcome, Result, Rows, Saved, Unreadable, change, new_id, session_mark};
use crate::db::{Columns, Db, Tx};

mod auth;
mod changes;
mod draft;
mod endpoint;
mod kind;
mod row;

pub use auth::Auth;
pub use changes::Changes;
pub use draft::{Draft, KeyChange, MAX_KEY, is_deployment};
pub use endpoint::{Endpoint, MAX_LENGTH as MAX_ENDPOINT};
pub use kind::ResourceType;
pub use row::{Credential, Resource};
pub(super) use row::{ENDPOINT, KEY, TABLE};

/// Which resources are read and opened: those that meet every condition.
#[derive(Clone, Copy, Default)]
pub struct Which<'a> {
    pub owner_id: Option<&'a str>,
    pub id: Option<&'a str>,
    /// Linked to this event.
    pub event_id: Option<&'a str>,
}

/// Reads and opens resources, by friendly name.
pub async fn load(
    connection: &mut AnyConnection,
    vault: &Vault,
    which: Which<'_>,
) -> Result<Rows<Resource>> {
    let rows = sqlx::query(select(
        "where (cast($1 as text) is null or owner_id = $1)
            and (cast($2 as text) is null or id = $2)
            and (cast($3 as text) is null
                or id in (select resource_id from event_resource where event_id = $3))
         order by name, deployment",
    ))
    .bind(which.owner_id)
    .bind(which.id)
    .bind(which.event_id)
    .fetch_all(connection)
    .await?;
    let names = rows
        .iter()
        .map(|row| Ok((row.text("id")?, row.text("owner_id")?, row.text("deployment")?)))
        .collect::<Result<Vec<_>>>()?;
    Ok(Rows::of(rows.iter().zip(names).map(|(row, (id, owner_id, name))| {
        Resource::open(vault, row).map_err(|error| {
            let reason = error.to_string();
            Unreadable { noun: Noun::Resource, id, owner_id, name, reason }
        })
    })))
}

/// An owner's resources by friendly name, as far as they can be read.
pub async fn list(db: &Db, vault: &Vault, owner_id: &str) -> Result<Vec<Resource>> {
    Ok(all(db, vault, owner_id).await?.read)
}

/// An owner's resources by friendly name, and those that cannot be read.
pub async fn all(db: &Db, vault: &Vault, owner_id: &str) -> Result<Rows<Resource>> {
    let which = Which { owner_id: Some(owner_id), ..Which::default() };
    load(&mut *db.pool().acquire().await?, vault, which).await
}

/// The friendly name of an owner's resource, also of one that cannot be read.
///
/// # Errors
/// [`Error::NotFound`] also where it is another owner's.
pub async fn name(db: &Db, owner_id: &str, id: &str) -> Result<String> {
    let name = sqlx::query_scalar("select name from resource where id = $1 and owner_id = $2")
        .bind(id)
        .bind(owner_id)
        .fetch_optional(db.pool())
        .await?;
    name.ok_or_else(|| not_found(id))
}

/// # Errors
/// [`Error::NotFound`] also where it is another owner's; [`Error::Conflict`] where
/// it cannot be read.
pub async fn get(db: &Db, vault: &Vault, owner_id: &str, id: &str) -> Result<Resource> {
    get_in(&mut *db.pool().acquire().await?, vault, owner_id, id).await
}

async fn get_in(
    connection: &mut AnyConnection,
    vault: &Vault,
    owner_id: &str,
    id: &str,
) -> Result<Resource> {
    let found = load_own(connection, vault, owner_id, id).await?.one()?;
    found.ok_or_else(|| not_found(id))
}

/// An owner's resource, read and opened.
async fn load_own(
    connection: &mut AnyConnection,
    vault: &Vault,
    owner_id: &str,
    id: &str,
) -> Result<Rows<Resource>> {
    let which = Which { owner_id: Some(owner_id), id: Some(id), event_id: None };
    load(connection, vault, which).await
}

/// Creates the resource of `draft`, or updates the one it names.
///
/// # Errors
/// [`Error::Invalid`] names the field; [`Error::Conflict`] where the deployment
/// name is another resource's; [`Error::NotFound`] where there is none to update.
pub async fn save(db: &Db, vault: &Vault, by: &Actor, draft: &Draft) -> Result<Saved> {
    let mut tx = change::write(db).await?;
    let saved = save_in(&mut tx, vault, by, draft).await?;
    tx.commit().await?;
    Ok(saved)
}

/// Creates the resource of `draft`, and reads it.
///
/// # Errors
/// As of [`save`].
pub async fn create(
    db: &Db,
    vault: &Vault,
    by: &Actor,
    draft: &Draft,
) -> Result<(Outcome, Resource)> {
    debug_assert!(draft.id.is_none(), "a new resource gets its id here");
    let mut tx = change::write(db).await?;
    let saved = save_and_read(&mut tx, vault, by, draft).await?;
    tx.commit().await?;
    Ok(saved)
}

/// Changes an owner's resource: `edit` receives the resource (`None` where the row cannot be
/// read) and a draft of it (then only with the deployment name), and returns what to save.
///
/// # Errors
/// As of [`save`], and those of `edit`; [`Error::NotFound`] also where it is another
/// owner's.
pub async fn edit<E: From<Error>>(
    db: &Db,
    vault: &Vault,
    by: &Actor,
    id: &str,
    edit: impl FnOnce(Option<&Resource>, Draft) -> Result<Draft, E>,
) -> Result<(Outcome, Resource), E> {
    let mut tx = change::write(db).await?;
    let Rows { read, unreadable } = load_own(&mut tx, vault, &by.owner_id, id).await?;
    let stored = read.first();
    let draft = match (stored, unreadable.first()) {
        (Some(stored), _) => Draft::from(stored),
        (None, Some(row)) => {
            Draft { id: Some(row.id.clone()), deployment: row.name.clone(), ..Draft::default() }
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
) -> Result<(Outcome, Resource)> {
    let Saved { id, outcome } = save_in(tx, vault, by, draft).await?;
    Ok((outcome, get_in(tx, vault, &by.owner_id, &id).await?))
}

fn not_found(id: &str) -> Error {
    Error::NotFound { noun: Noun::Resource, name: id.to_owned() }
}

/// [`save`] as a part of a transaction of [`change::write`].
pub async fn save_in(tx: &mut Tx, vault: &Vault, by: &Actor, draft: &Draft) -> Result<Saved> {
    let valid = draft.validate()?;
    let (stored, unreadable) = match &draft.id {
        Some(id) => {
            let Rows { mut read, mut unreadable } = load_own(tx, vault, &by.owner_id, id).await?;
            if read.is_empty() && unreadable.is_empty() {
                return Err(not_found(id));
            }
            (read.pop(), unreadable.pop())
        }
        None => (None, None),
    };
    // Saving over it is how an unreadable row is mended; its key is lost.
    if unreadable.is_some() && matches!(draft.key, KeyChange::Keep) && draft.auth != Auth::None {
        let reason = "must be entered again, because what is stored cannot be read";
        return Err(invalid("key", reason));
    }
    let key = draft.key_at(&valid.endpoint, stored.as_ref())?;
    if stored.as_ref().is_some_and(|stored| valid.is_stored(stored, key.as_ref())) {
        let id = stored.map(|stored| stored.id).unwrap_or_default();
        return Ok(Saved { id, outcome: Outcome::Unchanged });
    }
    let is_moved = stored.as_ref().is_none_or(|stored| stored.endpoint != valid.endpoint);
    let stored = stored.map(|row| row.id).or(unreadable.map(|row| row.id));
    if let Some(id) = stored.as_ref().filter(|_| is_moved) {
        session_mark::forget(tx, id).await?;
    }
    let outcome = if stored.is_some() { Outcome::Updated } else { Outcome::Created };
    let id = stored.unwrap_or_else(new_id);
    let namesake =
        sqlx::query("select id from resource where owner_id = $1 and deployment = $2 and id <> $3")
            .bind(&by.owner_id)
            .bind(&valid.deployment)
            .bind(&id)
            .fetch_optional(&mut **tx)
            .await?;
    if namesake.is_some() {
        let reason = format!("another resource has the deployment name \"{}\"", valid.deployment);
        return Err(Error::Conflict { reason });
    }
    let key_sealed =
        key.as_ref().map(|key| vault.seal(place(&id, KEY), key.expose_secret())).transpose()?;
    sqlx::query(upsert(TABLE, &WRITTEN))
        .bind(&id)
        .bind(&by.owner_id)
        .bind(&valid.deployment)
        .bind(&valid.name)
        .bind(draft.kind.as_str())
        .bind(vault.seal(place(&id, ENDPOINT), &valid.endpoint.as_written())?)
        .bind(draft.auth.to_string())
        .bind(key_sealed)
        .bind(&valid.region)
        .bind(i64::from(draft.active))
        .bind(by.at)
        .execute(&mut **tx)
        .await?;
    change::record(tx, Noun::Resource, &id).await?;
    let action = if outcome == Outcome::Created { Action::Created } else { Action::Updated };
    audit::record(tx, by, action, Noun::Resource, &id, &valid.deployment).await?;
    Ok(Saved { id, outcome })
}

/// Switches a resource off or on, in every event that uses it.
///
/// # Errors
/// [`Error::NotFound`] also where it is another owner's.
pub async fn set_active(db: &Db, by: &Actor, id: &str, active: bool) -> Result<Outcome> {
    let mut tx = change::write(db).await?;
    let row =
        sqlx::query("select deployment, active from resource where id = $1 and owner_id = $2")
            .bind(id)
            .bind(&by.owner_id)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or_else(|| not_found(id))?;
    if row.flag("active")? == active {
        return Ok(Outcome::Unchanged);
    }
    sqlx::query("update resource set active = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(i64::from(active))
        .bind(by.at)
        .execute(&mut *tx)
        .await?;
    let action = if active { Action::SwitchedOn } else { Action::SwitchedOff };
    change::record(&mut tx, Noun::Resource, id).await?;
    audit::record(&mut tx, by, action, Noun::Resource, id, &row.text("deployment")?).await?;
    tx.commit().await?;
    Ok(Outcome::Updated)
}

/// The names of an owner's events by the id of the resource that they use, in
/// alphabetical order.
pub async fn users(db: &Db, owner_id: &str) -> Result<HashMap<String, Vec<String>>> {
    users_in(&mut *db.pool().acquire().await?, owner_id).await
}

async fn users_in(
    connection: &mut AnyConnection,
    owner_id: &str,
) -> Result<HashMap<String, Vec<String>>> {
    let rows = sqlx::query(
        "select event_resource.resource_id, event.name
         from event_resource join event on event.id = event_resource.event_id
         where event.owner_id = $1 order by event.name",
    )
    .bind(owner_id)
    .fetch_all(connection)
    .await?;
    let mut users: HashMap<String, Vec<String>> = HashMap::new();
    for row in &rows {
        users.entry(row.text("resource_id")?).or_default().push(row.text("name")?);
    }
    Ok(users)
}

/// # Errors
/// [`Error::Conflict`] with the names of the events that use it.
pub async fn delete(db: &Db, by: &Actor, id: &str) -> Result<()> {
    delete_in(change::write(db).await?, by, id).await
}

/// [`delete`], if `allow` does of the resource as it is stored; `None` where the row cannot be
/// read.
///
/// # Errors
/// As of [`delete`], and those of `allow`.
pub async fn delete_if<E: From<Error>>(
    db: &Db,
    vault: &Vault,
    by: &Actor,
    id: &str,
    allow: impl FnOnce(Option<&Resource>) -> Result<(), E>,
) -> Result<(), E> {
    let mut tx = change::write(db).await?;
    let rows = load_own(&mut tx, vault, &by.owner_id, id).await?;
    if !rows.read.is_empty() || !rows.unreadable.is_empty() {
        allow(rows.read.first())?;
    }
    Ok(delete_in(tx, by, id).await?)
}

async fn delete_in(mut tx: Tx, by: &Actor, id: &str) -> Result<()> {
    if let Some(events) = users_in(&mut tx, &by.owner_id).await?.get(id) {
        let reason = format!("it is used by {}; unlink it there first", events.join(", "));
        return Err(Error::Conflict { reason });
    }
    let deleted: Option<String> = sqlx::query_scalar(
        "delete from resource where id = $1 and owner_id = $2 returning deployment",
    )
    .bind(id)
    .bind(&by.owner_id)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(deployment) = deleted else {
        return Err(not_found(id));
    };
    change::record(&mut tx, Noun::Resource, id).await?;
    audit::record(&mut tx, by, Action::Deleted, Noun::Resource, id, &deployment).await?;
    tx.commit().await?;
    Ok(())
}
