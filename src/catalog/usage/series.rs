//! An event's figures over time.

use super::totals::QUARTER_MS;
use crate::catalog::Result;
use crate::catalog::event::Event;
use crate::clock::MINUTE_MS;
use crate::db::{Columns, Db, Parameters};

/// From its start up to, and without, its end; UTC milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: i64,
    pub to: i64,
}

/// What happened in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub span: Span,
    pub requests: u64,
    pub errors: u64,
    /// Attendees who called.
    pub active: u64,
}

/// From the first minute with calls to the end of the last; `None` without any.
pub async fn extent(db: &Db, event: &Event) -> Result<Option<Span>> {
    // Each on its own is one look at the index.
    let row = sqlx::query(
        "select (select min(minute) from usage_minute where event_id = $1) as first,
            (select max(minute) from usage_minute where event_id = $1) as last",
    )
    .bind(&event.id)
    .fetch_one(db.pool())
    .await?;
    let minute = |column| sqlx::Row::try_get::<Option<i64>, _>(&row, column);
    let (first, last) = (minute("first")?, minute("last")?);
    Ok(first.zip(last).map(|(from, last)| Span { from, to: last + MINUTE_MS }))
}

/// Each minute of `span` in which somebody called.
pub async fn by_minute(db: &Db, event: &Event, span: Span) -> Result<Vec<Point>> {
    let sums = sums(db, event, span, MINUTE_MS).await?;
    let rows = sqlx::query(
        "select minute, count(distinct attendee_id) as active from usage
         where event_id = $1 and minute >= $2 and minute < $3 and attendee_id <> ''
         group by minute order by minute",
    )
    .bind(&event.id)
    .bind(span.from)
    .bind(span.to)
    .fetch_all(db.pool())
    .await?;
    let mut active = std::collections::HashMap::new();
    for row in &rows {
        active.insert(row.int("minute")?, row.int("active")?.unsigned_abs());
    }
    let point = |&(from, requests, errors): &(i64, u64, u64)| Point {
        span: Span { from, to: from + MINUTE_MS },
        requests,
        errors,
        active: active.get(&from).copied().unwrap_or(0),
    };
    Ok(sums.iter().map(point).collect())
}

/// Those of `spans` in which somebody called. They are in order, apart from each
/// other, and begin and end with quarters of an hour.
pub async fn over(db: &Db, event: &Event, spans: &[Span]) -> Result<Vec<Point>> {
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
        return Ok(Vec::new());
    };
    let whole = Span { from: first.from, to: last.to };
    let mut points: Vec<Point> = Vec::new();
    for (quarter, requests, errors) in sums(db, event, whole, QUARTER_MS).await? {
        let after = spans.partition_point(|span| span.from <= quarter);
        let Some(&span) = after.checked_sub(1).and_then(|at| spans.get(at)) else { continue };
        match points.last_mut() {
            Some(point) if point.span == span => {
                point.requests += requests;
                point.errors += errors;
            }
            _ => points.push(Point { span, requests, errors, active: 0 }),
        }
    }
    for chunk in points.chunks_mut(CHUNK) {
        add_active(db, event, chunk).await?;
    }
    Ok(points)
}

/// Stretches of time that one statement counts attendees of.
const CHUNK: usize = 128;

async fn add_active(db: &Db, event: &Event, points: &mut [Point]) -> Result<()> {
    let mut connection = db.pool().acquire().await?;
    let mut parameters = Parameters::on(&connection);
    let statement = format!(
        "select column1 as start, (select count(distinct attendee_id) from usage_attendee
            where event_id = {} and quarter >= column1 and quarter < column2
                and attendee_id <> '') as active
         from (values {}) as span order by column1",
        parameters.next(),
        parameters.rows(2, points.len())
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(statement)).persistent(false).bind(&event.id);
    for point in points.iter() {
        query = query.bind(point.span.from).bind(point.span.to);
    }
    let rows = query.fetch_all(&mut *connection).await?;
    for (point, row) in points.iter_mut().zip(&rows) {
        point.active = row.int("active")?.unsigned_abs();
    }
    Ok(())
}

/// Requests and errors of each stretch of `grain` that has any, in order.
async fn sums(db: &Db, event: &Event, span: Span, grain: i64) -> Result<Vec<(i64, u64, u64)>> {
    let rows = sqlx::query(
        "select minute - minute % $4 as start, cast(sum(requests) as bigint) as requests,
            cast(sum(errors) as bigint) as errors
         from usage_minute where event_id = $1 and minute >= $2 and minute < $3
         group by 1 order by 1",
    )
    .bind(&event.id)
    .bind(span.from)
    .bind(span.to)
    .bind(grain)
    .fetch_all(db.pool())
    .await?;
    rows.iter()
        .map(|row| {
            let count = |column| Ok::<_, sqlx::Error>(row.int(column)?.unsigned_abs());
            Ok((row.int("start")?, count("requests")?, count("errors")?))
        })
        .collect()
}
