//! Attendees about whom nothing personal is stored any more. Their rows stay, because figures name
//! them by their ids, but say neither who they were nor let anybody in.

use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, Row};

use super::key::{self, new_api_key, place};
use crate::catalog::seal::Vault;
use crate::catalog::{Noun, Result, change, new_id};
use crate::db::{Columns, Tx};

/// How their user ids begin.
pub const PREFIX: &str = "gone:";

/// Attendees of one transaction.
const BATCH: u32 = 100;

/// What belongs to an attendee and is removed as a whole.
const ROWS: [&str; 4] = ["claim_code", "continue_code", "attendee_session", "oauth_grant"];

/// Makes a batch of an event's attendees anonymous; `false` where all of them are.
pub(in crate::catalog) async fn make_some(
    tx: &mut Tx,
    vault: &Vault,
    event_id: &str,
) -> Result<bool> {
    let statement = format!(
        "select id, user_id from attendee
         where event_id = $1 and (user_id not like '{PREFIX}%' or display_name <> '')
         order by id limit {BATCH}"
    );
    let rows = sqlx::query(AssertSqlSafe(statement)).bind(event_id).fetch_all(&mut **tx).await?;
    let mut ids = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = row.text("id")?;
        make(tx, vault, &id, &row.text("user_id")?).await?;
        ids.push(id);
    }
    // Their keys are cached by replicas.
    let changed: Vec<&str> = ids.iter().map(String::as_str).collect();
    change::record_all(tx, Noun::Attendee, &changed).await?;
    Ok(!ids.is_empty())
}

async fn make(tx: &mut Tx, vault: &Vault, id: &str, user_id: &str) -> Result<()> {
    let (anonymous, key) = (format!("{PREFIX}{}", new_id()), new_api_key()?);
    sqlx::query(
        "update attendee set user_id = $2, display_name = '', api_key_sealed = $3, key_digest = $4,
            last_error = null, last_error_at = null, terms_accepted_at = null
         where id = $1",
    )
    .bind(id)
    .bind(&anonymous)
    .bind(vault.seal(place(id), key.expose_secret())?)
    .bind(key::digest(vault, key.expose_secret()).hex())
    .execute(&mut **tx)
    .await?;
    for table in ROWS {
        let statement = format!("delete from {table} where attendee_id = $1");
        sqlx::query(AssertSqlSafe(statement)).bind(id).execute(&mut **tx).await?;
    }
    // Ended sessions keep others out of their ids, whoever had them.
    sqlx::query("update mcp_session set attendee_id = $2 where attendee_id = $1")
        .bind(id)
        .bind(&anonymous)
        .execute(&mut **tx)
        .await?;
    redact(tx, id, user_id, &anonymous).await
}

/// Names somebody differently in what the audit trail says of them.
async fn redact(tx: &mut Tx, id: &str, user_id: &str, anonymous: &str) -> Result<()> {
    sqlx::query(
        "update audit set actor = replace(actor, $2, $3), detail = replace(detail, $2, $3)
         where noun = 'attendee' and noun_id = $1",
    )
    .bind(id)
    .bind(user_id)
    .bind(anonymous)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Removes what is kept of those who were deleted from the event.
pub(in crate::catalog) async fn remove_tombstones(
    tx: &mut Tx,
    owner_id: &str,
    event_id: &str,
) -> Result<()> {
    let rows = sqlx::query(
        "delete from deleted_attendee where event_id = $1 returning user_id, attendee_id",
    )
    .bind(event_id)
    .fetch_all(&mut **tx)
    .await?;
    let mut user_ids = Vec::with_capacity(rows.len());
    for row in &rows {
        let (user_id, anonymous) = (row.text("user_id")?, format!("{PREFIX}{}", new_id()));
        match row.try_get::<Option<String>, _>("attendee_id")? {
            Some(id) => redact(tx, &id, &user_id, &anonymous).await?,
            None => redact_unlinked(tx, owner_id, &user_id, &anonymous).await?,
        }
        user_ids.push(user_id);
    }
    // Replicas remember by the user id that nobody is to be admitted.
    let changed: Vec<&str> = user_ids.iter().map(String::as_str).collect();
    change::record_all(tx, Noun::Attendee, &changed).await
}

/// The same of somebody who was deleted before their id was kept: by the user id, which is of a shared
/// code, and so of no other event.
async fn redact_unlinked(
    tx: &mut Tx,
    owner_id: &str,
    user_id: &str,
    anonymous: &str,
) -> Result<()> {
    sqlx::query(
        "update audit set detail = replace(detail, $2, $3)
         where owner_id = $1 and noun = 'attendee' and substr(detail, 1, length($4)) = $4",
    )
    .bind(owner_id)
    .bind(user_id)
    .bind(anonymous)
    .bind(format!("{user_id} of "))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
