//! How a change reaches every replica: each write to the catalog bumps the
//! revision in its own transaction, and replicas poll that one row.
//!
//! The row is also the catalog's lock. Who writes begins with [`write`], so
//! that on either database checks and writes of one transaction see no other
//! in between, and revisions are committed in their order.

use std::fmt;

use sqlx::{AssertSqlSafe, Row};

use super::Result;
use crate::db::{Columns, Db, Parameters, Tx};

/// Changes that are noted in one statement.
const ROWS: usize = 256;

/// Changes that are kept; a replica that missed more reads everything anew.
const KEPT: i64 = 10_000;

/// What a change is about. A change of an event's resources is the event's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Noun {
    Owner,
    Event,
    Resource,
    Attendee,
    /// What an attendee calls by: their key was replaced, with which all grants end, or one grant has
    /// ended. It is noted by the attendee's id, behind which, after a space, that of the one grant is.
    Credential,
}

impl Noun {
    pub fn as_str(self) -> &'static str {
        match self {
            Noun::Owner => "owner",
            Noun::Event => "event",
            Noun::Resource => "resource",
            Noun::Attendee => "attendee",
            Noun::Credential => "credential",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Noun::Owner, Noun::Event, Noun::Resource, Noun::Attendee, Noun::Credential]
            .into_iter()
            .find(|noun| noun.as_str() == text)
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened after a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    None,
    /// In the order in which it happened.
    Some {
        revision: i64,
        changes: Vec<(Noun, String)>,
    },
    /// Not all of it is known any more: read everything anew.
    Gap {
        revision: i64,
    },
}

/// Begins a transaction that writes the catalog, one at a time across replicas.
pub async fn write(db: &Db) -> Result<Tx> {
    let mut tx = db.write().await?;
    sqlx::query("update revision set value = value where name = 'catalog'")
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

/// Notes that `id` changed. Replicas learn of it when `tx` is committed.
pub async fn record(tx: &mut Tx, noun: Noun, id: &str) -> Result<()> {
    record_all(tx, noun, &[id]).await
}

/// Notes that each of `ids` changed.
pub async fn record_all(tx: &mut Tx, noun: Noun, ids: &[&str]) -> Result<()> {
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let last: i64 = sqlx::query_scalar(
        "update revision set value = value + $1 where name = 'catalog' returning value",
    )
    .bind(count)
    .fetch_one(&mut **tx)
    .await?;
    // If there are more changes than are kept, the first ones would be pruned below.
    let kept = ids.len().saturating_sub(usize::try_from(KEPT).unwrap_or(usize::MAX));
    let numbered: Vec<_> = (last - count + 1..).zip(ids).skip(kept).collect();
    for rows in numbered.chunks(ROWS) {
        let statement = format!(
            "insert into change (revision, noun, noun_id) values {}",
            Parameters::on(tx).rows(3, rows.len())
        );
        // Only full batches and single changes are worth a prepared statement.
        let is_common = rows.len() == 1 || rows.len() == ROWS;
        let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(is_common);
        for (revision, id) in rows {
            query = query.bind(*revision).bind(noun.as_str()).bind((**id).to_owned());
        }
        query.execute(&mut **tx).await?;
    }
    sqlx::query("delete from change where revision <= $1")
        .bind(last - KEPT)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The revision that all committed writes have led to.
pub async fn revision(db: &Db) -> Result<i64> {
    let value = sqlx::query_scalar("select value from revision where name = 'catalog'")
        .fetch_one(db.pool())
        .await?;
    Ok(value)
}

/// What was committed after revision `known`. One point read where nothing was.
pub async fn since(db: &Db, known: i64) -> Result<Changes> {
    let revision = revision(db).await?;
    if revision == known {
        return Ok(Changes::None);
    }
    let rows = sqlx::query(
        "select noun, noun_id from change where revision > $1 and revision <= $2 order by revision",
    )
    .bind(known)
    .bind(revision)
    .fetch_all(db.pool())
    .await?;
    // Fewer rows than revisions: pruned, or the store is another one by now. A
    // noun that is not known is of a newer release.
    let changes: Option<Vec<_>> = rows
        .iter()
        .map(|row| {
            let noun = Noun::parse(&row.text("noun").ok()?)?;
            Some((noun, row.try_get("noun_id").ok()?))
        })
        .collect();
    match changes {
        Some(changes) if i64::try_from(changes.len()).ok() == Some(revision - known) => {
            Ok(Changes::Some { revision, changes })
        }
        _ => Ok(Changes::Gap { revision }),
    }
}
