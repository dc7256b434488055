//! Many new attendees with few statements: a statement costs the store far more
//! than a row, and nobody else can write meanwhile. Keys are made and sealed before
//! the transaction begins; whether an attendee may be added is decided by the caller.

use secrecy::{ExposeSecret, SecretString};
use sqlx::AssertSqlSafe;

use super::place;
use crate::catalog::Result;
use crate::catalog::seal::Vault;
use crate::db::{Parameters, Tx};

/// Rows of one statement.
const ROWS: usize = 128;

/// A new attendee, with their key sealed: that takes time, so it is done before
/// the transaction is begun.
pub struct Row {
    pub id: String,
    pub user_id: String,
    pub display_name: String,
    sealed: String,
    digest: String,
    pub active: bool,
    pub daily_request_cap: Option<u32>,
    /// UTC milliseconds, as are the others.
    pub created_at: i64,
    pub last_seen_at: Option<i64>,
    pub last_error: Option<String>,
    pub last_error_at: Option<i64>,
}

impl Row {
    pub fn new(vault: &Vault, id: String, key: &SecretString, created_at: i64) -> Result<Self> {
        let key = key.expose_secret();
        Ok(Self {
            sealed: vault.seal(place(&id), key)?,
            digest: vault.digest(key).hex(),
            id,
            user_id: String::new(),
            display_name: String::new(),
            active: true,
            daily_request_cap: None,
            created_at,
            last_seen_at: None,
            last_error: None,
            last_error_at: None,
        })
    }
}

/// Inserts attendees of one event.
pub async fn insert_all<'a>(
    tx: &mut Tx,
    event_id: &str,
    rows: impl Iterator<Item = &'a Row>,
) -> Result<()> {
    let rows: Vec<_> = rows.collect();
    for rows in rows.chunks(ROWS) {
        let statement = format!(
            "insert into attendee (id, event_id, user_id, display_name, api_key_sealed,
                key_digest, active, daily_request_cap, created_at, last_seen_at, last_error,
                last_error_at)
             values {}",
            Parameters::on(tx).rows(12, rows.len())
        );
        let is_full = rows.len() == ROWS;
        let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(is_full);
        for row in rows {
            query = query
                .bind(row.id.clone())
                .bind(event_id.to_owned())
                .bind(row.user_id.clone())
                .bind(row.display_name.clone())
                .bind(row.sealed.clone())
                .bind(row.digest.clone())
                .bind(i64::from(row.active))
                .bind(row.daily_request_cap.map(i64::from))
                .bind(row.created_at)
                .bind(row.last_seen_at)
                .bind(row.last_error.clone())
                .bind(row.last_error_at);
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}
