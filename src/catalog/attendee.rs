//! Attendees: one person in one event, found by the keyed digest of their API
//! key, which is sealed because a backup carries it.

use std::collections::HashMap;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use self::key::{new_api_key, place};
use self::row::{is_by_code, select};
use self::session::{AttendeeSession, Way};
use super::audit::{self, Action, Actor};
use super::limits::CAP;
use super::seal::Vault;
use super::validate::number;
use super::whole::given_whole;
use super::{Digest, Error, Noun, Result, change, oauth};
use crate::db::{Columns, Db, Tx};

pub mod account;
pub mod anonymous;
pub(crate) mod backup;
pub mod card;
pub mod claim;
pub mod continued;
pub mod deleted;
mod issue;
mod join;
mod key;
pub mod listing;
pub mod name;
mod row;
pub mod session;
pub mod terms;
mod typed;
pub mod yours;

pub use issue::{Issued, MAX_ISSUED, issue};
pub use join::{Joined, has_joined, join_by_shared_code, shared_user_id};
pub(super) use key::{API_KEY, TABLE, digest as key_digest};
pub use key::{check_api_key, normal as normal_key};
pub use row::Attendee;

/// Refuses an action that works for issued keys only.
fn refuse_by_code(user_id: &str) -> Result<()> {
    if is_by_code(user_id) {
        let reason = "this attendee joined with the shared code: their key is the code and their \
                      name, so it cannot be replaced. Change the event's shared code, or delete \
                      the attendee";
        return Err(Error::Conflict { reason: reason.to_owned() });
    }
    Ok(())
}

/// Who has the key with one of these digests, one or two: that of the current
/// master key and, while keys are being changed, that of the old one.
pub async fn find_by_digest(db: &Db, digests: &[Digest]) -> Result<Option<Attendee>> {
    debug_assert!(digests.len() <= 2, "there are no more than two master keys");
    let (Some(current), Some(old)) = (digests.first(), digests.last()) else { return Ok(None) };
    // Both in one statement: between two, `rekey` could replace the one by the other.
    let row = sqlx::query(select("from attendee where key_digest in ($1, $2)"))
        .bind(current.hex())
        .bind(old.hex())
        .fetch_optional(db.pool())
        .await?;
    row.as_ref().map(Attendee::read).transpose()
}

/// Who has this key, in any of its spellings.
pub async fn find_by_key(db: &Db, vault: &Vault, key: &str) -> Result<Option<Attendee>> {
    find_by_digest(db, &key::digests(vault, key)).await
}

/// The digest of the key that the attendee has now, in hexadecimal.
pub async fn current_key(db: &Db, id: &str) -> Result<Option<String>> {
    let digest = sqlx::query_scalar("select key_digest from attendee where id = $1")
        .bind(id)
        .fetch_optional(db.pool())
        .await?;
    Ok(digest)
}

/// The attendee with this id, whosever event it is.
pub async fn find(db: &Db, id: &str) -> Result<Option<Attendee>> {
    let row = sqlx::query(select("from attendee where attendee.id = $1"))
        .bind(id)
        .fetch_optional(db.pool())
        .await?;
    row.as_ref().map(Attendee::read).transpose()
}

/// The attendees of an owner's event, in the order in which they came.
pub async fn list(db: &Db, owner_id: &str, event_id: &str) -> Result<Vec<Attendee>> {
    sqlx::query(select(
        "from attendee join event on event.id = attendee.event_id
         where event.owner_id = $1 and event_id = $2 and event.purge_at is null
         order by attendee.created_at, attendee.id",
    ))
    .bind(owner_id)
    .bind(event_id)
    .fetch_all(db.pool())
    .await?
    .iter()
    .map(Attendee::read)
    .collect()
}

/// One attendee of an owner's event.
///
/// # Errors
/// [`Error::NotFound`] also where it is another event's, or another owner's.
pub async fn get(db: &Db, owner_id: &str, event_id: &str, id: &str) -> Result<Attendee> {
    get_in(&mut *db.pool().acquire().await?, owner_id, event_id, id).await
}

async fn get_in(
    connection: &mut AnyConnection,
    owner_id: &str,
    event_id: &str,
    id: &str,
) -> Result<Attendee> {
    let row = sqlx::query(select(
        "from attendee join event on event.id = attendee.event_id
         where event.owner_id = $1 and event_id = $2 and event.purge_at is null
            and attendee.id = $3",
    ))
    .bind(owner_id)
    .bind(event_id)
    .bind(id)
    .fetch_optional(connection)
    .await?;
    Attendee::read(&row.ok_or_else(|| not_found(id))?)
}

