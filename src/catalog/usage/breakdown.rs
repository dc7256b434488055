//! An event's figures by resource, by operation and by attendee, the greatest
//! first. At most so many rows as are asked for.

use sqlx::any::AnyRow;

use super::BUCKETS_MS;
use super::latency::Latency;
use super::series::Span;
use crate::catalog::Result;
use crate::catalog::event::Event;
use crate::db::{Columns, Db};

/// What one resource, operation or attendee comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub requests: u64,
    pub errors: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

impl Sum {
    pub(super) fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            requests: row.int("requests")?.unsigned_abs(),
            errors: row.int("errors")?.unsigned_abs(),
            prompt_tokens: row.int("prompt_tokens")?.unsigned_abs(),
            completion_tokens: row.int("completion_tokens")?.unsigned_abs(),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByResource {
    /// The resource's deployment name; `None` if there is no such resource any more.
    pub deployment: Option<String>,
    pub sum: Sum,
    pub latency: Latency,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByOperation {
    pub deployment: Option<String>,
    /// The JSON-RPC method, or the model route.
    pub operation: String,
    /// The tool or prompt; empty where the operation names none.
    pub name: String,
    pub sum: Sum,
    pub latency: Latency,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByAttendee {
    /// The attendee's name here; `None` if there is no such attendee any more.
    pub who: Option<Who>,
    pub sum: Sum,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub user_id: String,
    pub display_name: String,
}

const SUMS: &str = "cast(sum(requests) as bigint) as requests,
    cast(sum(errors) as bigint) as errors,
    cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    cast(sum(completion_tokens) as bigint) as completion_tokens";

/// With resources that are gone as one row each.
pub async fn by_resource(
    db: &Db,
    event: &Event,
    span: Span,
    limit: u32,
) -> Result<Vec<ByResource>> {
    let rows = by_minute(db, event, span, limit, "resource_id").await?;
    rows.iter()
        .map(|row| {
            let deployment = sqlx::Row::try_get(row, "deployment")?;
            Ok(ByResource { deployment, sum: Sum::of(row)?, latency: latency(row)? })
        })
        .collect()
}

pub async fn by_operation(
    db: &Db,
    event: &Event,
    span: Span,
    limit: u32,
) -> Result<Vec<ByOperation>> {
    let rows = by_minute(db, event, span, limit, "resource_id, operation, name").await?;
    rows.iter()
        .map(|row| {
            Ok(ByOperation {
                deployment: sqlx::Row::try_get(row, "deployment")?,
                operation: row.text("operation")?,
                name: row.text("name")?,
                sum: Sum::of(row)?,
                latency: latency(row)?,
            })
        })
        .collect()
}

async fn by_minute(
    db: &Db,
    event: &Event,
    span: Span,
    limit: u32,
    key: &'static str,
) -> Result<Vec<AnyRow>> {
    let buckets: Vec<_> =
        COLUMNS.iter().map(|bucket| format!("cast(sum({bucket}) as bigint) as {bucket}")).collect();
    let statement = format!(
        "select (select deployment from resource where id = resource_id) as deployment, summed.*
         from (select {key}, {SUMS}, {} from usage_minute
            where event_id = $1 and minute >= $2 and minute < $3 group by {key}) as summed
         order by requests desc, {key} limit $4",
        buckets.join(", ")
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(&event.id);
    let query = query.bind(span.from).bind(span.to).bind(i64::from(limit));
    Ok(query.fetch_all(db.pool()).await?)
}

/// The histogram's columns.
const COLUMNS: &[&str] = super::FIGURES.split_at(5).1;

fn latency(row: &AnyRow) -> Result<Latency, sqlx::Error> {
    let mut buckets = [0; BUCKETS_MS.len() + 1];
    for (bucket, column) in buckets.iter_mut().zip(COLUMNS) {
        *bucket = row.int(column)?.unsigned_abs();
    }
    Ok(Latency(buckets))
}

/// `span` begins and ends with quarters of an hour.
pub async fn by_attendee(
    db: &Db,
    event: &Event,
    span: Span,
    limit: u32,
) -> Result<Vec<ByAttendee>> {
    let statement = format!(
        "select attendee.user_id, attendee.display_name, summed.*
         from (select attendee_id, {SUMS} from usage_attendee
            where event_id = $1 and quarter >= $2 and quarter < $3 group by attendee_id
            order by 2 desc, 1 limit $4) as summed
         left join attendee on attendee.id = summed.attendee_id and attendee.event_id = $1
         order by requests desc, attendee_id"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(&event.id)
        .bind(span.from)
        .bind(span.to)
        .bind(i64::from(limit))
        .fetch_all(db.pool())
        .await?;
    rows.iter()
        .map(|row| {
            let text = |column| sqlx::Row::try_get::<Option<String>, _>(row, column);
            let names = text("user_id")?.zip(text("display_name")?);
            let who = names.map(|(user_id, display_name)| Who { user_id, display_name });
            Ok(ByAttendee { who, sum: Sum::of(row)? })
        })
        .collect()
}
