//! Attendees who join with an event's shared code: their rows are created at
//! their first call.
//!
//! They are told apart by the name they give ([`name`]), which nobody has proven.
//! Their row has an API key like every other, but nobody knows it. One who was
//! deleted leaves a tombstone ([`deleted`](super::deleted)), which keeps them out.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::AnyConnection;

use super::key::new_api_key;
use super::row::{Attendee, NewAttendee, insert, select};
use super::{deleted, name};
use crate::catalog::event::{Event, JoinBy, Registration, Shut};
use crate::catalog::seal::Vault;
use crate::catalog::{Digest, Error, Noun, Result, change, new_id};
use crate::db::{Columns, Db};

/// Whether there was room for one more.
#[derive(Clone, Debug)]
pub enum Joined {
    /// Nobody was there under the name until now.
    New(Attendee),
    /// Somebody was: whoever asks may be somebody else.
    Known(Attendee),
    /// They were deleted; this is their user id.
    Deleted(String),
    /// The event has as many attendees with its shared code as it allows.
    Full,
    /// The event admits no new attendees.
    Shut(Shut),
    /// The name breaks the rule ([`name::LENGTH`]), and nobody joined under it before.
    NameNotUsable,
}

/// The attendee of the name, which is `sent` as in the key; created where there is
/// room for one more. The caller has checked the code.
pub async fn join_by_shared_code(
    db: &Db,
    vault: &Vault,
    event: &Event,
    sent: &[u8],
    now_ms: i64,
) -> Result<Joined> {
    let Some(ids) = Ids::of(&event.id, sent) else { return Ok(Joined::NameNotUsable) };
    if ids.length < *name::LENGTH.start() {
        return Ok(Joined::NameNotUsable);
    }
    let shown = name::shown(sent).unwrap_or_default();
    let mut connection = db.pool().acquire().await?;
    let mut found = find(&mut connection, &event.id, &ids).await?;
    if let Some(attendee) = found.take_if(|found| ids.is_up_to_date(found)) {
        return Ok(Joined::Known(attendee));
    }
    if let Some(user_id) = tombstone(&mut connection, &event.id, &ids, found.is_some()).await? {
        return Ok(Joined::Deleted(user_id));
    }
    // Whoever waits for their turn to write keeps no other connection.
    drop(connection);
    if found.is_none() {
        // After the search: names joined that were longer than may join now.
        if !name::LENGTH.contains(&ids.length) {
            return Ok(Joined::NameNotUsable);
        }
        if let Some(why) = event.shut_to(JoinBy::SharedCode) {
            return Ok(Joined::Shut(why));
        }
    }
    let mut tx = change::write(db).await?;
    // Again, now that nobody else writes.
    let (id, joined): (String, fn(Attendee) -> Joined) =
        if let Some(known) = find(&mut tx, &event.id, &ids).await? {
            if ids.is_up_to_date(&known) {
                return Ok(Joined::Known(known));
            }
            if let Some(user_id) = tombstone(&mut tx, &event.id, &ids, true).await? {
                return Ok(Joined::Deleted(user_id));
            }
            let statement = "update attendee set user_id = $2, display_name = case
            when display_name = '' then $3 else display_name end where id = $1";
            sqlx::query(statement)
                .bind(&known.id)
                .bind(&ids.now)
                .bind(&shown)
                .execute(&mut *tx)
                .await?;
            (known.id, Joined::Known)
        } else {
            if let Some(refused) = refusal(&mut tx, &event.id, &ids).await? {
                return Ok(refused);
            }
            let id = new_id();
            let attendee = Attendee {
                user_id: ids.now.clone(),
                display_name: shown,
                ..Attendee::new(id.clone(), &event.id, now_ms)
            };
            insert(&mut tx, [&NewAttendee::new(vault, attendee, &new_api_key()?)?]).await?;
            (id, Joined::New)
        };
    change::record(&mut tx, Noun::Attendee, &id).await?;
    tx.commit().await?;
    let attendee = find(&mut *db.pool().acquire().await?, &event.id, &ids).await?;
    let gone = || Error::NotFound { noun: Noun::Attendee, name: ids.now.clone() };
    attendee.map(joined).ok_or_else(gone)
}

