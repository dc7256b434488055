//! Codes by which attendees who are signed in on one device continue on another: typed there, a
//! code signs them in as the first one was.
//!
//! A code has forty bits, so it is good for ten minutes and for one use, and an attendee has one at
//! a time. Only a keyed digest is stored. The device that shows it can see which browser opened, and
//! sign that one out.

use secrecy::{ExposeSecret, SecretString};
use sqlx::Row;
use unicode_normalization::UnicodeNormalization as _;

use super::row::{Attendee, select};
use super::session::{self, AttendeeSession, NewSession, Way};
use super::{hold_in, typed};
use crate::catalog::seal::Vault;
use crate::catalog::{Digest, Error, Result};
use crate::clock::MINUTE_MS;
use crate::db::{Columns, Db, Tx};

/// Characters of a code, each of five bits.
const LENGTH: usize = 8;

/// How long a code can be used.
pub const VALID_MS: i64 = 10 * MINUTE_MS;

/// Characters of what was typed that are looked at.
const LONGEST_TYPED: usize = 100;

/// How an attendee's code stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is none that could be used or was.
    None,
    /// It waits to be used, until this time (UTC milliseconds).
    Waiting { expires_at: i64 },
    /// It was used by the browser with this session, which is described in a few words.
    Opened { session: String, agent: String, at: i64 },
}

/// Makes a code for the attendee who is signed in, `XXXX-XXXX`. One made before is void.
///
/// # Errors
/// Those of the store; [`Error::Conflict`] where the session has ended, or was begun by a typed name while
/// somebody who has shown who they are waits to use a code.
pub async fn make(
    db: &Db,
    vault: &Vault,
    by: &AttendeeSession,
    now_ms: i64,
) -> Result<SecretString> {
    let code = new_code()?;
    let mut tx = db.write().await?;
    session::require_in(&mut tx, by).await?;
    if !by.way.is_proof() {
        refuse_beside_proven(&mut tx, by, now_ms).await?;
    }
    sqlx::query(
        "insert into continue_code (attendee_id, digest, session, expires_at)
         values ($1, $2, $3, $4)
         on conflict (attendee_id) do update set digest = excluded.digest,
            session = excluded.session, expires_at = excluded.expires_at,
            opened = null, opened_at = null",
    )
    .bind(&by.attendee.id)
    .bind(digest(vault, &code.expose_secret().replace('-', "")))
    .bind(by.id())
    .bind(now_ms + VALID_MS)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(code)
}

/// Fails where a browser in which somebody has shown who they are has a code that waits to be used.
async fn refuse_beside_proven(tx: &mut Tx, by: &AttendeeSession, now_ms: i64) -> Result<()> {
    let waiting: i64 = sqlx::query_scalar(
        "select count(*) from continue_code c join attendee_session s on s.digest = c.session
         where c.attendee_id = $1 and c.opened_at is null and c.expires_at >= $2 and s.way <> $3",
    )
    .bind(&by.attendee.id)
    .bind(now_ms)
    .bind(Way::Named.as_str())
    .fetch_one(&mut **tx)
    .await?;
    if waiting == 0 {
        return Ok(());
    }
    let reason =
        "another browser shows a code for this person already; use that one, or wait ten minutes";
    Err(Error::Conflict { reason: reason.to_owned() })
}

/// How the code stands that this browser made last.
pub async fn standing(db: &Db, session: &AttendeeSession, now_ms: i64) -> Result<Standing> {
    let row = sqlx::query(
        "select expires_at, opened, opened_at, agent from continue_code
         left join attendee_session on attendee_session.digest = opened
         where continue_code.attendee_id = $1 and session = $2",
    )
    .bind(&session.attendee.id)
    .bind(session.id())
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(Standing::None) };
    let expires_at = row.int("expires_at")?;
    match (row.try_get("opened")?, row.try_get("opened_at")?) {
        (Some(session), Some(at)) => {
            Ok(Standing::Opened { session, agent: row.text("agent")?, at })
        }
        (None, None) if expires_at >= now_ms => Ok(Standing::Waiting { expires_at }),
        // Also where the browser that opened was signed out since.
        _ => Ok(Standing::None),
    }
}