/// How many attendees each event of an owner has; events without any are left out.
pub async fn counts(db: &Db, owner_id: &str) -> Result<HashMap<String, u32>> {
    let rows = sqlx::query(
        "select event_id, count(*) as attendees from attendee
         where event_id in (select id from event where owner_id = $1 and purge_at is null)
         group by event_id",
    )
    .bind(owner_id)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| Ok((row.text("event_id")?, row.count("attendees")?))).collect()
}

/// Changes to an attendee. A field that is left out keeps its value.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AttendeeFields)]
pub struct AttendeeChange {
    pub active: Option<bool>,
    /// `null`: the event's again.
    #[serde(default, deserialize_with = "given_whole")]
    #[schema(value_type = Option<u32>)]
    pub daily_request_cap: Option<Option<u32>>,
}

/// Changes an attendee of an owner's event, all or nothing, if `allow` does of the attendee as
/// stored, and returns the attendee as now stored.
///
/// # Errors
/// As of [`get`], those of `allow`, and [`Error::Invalid`] for the cap.
pub async fn edit<E: From<Error>>(
    db: &Db,
    by: &Actor,
    event_id: &str,
    id: &str,
    wanted: AttendeeChange,
    allow: impl FnOnce(&Attendee) -> Result<(), E>,
) -> Result<Attendee, E> {
    let mut tx = change::write(db).await?;
    let stored = get_in(&mut tx, &by.owner_id, event_id, id).await?;
    allow(&stored)?;
    if let Some(cap) = wanted.daily_request_cap.filter(|cap| *cap != stored.daily_request_cap) {
        check_cap(cap)?;
        set_cap_in(&mut tx, by, id, cap).await?;
    }
    if let Some(active) = wanted.active.filter(|active| *active != stored.active) {
        set_active_in(&mut tx, by, id, active).await?;
    }
    let attendee = get_in(&mut tx, &by.owner_id, event_id, id).await?;
    tx.commit().await.map_err(Error::from)?;
    Ok(attendee)
}

/// Switches an attendee's key off or on.
pub async fn set_active(db: &Db, by: &Actor, id: &str, active: bool) -> Result<()> {
    let mut tx = change::write(db).await?;
    set_active_in(&mut tx, by, id, active).await?;
    tx.commit().await?;
    Ok(())
}

async fn set_active_in(tx: &mut Tx, by: &Actor, id: &str, active: bool) -> Result<()> {
    let who = own(tx, by, id).await?;
    sqlx::query("update attendee set active = $2 where id = $1")
        .bind(id)
        .bind(i64::from(active))
        .execute(&mut **tx)
        .await?;
    note(tx, by, id, if active { Action::Activated } else { Action::Deactivated }, &who).await
}

/// Gives an attendee a daily request cap of their own, or the event's again.
pub async fn set_cap(db: &Db, by: &Actor, id: &str, cap: Option<u32>) -> Result<()> {
    check_cap(cap)?;
    let mut tx = change::write(db).await?;
    set_cap_in(&mut tx, by, id, cap).await?;
    tx.commit().await?;
    Ok(())
}

fn check_cap(cap: Option<u32>) -> Result<()> {
    cap.map_or(Ok(()), |cap| number("daily_request_cap", cap, CAP))
}

async fn set_cap_in(tx: &mut Tx, by: &Actor, id: &str, cap: Option<u32>) -> Result<()> {
    let who = own(tx, by, id).await?;
    sqlx::query("update attendee set daily_request_cap = $2 where id = $1")
        .bind(id)
        .bind(cap.map(i64::from))
        .execute(&mut **tx)
        .await?;
    let cap = cap.map_or_else(|| "cap of the event".to_owned(), |cap| format!("cap {cap}"));
    let detail = format!("{who}: {cap}");
    note(tx, by, id, Action::Updated, &detail).await
}

/// Gives an attendee a new key; the old one stops at once.
///
/// # Errors
/// [`Error::Conflict`] for one who joined with the shared code.
pub async fn new_key(db: &Db, vault: &Vault, by: &Actor, id: &str) -> Result<SecretString> {
    let mut tx = change::write(db).await?;
    let who = own(&mut tx, by, id).await?;
    refuse_by_code(&who)?;
    let key = replace_key(&mut tx, vault, id, None).await?;
    finish(tx, by, id, Action::MadeNewKey, &who).await?;
    Ok(key)
}

