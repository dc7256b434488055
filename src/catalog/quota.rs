//! Daily request caps, exact over all replicas: a replica leases requests of
//! (attendee, UTC day) before it admits them. What it does not spend goes back
//! with the next batch of `usage`.
//!
//! A lease is one conditional upsert, so no interleaving passes the cap.

use super::Result;
use crate::db::{Columns, Db};

/// What a lease led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
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
) -> Result<Option<Lease>> {
    // Read to the end: the row may come before the commit has succeeded.
    let rows = sqlx::query(
        "insert into quota (attendee_id, day, granted, spent)
         select $1, $2, $3, 0 where $3 <= $4
         on conflict (attendee_id, day) do update set granted = quota.granted + excluded.granted
         where quota.granted + excluded.granted <= $4
         returning granted, spent",
    )
    .bind(attendee_id)
    .bind(i64::from(day))
    .bind(i64::from(n))
    .bind(i64::from(cap))
    .fetch_all(db.writer())
    .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Lease { granted: row.count("granted")?, spent: row.count("spent")? }))
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