/// Signs out the browser that opened by the code that this one made last.
pub async fn not_me(db: &Db, session: &AttendeeSession) -> Result<()> {
    sqlx::query(
        "delete from attendee_session where attendee_id = $1 and digest = (
            select opened from continue_code where attendee_id = $1 and session = $2)",
    )
    .bind(&session.attendee.id)
    .bind(session.id())
    .execute(db.writer())
    .await?;
    Ok(())
}

/// Signs in, in the browser `agent`, whoever made the code that was typed. `None`: it is no code that
/// can be used. `held`: as of [`NewSession`].
///
/// # Errors
/// Those of the store.
pub async fn open(
    db: &Db,
    vault: &Vault,
    typed: &str,
    agent: &str,
    held: &[SecretString],
    now_ms: i64,
) -> Result<Option<(Attendee, SecretString)>> {
    let Some(code) = code_in(typed) else { return Ok(None) };
    let digest = digest(vault, &code);
    // Wrong ones are answered without a turn to write.
    let known = sqlx::query("select attendee_id from continue_code where digest = $1")
        .bind(&digest)
        .fetch_optional(db.pool())
        .await?;
    if known.is_none() {
        return Ok(None);
    }
    let mut tx = db.write().await?;
    let row = sqlx::query(select(
        ", s.way, s.created_at as begun_at from continue_code c join attendee on attendee.id = c.attendee_id
         join attendee_session s on s.digest = c.session
         join event on event.id = attendee.event_id
         where c.digest = $1 and c.opened_at is null and c.expires_at >= $2 and attendee.active = 1
            and event.purge_at is null and event.ends_at >= $2",
    ))
    .bind(&digest)
    .bind(now_ms)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let attendee = Attendee::read(&row)?;
    hold_in(&mut tx, &attendee.id).await?;
    let used = sqlx::query(
        "update continue_code set opened_at = $2 where digest = $1 and opened_at is null",
    )
    .bind(&digest)
    .bind(now_ms)
    .execute(&mut *tx)
    .await?;
    // PostgreSQL lets two read it as unused; the second of them signs nobody in.
    if used.rows_affected() == 0 {
        return Ok(None);
    }
    // It proves no more than what the first browser showed, and of a typed name not for longer.
    let new = NewSession { way: Way::stored(&row.text("way")?), agent, held };
    let created_at = if new.way.is_proof() { now_ms } else { row.int("begun_at")? };
    let token = session::begin_in(&mut tx, &attendee.id, &new, created_at, now_ms).await?;
    // The code is gone where it was typed in the browser that made it.
    sqlx::query("update continue_code set opened = $2 where digest = $1")
        .bind(&digest)
        .bind(session::digest(&token))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Some((attendee, token)))
}

/// Whether this is a code as people type it, rather than anything else that they were given.
pub fn is_code(typed: &str) -> bool {
    code_in(typed).is_some()
}

fn code_in(typed: &str) -> Option<String> {
    let text: String = typed.nfkc().take(LONGEST_TYPED).collect();
    // Nothing else: the code of a card begins like one of these.
    let is_whole = text.chars().filter(|character| character.is_alphanumeric()).count() == LENGTH;
    typed::leading(&text, LENGTH).filter(|_| is_whole)
}

fn digest(vault: &Vault, code: &str) -> String {
    // Never that of a card's code or an API key.
    let digest: Digest = vault.digest(&format!("continue code {code}"));
    digest.hex()
}

/// Event ids have eight characters as well, all of them hexadecimal: so one of these is not.
fn new_code() -> Result<SecretString> {
    loop {
        let characters = typed::random::<LENGTH>()?;
        if characters.iter().all(u8::is_ascii_hexdigit) {
            continue;
        }
        let (first, second) = characters.split_at(LENGTH / 2);
        let text = |half: &[u8]| half.iter().map(|byte| char::from(*byte)).collect::<String>();
        return Ok(format!("{}-{}", text(first), text(second)).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_never_an_event_id() {
        for _ in 0..2_000 {
            let code = new_code().unwrap();
            let code = code.expose_secret();
            assert!(is_code(code) && is_code(&code.to_lowercase().replace('-', " ")), "{code}");
            assert_eq!(crate::catalog::event::id_in(code), None, "{code}");
        }
        assert!(!is_code("7QK4-M2XB-9TDH"), "a card's");
    }
}
