//! What attendees do with what is theirs, in a browser in which they are signed in: see their key,
//! replace it, end all sign-ins.
//!
//! All of it needs a session that shows who they are: whoever only typed a name has none of it.
//! Each write checks within its transaction that nobody has ended the session meanwhile.

use secrecy::SecretString;

use super::key::{API_KEY, place};
use super::session::{self, AttendeeSession, Way};
use super::{hold_in, not_found, replace_key};
use crate::catalog::audit::{self, Action, Actor};
use crate::catalog::seal::Vault;
use crate::catalog::{Error, Noun, Result, change, oauth};
use crate::db::{Columns, Db, Tx};

/// Whether something that was done made the attendee's card void as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    Keep,
    /// Somebody else may have seen it.
    Void,
}

/// The key that was issued to the attendee.
///
/// # Errors
/// [`Error::Conflict`] where the session does not show who they are.
pub async fn key(db: &Db, vault: &Vault, session: &AttendeeSession) -> Result<SecretString> {
    require_proof(session)?;
    let id = &session.attendee.id;
    let sealed = sqlx::query("select api_key_sealed from attendee where id = $1")
        .bind(id)
        .fetch_optional(db.pool())
        .await?
        .ok_or_else(|| not_found(id))?;
    Ok(vault.open(place(id), &sealed.text(API_KEY)?)?)
}

/// Gives the attendee a new key; the old one stops at once.
///
/// # Errors
/// [`Error::Conflict`] where the session does not show who they are, or has ended.
pub async fn new_key(
    db: &Db,
    vault: &Vault,
    session: &AttendeeSession,
    card: Card,
    now_ms: i64,
) -> Result<()> {
    let mut tx = begin(db, session, card).await?;
    let id = &session.attendee.id;
    replace_key(&mut tx, vault, id, Some(session)).await?;
    finish(tx, session, Action::MadeNewKey, card, now_ms).await
}

/// Signs the attendee out of every browser, this one included. Their key stays.
///
/// # Errors
/// [`Error::Conflict`] where the session does not show who they are, or has ended.
pub async fn sign_out_everywhere(
    db: &Db,
    session: &AttendeeSession,
    card: Card,
    now_ms: i64,
) -> Result<()> {
    let mut tx = begin(db, session, card).await?;
    session::end_all_in(&mut tx, &session.attendee.id).await?;
    finish(tx, session, Action::SignedOutEverywhere, card, now_ms).await
}

/// Signs the attendee out of one browser, which another of theirs lists.
///
/// # Errors
/// [`Error::Conflict`] where the session does not show who they are, or has ended.
pub async fn sign_out_of(db: &Db, session: &AttendeeSession, id: &str) -> Result<()> {
    require_proof(session)?;
    let mut tx = db.write().await?;
    session::require_in(&mut tx, session).await?;
    sqlx::query("delete from attendee_session where digest = $1 and attendee_id = $2")
        .bind(id)
        .bind(&session.attendee.id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Ends what the attendee allowed an app.
///
/// # Errors
/// [`Error::Conflict`] where the session does not show who they are, or has ended.
pub async fn disconnect(db: &Db, session: &AttendeeSession, grant_id: &str) -> Result<()> {
    require_proof(session)?;
    let mut tx = change::write(db).await?;
    session::require_in(&mut tx, session).await?;
    oauth::end_in(&mut tx, &session.attendee.id, grant_id).await?;
    tx.commit().await?;
    Ok(())
}

fn require_proof(session: &AttendeeSession) -> Result<()> {
    if session.way.is_proof() {
        return Ok(());
    }
    let reason = "a name that is typed does not show who you are; open this page in the browser in \
                  which you joined, or ask the organiser for a new key";
    Err(Error::Conflict { reason: reason.to_owned() })
}

/// Begins to change what is the attendee's, with the locks in the order of [`hold_in`].
async fn begin(db: &Db, session: &AttendeeSession, card: Card) -> Result<Tx> {
    require_proof(session)?;
    let mut tx = change::write(db).await?;
    session::require_in(&mut tx, session).await?;
    let id = &session.attendee.id;
    if card == Card::Void {
        sqlx::query("delete from claim_code where attendee_id = $1")
            .bind(id)
            .execute(&mut *tx)
            .await?;
    }
    hold_in(&mut tx, id).await?;
    Ok(tx)
}

async fn finish(
    mut tx: Tx,
    session: &AttendeeSession,
    action: Action,
    card: Card,
    now_ms: i64,
) -> Result<()> {
    let AttendeeSession { attendee, owner_id, .. } = session;
    if card == Card::Void {
        session::end_by_in(&mut tx, Way::Card, &[&attendee.id], Some(session)).await?;
    }
    let by = Actor::attendee(owner_id, &attendee.user_id, now_ms);
    let detail = if card == Card::Void { "and voided the card" } else { "" };
    audit::record(&mut tx, &by, action, Noun::Attendee, &attendee.id, detail).await?;
    tx.commit().await?;
    Ok(())
}
