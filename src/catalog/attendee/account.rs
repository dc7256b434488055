//! Attendees who join with an account that somebody else has checked: GitHub, or a gateway in front of
//! the proxy. Whoever calls this has the account from there.
//!
//! They are told apart by the id of the account, which never changes hands, so each is one attendee of
//! an event however often they come. One who was deleted stays out
//! ([`deleted`](super::deleted)).

use sqlx::AnyConnection;

use super::deleted;
use super::key::new_api_key;
use super::row::{Attendee, NewAttendee, insert, select};
use crate::catalog::event::{Event, EventState, JoinBy, Registration, Shut};
use crate::catalog::limits::PERSON;
use crate::catalog::seal::Vault;
use crate::catalog::{Error, Noun, Result, change, new_id};
use crate::db::{Columns, Db};

/// Longest id of an account at a gateway, in bytes.
const MAX_ID: usize = 128;

/// An account of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    by: JoinBy,
    user_id: String,
    name: String,
}

impl Account {
    /// `id` is the number that GitHub gives an account for good.
    pub fn github(id: u64, name: &str) -> Self {
        Self { by: JoinBy::GitHub, user_id: format!("github:{id}"), name: shown(name) }
    }

    /// `provider` is the gateway's word for where the account is, such as `aad`. `None` where the words
    /// of the gateway cannot be kept apart from others': then it is nobody.
    pub fn gateway(provider: &str, id: &str, name: &str) -> Option<Self> {
        let provider = provider.trim().to_ascii_lowercase();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_provider = (1..=32).contains(&provider.len()) && provider.bytes().all(is_word);
        let is_id = (1..=MAX_ID).contains(&id.len())
            && id.trim() == id
            && !id.chars().any(char::is_control);
        let user_id = format!("gateway:{provider}:{id}");
        let account = Self { by: JoinBy::Gateway, user_id, name: shown(name) };
        (is_provider && is_id).then_some(account)
    }

    /// As [`Attendee::user_id`].
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// As it is shown; it may be empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, or the id where there is none.
    pub fn shown(&self) -> &str {
        if self.name.is_empty() { &self.user_id } else { &self.name }
    }
}

fn shown(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !c.is_control()).take(PERSON).collect();
    plain.trim().to_owned()
}

/// Whether an account is let in.
#[derive(Clone, Debug)]
pub enum Admitted {
    /// This is their attendee.
    In(Attendee),
    /// They were deleted.
    Deleted,
    /// The event admits no new attendees in this way.
    Shut(Shut),
    /// The event is not open, and they have not joined before.
    NotOpen,
}

/// The attendee of an account, who is created where the event admits new ones now.
pub async fn admit(
    db: &Db,
    vault: &Vault,
    event: &Event,
    account: &Account,
    now_ms: i64,
) -> Result<Admitted> {
    let mut connection = db.pool().acquire().await?;
    if let Some(known) = find_in(&mut connection, &event.id, account).await?
        && is_up_to_date(&known, account)
    {
        return Ok(Admitted::In(known));
    }
    // Whoever waits for their turn to write keeps no other connection.
    drop(connection);
    let mut tx = change::write(db).await?;
    // Again, now that nobody else writes.
    let attendee = match find_in(&mut tx, &event.id, account).await? {
        Some(known) if is_up_to_date(&known, account) => return Ok(Admitted::In(known)),
        Some(known) => {
            sqlx::query("update attendee set display_name = $2 where id = $1")
                .bind(&known.id)
                .bind(&account.name)
                .execute(&mut *tx)
                .await?;
            Attendee { display_name: account.name.clone(), ..known }
        }
        None => {
            if let Some(refused) = refusal(&mut tx, event, account, now_ms).await? {
                return Ok(refused);
            }
            let attendee = Attendee {
                user_id: account.user_id.clone(),
                display_name: account.name.clone(),
                ..Attendee::new(new_id(), &event.id, now_ms)
            };
            let new = NewAttendee::new(vault, attendee, &new_api_key()?)?;
            insert(&mut tx, [&new]).await?;
            new.attendee
        }
    };
    change::record(&mut tx, Noun::Attendee, &attendee.id).await?;
    tx.commit().await?;
    Ok(Admitted::In(attendee))
}

/// Somebody who was let in again has no name until they are back.
fn is_up_to_date(attendee: &Attendee, account: &Account) -> bool {
    !attendee.display_name.is_empty() || account.name.is_empty()
}

/// Why somebody new cannot join; what the rows say counts, because the caller's copy of the event may be
/// behind them.
async fn refusal(
    connection: &mut AnyConnection,
    event: &Event,
    account: &Account,
    now_ms: i64,
) -> Result<Option<Admitted>> {
    let user_ids = [&*account.user_id; 2];
    if deleted::find(connection, &event.id, user_ids).await?.is_some() {
        return Ok(Some(Admitted::Deleted));
    }
    let row = sqlx::query(
        "select registration,
            (select count(*) from registration_stop where event_id = $1) as stopped
         from event where id = $1 and purge_at is null",
    )
    .bind(&event.id)
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| Error::NotFound { noun: Noun::Event, name: event.id.clone() })?;
    let registration = Registration::stored(&row.text("registration")?);
    if let Some(why) = Shut::to(account.by, registration, row.int("stopped")? > 0) {
        return Ok(Some(Admitted::Shut(why)));
    }
    Ok((event.state(now_ms) != EventState::Open).then_some(Admitted::NotOpen))
}

/// The attendee of an account that has joined the event.
pub async fn find(db: &Db, event_id: &str, account: &Account) -> Result<Option<Attendee>> {
    find_in(&mut *db.pool().acquire().await?, event_id, account).await
}

/// Whether anybody has joined the event with an account of this kind.
pub async fn has_any(db: &Db, event_id: &str, by: JoinBy) -> Result<bool> {
    let kind = match by {
        JoinBy::GitHub => "github:%",
        JoinBy::Gateway => "gateway:%",
        JoinBy::SharedCode => "shared:%",
    };
    let found: i64 = sqlx::query_scalar(
        "select count(*) from (select 1 as one from attendee
            where event_id = $1 and user_id like $2 limit 1) as found",
    )
    .bind(event_id)
    .bind(kind)
    .fetch_one(db.pool())
    .await?;
    Ok(found > 0)
}

async fn find_in(
    connection: &mut AnyConnection,
    event_id: &str,
    account: &Account,
) -> Result<Option<Attendee>> {
    let row = sqlx::query(select("from attendee where event_id = $1 and user_id = $2"))
        .bind(event_id)
        .bind(&account.user_id)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(Attendee::read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_gateway_says_becomes_an_id_only_where_it_cannot_be_anothers() {
        let account = Account::gateway("AAD", "d75b260a-64504067", " Ada\u{7} ").unwrap();
        assert_eq!((account.user_id(), account.name()), ("gateway:aad:d75b260a-64504067", "Ada"));
        let long = "x".repeat(129);
        for (provider, id) in
            [("", "1"), ("a:b", "1"), ("aad", ""), ("aad", " 1"), ("aad", "1\n"), ("aad", &long)]
        {
            assert_eq!(Account::gateway(provider, id, "Ada"), None, "{provider:?} {id:?}");
        }
        assert_eq!(Account::github(7, &"é".repeat(300)).name().chars().count(), PERSON);
    }
}
