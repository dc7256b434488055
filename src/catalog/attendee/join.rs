//! Attendees who come by an event's shared code, made when they first call.
//!
//! They are told apart by the name they give, which nobody has proven. Their
//! row has an API key as every other, which nobody knows until it is shown.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Attendee, New, insert, new_api_key};
use crate::catalog::event::{Event, Shut};
use crate::catalog::seal::Vault;
use crate::catalog::{Digest, Error, Noun, Result, change, new_id};
use crate::db::{Columns, Db};

/// Whether there was room for one more.
#[derive(Clone, Debug)]
pub enum Joined {
    Attendee(Attendee),
    /// As many as the event allows have come by its shared code.
    Full,
    /// The event takes nobody new.
    Shut(Shut),
}

/// The attendee that `name` stands for; made where there is room for one more.
/// That the code was right is for the caller to know.
pub async fn join_by_shared_code(
    db: &Db,
    vault: &Vault,
    event: &Event,
    name: &str,
) -> Result<Joined> {
    let user_id = shared_user_id(&event.id, name);
    if let Some(attendee) = find(db, &event.id, &user_id).await? {
        return Ok(Joined::Attendee(attendee));
    }
    if let Some(why) = event.shut() {
        return Ok(Joined::Shut(why));
    }
    let mut tx = change::write(db).await?;
    // The row's own say: the caller's copy of the event may be behind it.
    let room = sqlx::query(
        "select registration, shared_code_limit, (select count(*) from attendee
            where event_id = $1 and user_id like 'shared:%') as joined,
            (select count(*) from registration_stop where event_id = $1) as stopped
         from event where id = $1 and purge_at is null",
    )
    .bind(&event.id)
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| Error::NotFound { noun: Noun::Event, name: event.id.clone() })?;
    let known = sqlx::query("select id from attendee where event_id = $1 and user_id = $2")
        .bind(&event.id)
        .bind(&user_id)
        .fetch_optional(&mut *tx)
        .await?;
    if known.is_none() {
        let is_stopped = room.int("stopped")? > 0;
        if let Some(why) = Shut::of(&room.text("registration")?, is_stopped) {
            return Ok(Joined::Shut(why));
        }
        if room.int("joined")? >= room.int("shared_code_limit")? {
            return Ok(Joined::Full);
        }
        let id = new_id();
        let new = New {
            id: &id,
            event_id: &event.id,
            user_id: &user_id,
            display_name: &name.trim().chars().take(128).collect::<String>(),
            key: &new_api_key()?,
        };
        insert(&mut tx, vault, new).await?;
        change::record(&mut tx, Noun::Attendee, &id).await?;
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    let attendee = find(db, &event.id, &user_id).await?;
    let gone = || Error::NotFound { noun: Noun::Attendee, name: user_id };
    attendee.map(Joined::Attendee).ok_or_else(gone)
}

/// Identity is event and name, however the name is cased and padded: a new
/// code resets nobody's cap.
pub fn shared_user_id(event_id: &str, name: &str) -> String {
    let name = name.trim().to_lowercase();
    let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
    format!("shared:{}", Digest::sha256(format!("{event_id}{name}").as_bytes()).hex())
}

async fn find(db: &Db, event_id: &str, user_id: &str) -> Result<Option<Attendee>> {
    let row = sqlx::query(
        "select id, event_id, user_id, display_name, active, daily_request_cap, created_at,
            last_seen_at, last_error, last_error_at
         from attendee where event_id = $1 and user_id = $2",
    )
    .bind(event_id)
    .bind(user_id)
    .fetch_optional(db.pool())
    .await?;
    row.as_ref().map(Attendee::read).transpose()
}
