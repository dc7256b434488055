//! What events come to, one line each, and whether their people have used up
//! their day.

use super::breakdown::Sum;
use crate::catalog::Result;
use crate::catalog::event::Event;
use crate::db::{Columns, Db};

/// An event and its figures of all time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    pub id: String,
    pub name: String,
    pub owner_id: String,
    pub owner: String,
    /// Wall clocks in `time_zone`, `YYYY-MM-DDTHH:MM`.
    pub start_local: String,
    pub end_local: String,
    pub time_zone: String,
    /// UTC milliseconds.
    pub starts_at: i64,
    /// Attendees, and those of them who have called.
    pub registered: u64,
    pub connected: u64,
    pub sum: Sum,
}

/// The owner's events, or all where `owner_id` is `None`; the latest first.
pub async fn overview(db: &Db, owner_id: Option<&str>) -> Result<Vec<Overview>> {
    let rows = sqlx::query(
        "select event.id, event.name, event.owner_id, owner.name as owner, start_local, end_local,
            time_zone, starts_at,
            coalesce(people.registered, 0) as registered,
            coalesce(people.connected, 0) as connected,
            coalesce(calls.requests, 0) as requests, coalesce(calls.errors, 0) as errors,
            coalesce(calls.prompt_tokens, 0) as prompt_tokens,
            coalesce(calls.completion_tokens, 0) as completion_tokens
         from event join owner on owner.id = event.owner_id
         left join (select event_id, count(*) as registered, count(last_seen_at) as connected
            from attendee group by event_id) as people on people.event_id = event.id
         left join (select event_id, cast(sum(requests) as bigint) as requests,
                cast(sum(errors) as bigint) as errors,
                cast(sum(prompt_tokens) as bigint) as prompt_tokens,
                cast(sum(completion_tokens) as bigint) as completion_tokens
            from usage_minute
            where event_id in (select id from event
                where (cast($1 as text) is null or owner_id = $1) and purge_at is null)
            group by event_id) as calls on calls.event_id = event.id
         where (cast($1 as text) is null or event.owner_id = $1) and event.purge_at is null
         order by starts_at desc, event.id",
    )
    .bind(owner_id)
    .fetch_all(db.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Overview {
                id: row.text("id")?,
                name: row.text("name")?,
                owner_id: row.text("owner_id")?,
                owner: row.text("owner")?,
                start_local: row.text("start_local")?,
                end_local: row.text("end_local")?,
                time_zone: row.text("time_zone")?,
                starts_at: row.int("starts_at")?,
                registered: row.int("registered")?.unsigned_abs(),
                connected: row.int("connected")?.unsigned_abs(),
                sum: Sum::of(row)?,
            })
        })
        .collect()
}

/// Attendees with a request today, and those of them who have none left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtCap {
    pub called: u64,
    pub at_cap: u64,
}

impl AtCap {
    /// A tenth of those who called, and more than one.
    pub fn are_many(self) -> bool {
        self.at_cap > 1 && self.at_cap * 10 >= self.called
    }
}

/// How an event's caps stand on a UTC day (days since 1970).
pub async fn at_cap(db: &Db, event: &Event, day: u32) -> Result<AtCap> {
    let row = sqlx::query(
        "select count(*) as called, count(case when quota.spent
                >= coalesce(attendee.daily_request_cap, $2) then 1 end) as at_cap
         from attendee join quota on quota.attendee_id = attendee.id and quota.day = $3
         where attendee.event_id = $1 and quota.spent > 0",
    )
    .bind(&event.id)
    .bind(i64::from(event.daily_request_cap))
    .bind(i64::from(day))
    .fetch_one(db.pool())
    .await?;
    Ok(AtCap {
        called: row.int("called")?.unsigned_abs(),
        at_cap: row.int("at_cap")?.unsigned_abs(),
    })
}