/// The user id under which the name was deleted. Where somebody `is_found`, a row that
/// another spelling made before names were decoded, that of today's counts: they must
/// not come back by it.
async fn tombstone(
    connection: &mut AnyConnection,
    event_id: &str,
    ids: &Ids,
    is_found: bool,
) -> Result<Option<String>> {
    let user_ids = if is_found { [&*ids.now; 2] } else { ids.both() };
    deleted::find(connection, event_id, user_ids).await
}

/// Why somebody new cannot join, by what the rows say: the caller's copy of the
/// event may be behind them.
async fn refusal(
    connection: &mut AnyConnection,
    event_id: &str,
    ids: &Ids,
) -> Result<Option<Joined>> {
    if let Some(user_id) = tombstone(connection, event_id, ids, false).await? {
        return Ok(Some(Joined::Deleted(user_id)));
    }
    let room = sqlx::query(
        "select registration, shared_code_limit,
            (select count(*) from attendee where event_id = $1 and user_id like 'shared:%')
                + (select count(*) from deleted_attendee
                    where event_id = $1 and user_id like 'shared:%') as joined,
            (select count(*) from registration_stop where event_id = $1) as stopped
         from event where id = $1 and purge_at is null",
    )
    .bind(event_id)
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| Error::NotFound { noun: Noun::Event, name: event_id.to_owned() })?;
    let is_stopped = room.int("stopped")? > 0;
    let registration = Registration::stored(&room.text("registration")?);
    if let Some(why) = Shut::to(JoinBy::SharedCode, registration, is_stopped) {
        return Ok(Some(Joined::Shut(why)));
    }
    Ok((room.int("joined")? >= room.int("shared_code_limit")?).then_some(Joined::Full))
}

/// Whether anybody has joined the event under the name.
pub async fn has_joined(db: &Db, event_id: &str, sent: &[u8]) -> Result<bool> {
    let Some(ids) = Ids::of(event_id, sent) else { return Ok(false) };
    Ok(find(&mut *db.pool().acquire().await?, event_id, &ids).await?.is_some())
}

/// Identity is event and name, so a new code resets nobody's cap. `name` is as
/// [`name::normal`] makes it.
pub fn shared_user_id(event_id: &str, name: &str) -> String {
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    format!("shared:{}", Digest::sha256(format!("{event_id}{name}").as_bytes()).hex())
}

/// The user ids that a name can have.
struct Ids {
    now: String,
    /// As it was made before names were decoded: of the name as sent.
    before: String,
    /// Of the normal name, in characters.
    length: usize,
}

impl Ids {
    fn of(event_id: &str, sent: &[u8]) -> Option<Self> {
        let normal = name::normal(sent)?;
        let literal = String::from_utf8_lossy(sent).trim().to_lowercase();
        Some(Self {
            now: shared_user_id(event_id, &normal),
            before: shared_user_id(event_id, &literal),
            length: normal.chars().count(),
        })
    }

    fn both(&self) -> [&str; 2] {
        [&self.now, &self.before]
    }

    /// Whether the row already has today's user id and a name.
    fn is_up_to_date(&self, attendee: &Attendee) -> bool {
        attendee.user_id == self.now && !attendee.display_name.is_empty()
    }
}

async fn find(
    connection: &mut AnyConnection,
    event_id: &str,
    ids: &Ids,
) -> Result<Option<Attendee>> {
    let rows = sqlx::query(select("from attendee where event_id = $1 and user_id in ($2, $3)"))
        .bind(event_id)
        .bind(&ids.now)
        .bind(&ids.before)
        .fetch_all(connection)
        .await?;
    let mut found = rows.iter().map(Attendee::read).collect::<Result<Vec<_>>>()?;
    // Today's first: where there are two, the older one stays unchanged.
    found.sort_by_key(|attendee| attendee.user_id != ids.now);
    Ok(found.into_iter().next())
}
