//! What one attendee has used of a day, for themselves and for their organiser. Figures of
//! many attendees are in `breakdown`.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::catalog::Result;
use crate::clock::DAY_MS;
use crate::db::{Columns, Db};

/// One attendee's use of a UTC day, as far as replicas have written it: they do so once a
/// second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttendeeDay {
    /// Requests of the daily cap that were spent. What replicas hold leased is not in it.
    pub used: u32,
    /// The daily cap in requests: the attendee's own, otherwise that of their event.
    pub limit: u32,
    pub operations: Vec<OperationUsage>,
    /// The last one of all days.
    pub last_refusal: Option<Refusal>,
}

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    /// UTC milliseconds.
    pub at: i64,
}

/// An attendee's figures by resource and by operation and name. Requests that do not count
/// against the cap are in them as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationUsage {
    /// The resource's deployment name.
    pub deployment: String,
    pub operation: String,
    pub name: String,
    pub requests: u64,
    pub errors: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

impl OperationUsage {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            deployment: row.text("deployment")?,
            operation: row.text("operation")?,
            name: row.text("name")?,
            requests: row.int("requests")?.unsigned_abs(),
            errors: row.int("errors")?.unsigned_abs(),
            prompt_tokens: row.int("prompt_tokens")?.unsigned_abs(),
            completion_tokens: row.int("completion_tokens")?.unsigned_abs(),
        })
    }
}

/// An attendee's `day` (UTC days since 1970). `None`: there is no such attendee.
pub async fn attendee_day(db: &Db, attendee_id: &str, day: u32) -> Result<Option<AttendeeDay>> {
    let row = sqlx::query(
        "select coalesce(attendee.daily_request_cap, event.daily_request_cap) as cap,
            coalesce(quota.spent, 0) as spent, last_error, last_error_at
         from attendee join event on event.id = attendee.event_id
            left join quota on quota.attendee_id = attendee.id and quota.day = $2
         where attendee.id = $1 and event.purge_at is null",
    )
    .bind(attendee_id)
    .bind(i64::from(day))
    .fetch_optional(db.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let code: Option<String> = row.try_get("last_error")?;
    let at: Option<i64> = row.try_get("last_error_at")?;
    Ok(Some(AttendeeDay {
        used: row.count("spent")?,
        limit: row.count("cap")?,
        operations: of_attendee(db, attendee_id, day).await?,
        last_refusal: code.zip(at).map(|(code, at)| Refusal { code, at }),
    }))
}

/// An attendee's figures of one UTC day (days since 1970).
pub async fn of_attendee(db: &Db, attendee_id: &str, day: u32) -> Result<Vec<OperationUsage>> {
    let start = i64::from(day) * DAY_MS;
    let rows = sqlx::query(
        "select coalesce(resource.deployment, '(deleted)') as deployment, operation, usage.name,
            cast(sum(requests) as bigint) as requests,
            cast(sum(errors) as bigint) as errors,
            cast(sum(prompt_tokens) as bigint) as prompt_tokens,
            cast(sum(completion_tokens) as bigint) as completion_tokens
         from usage left join resource on resource.id = usage.resource_id
         where attendee_id = $1 and minute >= $2 and minute < $3
         group by 1, 2, 3 order by 1, 2, 3",
    )
    .bind(attendee_id)
    .bind(start)
    .bind(start + DAY_MS)
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(OperationUsage::read).collect()
}
