//! How every replica learns within a second or two that a session was ended or
//! taken over: a counter of its own, polled like the catalog's revision, which it
//! does not touch. The counter's row is also the lock under which claims are made.

use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::catalog::{Digest, Result};
use crate::db::{Columns, Db, Parameters};

/// Changes that are kept; a replica that missed more forgets all that it knows.
const KEPT: i64 = 10_000;

/// Rows of one statement at most: databases limit its parameters.
const ROWS: usize = 500;

/// The digests of the server's origin and of the session's id.
pub type Key = (Digest, Digest);

/// Sessions that changed since the last look.
#[derive(Debug, PartialEq, Eq)]
pub struct Since {
    pub revision: i64,
    /// `None`: not all of it is known, so everything must be looked up again.
    pub changed: Option<Vec<Key>>,
}

/// Waits until nobody else claims or ends a session.
pub(super) async fn lock(tx: &mut AnyConnection) -> Result<()> {
    sqlx::query("update revision set value = value where name = 'session'").execute(tx).await?;
    Ok(())
}

/// Notes that these sessions changed. To be called before their rows are written,
/// because it locks the counter: two writers never wait for each other in a circle.
pub(super) async fn record(tx: &mut AnyConnection, keys: &[Key]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
    let last: i64 = sqlx::query_scalar(
        "update revision set value = value + $1 where name = 'session' returning value",
    )
    .bind(count)
    .fetch_one(&mut *tx)
    .await?;
    let mut revision = last - count;
    for keys in keys.chunks(ROWS) {
        let mut parameters = Parameters::on(tx);
        // Padded to a few lengths with rows that are left out, as each is prepared once.
        let rows = keys.len().next_power_of_two();
        let statement = format!(
            "insert into session_change (revision, endpoint_digest, session_digest)
             select cast(column1 as bigint), column2, column3 from (values {}) as changed
             where column1 <> ''",
            parameters.rows(3, rows)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for (endpoint, id) in keys {
            revision += 1;
            query = query.bind(revision.to_string()).bind(endpoint.hex()).bind(id.hex());
        }
        for _ in 0..(rows - keys.len()) * 3 {
            query = query.bind("");
        }
        query.execute(&mut *tx).await?;
    }
    sqlx::query("delete from session_change where revision <= $1")
        .bind(last - KEPT)
        .execute(tx)
        .await?;
    Ok(())
}

/// What was committed after revision `known`: one point read if nothing was.
pub async fn since(db: &Db, known: i64) -> Result<Since> {
    let revision: i64 = sqlx::query_scalar("select value from revision where name = 'session'")
        .fetch_one(db.pool())
        .await?;
    if revision == known {
        return Ok(Since { revision, changed: Some(Vec::new()) });
    }
    if !(1..=KEPT).contains(&revision.saturating_sub(known)) {
        return Ok(Since { revision, changed: None });
    }
    let rows = sqlx::query(
        "select endpoint_digest, session_digest from session_change
         where revision > $1 and revision <= $2",
    )
    .bind(known)
    .bind(revision)
    .fetch_all(db.pool())
    .await?;
    let digest = |text: Option<String>| Digest::from_hex(&text?);
    let changed: Option<Vec<Key>> = rows
        .iter()
        .map(|row| {
            let endpoint = digest(row.try_get("endpoint_digest").ok())?;
            Some((endpoint, digest(row.text("session_digest").ok())?))
        })
        .collect();
    let is_whole = |keys: &Vec<Key>| i64::try_from(keys.len()).ok() == Some(revision - known);
    Ok(Since { revision, changed: changed.filter(is_whole) })
}
