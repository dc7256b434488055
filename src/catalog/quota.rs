//! Daily request caps, exact over all replicas: a replica leases requests of
//! (attendee, UTC day) before it admits them. What it does not spend goes back
//! with the next batch of `usage`.
//!
//! A lease is one conditional upsert, so no interleaving passes the cap.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::Result;
use crate::db::{Columns, Db, Parameters};

/// An attendee's requests of one day, as a lease left them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Requests of the day that all replicas hold or have spent, these included.
    pub granted: u32,
    /// Requests of the day that replicas have reported as spent.
    pub spent: u32,
}

/// Leases `n` requests of `day` (UTC days since 1970), all or none: `None`
/// where that many do not fit under `cap` any more.
///
/// After an error the requests may be leased or not; count them as leased.
pub async fn lease(
    db: &Db,
    attendee_id: &str,
    day: u32,
    n: u32,
    cap: u32,
) -> Result<Option<Grant>> {
    let leased = lease_many(db, day, cap, &[(attendee_id, n)]).await?;
    Ok(leased.into_values().next())
}

/// Leases for several attendees of one cap in one statement, for each all or
/// none: who is not in the answer got none. Nobody may be named twice.
///
/// After an error the requests may be leased or not; count them as leased.
pub async fn lease_many(
    db: &Db,
    day: u32,
    cap: u32,
    asked: &[(&str, u32)],
) -> Result<HashMap<String, Grant>> {
    // In one order, so that replicas do not wait for each other's rows in a circle.
    let mut asked = asked.to_vec();
    asked.sort_unstable();
    // Made up with rows that ask for too much, the statement is of few lengths:
    // it is prepared once for each.
    let too_much = ("", i64::from(cap) + 1);
    let rows = asked.len().next_power_of_two();
    let asked = asked.into_iter().map(|(attendee_id, n)| (attendee_id, i64::from(n)));
    let mut connection = db.writer().acquire().await?;
    let mut parameters = Parameters::on(&connection);
    let statement = format!(
        "insert into quota (attendee_id, day, granted, spent)
         select column1, {}, column2, 0 from (values {}) as asked where column2 <= {}
         on conflict (attendee_id, day) do update set granted = quota.granted + excluded.granted
         where quota.granted + excluded.granted <= {}
         returning attendee_id, granted, spent",
        parameters.next(),
        parameters.rows(2, rows),
        parameters.next(),
        parameters.next()
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)).bind(i64::from(day));
    for (attendee_id, n) in asked.chain(std::iter::repeat(too_much)).take(rows) {
        query = query.bind(attendee_id.to_owned()).bind(n);
    }
    query = query.bind(i64::from(cap)).bind(i64::from(cap));
    // Read to the end: rows may come before the commit has succeeded.
    let rows = query.fetch_all(&mut *connection).await?;
    rows.iter()
        .map(|row| {
            let lease = Grant { granted: row.count("granted")?, spent: row.count("spent")? };
            Ok((row.text("attendee_id")?, lease))
        })
        .collect()
}

/// What replicas have reported as spent of `day`.
pub async fn used(db: &Db, attendee_id: &str, day: u32) -> Result<u32> {
    let row = sqlx::query("select spent from quota where attendee_id = $1 and day = $2")
        .bind(attendee_id)
        .bind(i64::from(day))
        .fetch_optional(db.pool())
        .await?;
    Ok(row.map(|row| row.count("spent")).transpose()?.unwrap_or(0))
}