/// Gives the attendee another key, and notes for every replica that the old one has ended.
async fn replace_key(
    tx: &mut Tx,
    vault: &Vault,
    id: &str,
    spared: Option<&AttendeeSession>,
) -> Result<SecretString> {
    let key = new_api_key()?;
    sqlx::query("update attendee set api_key_sealed = $2, key_digest = $3 where id = $1")
        .bind(id)
        .bind(vault.seal(place(id), key.expose_secret())?)
        .bind(key_digest(vault, key.expose_secret()).hex())
        .execute(&mut **tx)
        .await?;
    // Who had the old key may have signed clients in by it.
    oauth::end_all_in(tx, id).await?;
    session::end_by_in(tx, Way::Key, &[id], spared).await?;
    change::record(tx, Noun::Credential, id).await?;
    Ok(key)
}

/// Locks an attendee's row until the transaction ends. Cards are locked before it, codes for another
/// device and sessions behind it: in one order, nobody waits for somebody who waits for them.
async fn hold_in(tx: &mut Tx, id: &str) -> Result<()> {
    sqlx::query("update attendee set active = active where id = $1")
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Deletes an attendee. Their figures stay with the event. One who joined with the
/// shared code stays out until they are [let in again](deleted::let_in_again). `today` is
/// the UTC day whose use counts then.
pub async fn delete(db: &Db, by: &Actor, id: &str, today: u32) -> Result<()> {
    delete_in(change::write(db).await?, by, id, today).await
}

/// [`delete`] of an attendee of this event, if `allow` does of the attendee as stored.
///
/// # Errors
/// As of [`get`], and those of `allow`.
pub async fn delete_if<E: From<Error>>(
    db: &Db,
    by: &Actor,
    event_id: &str,
    id: &str,
    today: u32,
    allow: impl FnOnce(&Attendee) -> Result<(), E>,
) -> Result<(), E> {
    let mut tx = change::write(db).await?;
    allow(&get_in(&mut tx, &by.owner_id, event_id, id).await?)?;
    Ok(delete_in(tx, by, id, today).await?)
}

async fn delete_in(mut tx: Tx, by: &Actor, id: &str, today: u32) -> Result<()> {
    let who = own(&mut tx, by, id).await?;
    deleted::bury(&mut tx, id, today).await?;
    for statement in [
        // Before the attendee, as whoever uses the card locks them.
        "delete from claim_code where attendee_id = $1",
        "delete from quota where attendee_id = $1",
        "delete from attendee where id = $1",
    ] {
        sqlx::query(statement).bind(id).execute(&mut *tx).await?;
    }
    finish(tx, by, id, Action::Deleted, &who).await
}

/// An attendee's key, to be shown to them or their organiser.
pub async fn reveal_key(db: &Db, vault: &Vault, owner_id: &str, id: &str) -> Result<SecretString> {
    let sealed: Option<String> = sqlx::query_scalar(
        "select api_key_sealed from attendee join event on event.id = attendee.event_id
         where attendee.id = $1 and event.owner_id = $2 and event.purge_at is null",
    )
    .bind(id)
    .bind(owner_id)
    .fetch_optional(db.pool())
    .await?;
    Ok(vault.open(place(id), &sealed.ok_or_else(|| not_found(id))?)?)
}

fn not_found(id: &str) -> Error {
    Error::NotFound { noun: Noun::Attendee, name: id.to_owned() }
}

/// Whether the attendee exists and is active.
pub async fn is_active(db: &Db, id: &str) -> Result<bool> {
    let row = sqlx::query("select active from attendee where id = $1")
        .bind(id)
        .fetch_optional(db.pool())
        .await?;
    Ok(row.map(|row| row.flag("active")).transpose()?.unwrap_or(false))
}

/// Who it is, as the audit trail says it: without a name, which would outlive them
/// there. Fails unless the attendee is of an event of the actor's owner.
async fn own(tx: &mut Tx, by: &Actor, id: &str) -> Result<String> {
    let row = sqlx::query(
        "select user_id, event.name from attendee join event on event.id = attendee.event_id
         where attendee.id = $1 and event.owner_id = $2 and event.purge_at is null",
    )
    .bind(id)
    .bind(&by.owner_id)
    .fetch_optional(&mut **tx)
    .await?
    .ok_or_else(|| not_found(id))?;
    Ok(format!("{} of {}", row.text("user_id")?, row.text("name")?))
}

async fn finish(mut tx: Tx, by: &Actor, id: &str, action: Action, detail: &str) -> Result<()> {
    note(&mut tx, by, id, action, detail).await?;
    tx.commit().await?;
    Ok(())
}

/// Notes the change for every replica, and in the audit trail.
async fn note(tx: &mut Tx, by: &Actor, id: &str, action: Action, detail: &str) -> Result<()> {
    change::record(tx, Noun::Attendee, id).await?;
    audit::record(tx, by, action, Noun::Attendee, id, detail).await
}
