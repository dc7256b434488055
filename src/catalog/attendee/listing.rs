//! An owner's attendees as a page lists them: with what they used, and how their
//! card stands.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::not_found;
use super::row::{Attendee, select};
use crate::catalog::Result;
use crate::db::{Columns, Db};

#[derive(Clone, Debug)]
pub struct ListedAttendee {
    pub attendee: Attendee,
    /// Requests of the day asked for, and of all days.
    pub used: u64,
    pub total: u64,
    /// Their own daily request cap, or the event's.
    pub cap: u32,
    /// UTC milliseconds, as is the next.
    pub card_made_at: Option<i64>,
    pub claimed_at: Option<i64>,
}

impl ListedAttendee {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            attendee: Attendee::read(row)?,
            used: row.int("used")?.unsigned_abs(),
            total: row.int("total")?.unsigned_abs(),
            cap: row.count("cap")?,
            card_made_at: row.try_get("card_made_at")?,
            claimed_at: row.try_get("claimed_at")?,
        })
    }

    /// Their name, or, where they have none, their user id.
    pub fn name(&self) -> &str {
        let Attendee { display_name, user_id, .. } = &self.attendee;
        if display_name.is_empty() { user_id } else { display_name }
    }
}

/// Some rows of a list, and how many there are in all.
#[derive(Debug)]
pub struct AttendeePage {
    pub rows: Vec<ListedAttendee>,
    pub all: u32,
}

/// Follows the columns of an [`Attendee`].
const LISTED: &str = ", coalesce(attendee.daily_request_cap, event.daily_request_cap) as cap,
        coalesce((select spent from quota where quota.attendee_id = attendee.id and day = $3), 0)
            as used,
        (select cast(coalesce(sum(requests), 0) as bigint) from usage
            where usage.attendee_id = attendee.id) as total,
        claim_code.created_at as card_made_at, claimed_at
    from attendee join event on event.id = attendee.event_id
    left join claim_code on claim_code.attendee_id = attendee.id
    where event.owner_id = $1 and event.id = $2 and event.purge_at is null";

/// The attendees of an owner's event of whose name or user id `search` is a part,
/// in the order in which they came: `limit` of them after `skip`. `day`: the UTC
/// day whose use is told.
pub async fn page(
    db: &Db,
    owner_id: &str,
    event_id: &str,
    day: u32,
    search: &str,
    (skip, limit): (u32, u32),
) -> Result<AttendeePage> {
    let found = found(db, owner_id, event_id, search).await?;
    let all = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let ids: Vec<String> = found.into_iter().skip(skip as usize).take(limit as usize).collect();
    if ids.is_empty() {
        return Ok(AttendeePage { rows: Vec::new(), all });
    }
    let places: Vec<String> = (4..4 + ids.len()).map(|place| format!("${place}")).collect();
    let statement = select(&format!(
        "{LISTED} and attendee.id in ({}) order by attendee.created_at, attendee.id",
        places.join(", ")
    ));
    let mut query =
        sqlx::query(statement).persistent(false).bind(owner_id).bind(event_id).bind(i64::from(day));
    for id in ids {
        query = query.bind(id);
    }
    let rows = query.fetch_all(db.pool()).await?;
    Ok(AttendeePage { rows: rows.iter().map(ListedAttendee::read).collect::<Result<_>>()?, all })
}

/// The ids of those who are looked for. Compared here and not by the store: SQLite
/// knows the small letters of A to Z only, PostgreSQL those of its own locale.
async fn found(db: &Db, owner_id: &str, event_id: &str, search: &str) -> Result<Vec<String>> {
    let wanted = search.trim().to_lowercase();
    let rows = sqlx::query(
        "select attendee.id, display_name, user_id
         from attendee join event on event.id = attendee.event_id
         where event.owner_id = $1 and event.id = $2 and event.purge_at is null
         order by attendee.created_at, attendee.id",
    )
    .bind(owner_id)
    .bind(event_id)
    .fetch_all(db.pool())
    .await?;
    let mut ids = Vec::new();
    for row in &rows {
        let name = row.text("display_name")?;
        if name.to_lowercase().contains(&wanted) || row.text("user_id")?.contains(&wanted) {
            ids.push(row.text("id")?);
        }
    }
    Ok(ids)
}

/// One attendee of an owner's event.
pub async fn one(
    db: &Db,
    owner_id: &str,
    event_id: &str,
    day: u32,
    id: &str,
) -> Result<ListedAttendee> {
    let row = sqlx::query(select(&format!("{LISTED} and attendee.id = $4")))
        .bind(owner_id)
        .bind(event_id)
        .bind(i64::from(day))
        .bind(id)
        .fetch_optional(db.pool())
        .await?;
    ListedAttendee::read(&row.ok_or_else(|| not_found(id))?)
}
