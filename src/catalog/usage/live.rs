//! What is going on in an event right now, as of the last second's write.

use crate::catalog::Result;
use crate::clock::MINUTE_MS;
use crate::db::{Columns, Db};

/// Who called within so many milliseconds is active now.
const ACTIVE_MS: i64 = 5 * MINUTE_MS;

/// An event at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveFigures {
    /// Attendees who called within five minutes.
    pub active: u64,
    /// Calls and failed ones of the last minute.
    pub calls: u64,
    pub errors: u64,
    /// Attendees.
    pub registered: u64,
    /// Those of them who have called at least once, if only to be refused.
    pub connected: u64,
    /// Those for whom a call has worked.
    pub succeeded: u64,
}

impl LiveFigures {
    /// Attendees who have called, and for whom nothing has worked yet.
    pub fn stuck(&self) -> u64 {
        self.connected.saturating_sub(self.succeeded)
    }
}

/// How an owner's event stands at `now` (UTC milliseconds). Of another owner's
/// event, and of none, it holds nothing.
pub async fn live(db: &Db, owner_id: &str, event_id: &str, now: i64) -> Result<LiveFigures> {
    let people = sqlx::query(
        "select count(*) as registered, count(attendee.last_seen_at) as connected,
            count(case when attendee.last_seen_at >= $3 then 1 end) as active,
            count(case when exists (select 1 from usage
                where usage.event_id = attendee.event_id and usage.attendee_id = attendee.id
                  and usage.requests > usage.errors) then 1 end) as succeeded
         from attendee join event on event.id = attendee.event_id
         where event.owner_id = $1 and event.id = $2 and event.purge_at is null",
    )
    .bind(owner_id)
    .bind(event_id)
    .bind(now - ACTIVE_MS)
    .fetch_one(db.pool())
    .await?;
    let this_minute = now - now.rem_euclid(MINUTE_MS);
    let calls = sqlx::query(
        "select minute, cast(sum(requests) as bigint) as requests,
            cast(sum(errors) as bigint) as errors
         from usage_minute join event on event.id = usage_minute.event_id
         where event.owner_id = $1 and event.id = $2 and event.purge_at is null
            and minute >= $3 group by minute",
    )
    .bind(owner_id)
    .bind(event_id)
    .bind(this_minute - MINUTE_MS)
    .fetch_all(db.pool())
    .await?;
    let count = |column| Ok::<_, sqlx::Error>(people.int(column)?.unsigned_abs());
    let mut live = LiveFigures {
        active: count("active")?,
        registered: count("registered")?,
        connected: count("connected")?,
        succeeded: count("succeeded")?,
        ..LiveFigures::default()
    };
    for row in &calls {
        // Of the minute before this one, the part that is within the last 60 s; a single
        // call is not rounded away.
        let is_this = row.int("minute")? >= this_minute;
        let part = if is_this { MINUTE_MS } else { MINUTE_MS - (now - this_minute) };
        let share = |n: i64| (n * part).unsigned_abs().div_ceil(MINUTE_MS.unsigned_abs());
        live.calls += share(row.int("requests")?);
        live.errors += share(row.int("errors")?);
    }
    Ok(live)
}
