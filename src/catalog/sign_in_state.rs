//! Sign-ins at Microsoft or GitHub that came back: each comes back once, in whichever replica. Nothing
//! is stored of those that have only begun.
//!
//! The table has the name that it was given when Microsoft was the only one.

use super::Result;
use super::owner::token;
use crate::db::Db;

/// Notes that a sign-in came back; `false` if it did before. `state` is what
/// tells it from others, until `expires_at` (UTC milliseconds).
pub async fn spend(db: &Db, state: &str, expires_at: i64, now_ms: i64) -> Result<bool> {
    let mut tx = db.write().await?;
    sqlx::query("delete from entra_state where expires_at < $1")
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
    let spent = sqlx::query(
        "insert into entra_state (digest, expires_at) values ($1, $2)
         on conflict (digest) do nothing",
    )
    .bind(token::digest(state))
    .bind(expires_at)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(spent.rows_affected() == 1)
}
