//! What was metered, in minute buckets with a latency histogram.
//!
//! Replicas add up in memory and write a [`Batch`] a second in one transaction,
//! rows in the order of their keys, so that two replicas never wait for each
//! other crosswise.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::{Result, new_id};
use crate::clock;
use crate::db::{Columns, Db, Tx};

/// Upper bounds of the latency buckets in milliseconds; slower calls fall into
/// one more.
pub const BUCKETS_MS: [u64; 13] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

const DAY_MS: i64 = 86_400_000;

/// The row that figures are added to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsageKey {
    pub event_id: Arc<str>,
    pub attendee_id: Arc<str>,
    pub resource_id: String,
    /// The JSON-RPC method, or the model route.
    pub operation: Arc<str>,
    /// The tool or prompt; empty where the operation names none.
    pub name: Arc<str>,
    /// UTC milliseconds of the minute's start.
    pub minute: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub requests: u64,
    pub errors: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_ms: u64,
    /// Calls by the first of [`BUCKETS_MS`] that they fit.
    pub buckets: [u64; BUCKETS_MS.len() + 1],
}

impl Figures {
    /// Adds one call.
    pub fn add_call(&mut self, took: Duration, is_error: bool) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.requests += 1;
        self.errors += u64::from(is_error);
        self.total_ms = self.total_ms.saturating_add(ms);
        // Compared as durations: 5.4 ms are not ≤ 5 ms.
        self.buckets[BUCKETS_MS.partition_point(|bound| Duration::from_millis(*bound) < took)] += 1;
    }

    /// Adds another's figures, as after a flush that failed.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.total_ms = self.total_ms.saturating_add(other.total_ms);
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
    }
}

/// What a replica has yet to write.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Tells it from every other, so that it is written once however often it
    /// is sent: after a broken connection nobody knows whether it was.
    id: String,
    pub usage: HashMap<UsageKey, Figures>,
    /// Requests spent by attendee and UTC day.
    pub spent: HashMap<(Arc<str>, u32), i64>,
    /// Leased requests that nobody spent, by attendee and UTC day.
    pub returned: HashMap<(Arc<str>, u32), u32>,
    /// When attendees were last seen, in UTC milliseconds.
    pub seen: HashMap<Arc<str>, i64>,
    /// Attendees' last refusal: its code, and when.
    pub refusals: HashMap<Arc<str>, (&'static str, i64)>,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    pub fn new() -> Self {
        Self {
            id: new_id(),
            usage: HashMap::new(),
            spent: HashMap::new(),
            returned: HashMap::new(),
            seen: HashMap::new(),
            refusals: HashMap::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.usage.is_empty()
            && self.spent.is_empty()
            && self.returned.is_empty()
            && self.seen.is_empty()
            && self.refusals.is_empty()
    }
}

/// Writes a batch, all or nothing, and once however often it is sent. What
/// belongs to a deleted event or attendee is dropped.
///
/// After an error it is to be sent again: also where the store ended this
/// transaction for being in the way of a deletion.
pub async fn flush(db: &Db, batch: &Batch) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut tx = db.write().await?;
    let first_time =
        sqlx::query("insert into flush (id, at) values ($1, $2) on conflict do nothing")
            .bind(&batch.id)
            .bind(clock::now_ms())
            .execute(&mut *tx)
            .await?;
    if first_time.rows_affected() == 0 {
        return Ok(());
    }
    // One pass over each table, or the second would go back to earlier rows.
    for (key, figures) in sorted(&batch.usage) {
        add_figures(&mut tx, key, figures).await?;
    }
    settle_quotas(&mut tx, batch).await?;
    note_attendees(&mut tx, batch).await?;
    tx.commit().await?;
    Ok(())
}

async fn settle_quotas(tx: &mut Tx, batch: &Batch) -> Result<()> {
    let keys: BTreeSet<_> = batch.spent.keys().chain(batch.returned.keys()).collect();
    for key in keys {
        let (attendee_id, day) = key;
        sqlx::query(
            "update quota set spent = spent + $3, granted = granted - $4
             where attendee_id = $1 and day = $2",
        )
        .bind(&**attendee_id)
        .bind(i64::from(*day))
        .bind(batch.spent.get(key).copied().unwrap_or(0))
        .bind(i64::from(batch.returned.get(key).copied().unwrap_or(0)))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn note_attendees(tx: &mut Tx, batch: &Batch) -> Result<()> {
    let ids: BTreeSet<_> = batch.seen.keys().chain(batch.refusals.keys()).collect();
    for id in ids {
        let refusal = batch.refusals.get(id).copied();
        sqlx::query(
            "update attendee set
                last_seen_at = case when $2 > coalesce(last_seen_at, 0) then $2
                    else last_seen_at end,
                last_error = case when $4 >= coalesce(last_error_at, 0) then $3
                    else last_error end,
                last_error_at = case when $4 >= coalesce(last_error_at, 0) then $4
                    else last_error_at end
             where id = $1",
        )
        .bind(&**id)
        .bind(batch.seen.get(id).copied())
        .bind(refusal.map(|(code, _)| code))
        .bind(refusal.map(|(_, at)| at))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

fn sorted<K: Ord + Hash, V>(map: &HashMap<K, V>) -> Vec<(&K, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

/// How long a batch is remembered to have been written: far longer than any
/// replica keeps trying.
const REMEMBERED_MS: i64 = DAY_MS;

/// Forgets batches that nobody will send again.
pub async fn forget_batches(db: &Db, now: i64) -> Result<()> {
    sqlx::query("delete from flush where at < $1")
        .bind(now - REMEMBERED_MS)
        .execute(db.writer())
        .await?;
    Ok(())
}

async fn add_figures(tx: &mut Tx, key: &UsageKey, figures: &Figures) -> Result<()> {
    let mut query = sqlx::query(
        "insert into usage (event_id, attendee_id, resource_id, operation, name, minute, requests,
            errors, prompt_tokens, completion_tokens, total_ms, le_5, le_10, le_25, le_50, le_100,
            le_250, le_500, le_1000, le_2500, le_5000, le_10000, le_30000, le_60000, le_inf)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20, $21, $22, $23, $24, $25
         where exists (select 1 from event where id = $1)
         on conflict (event_id, attendee_id, resource_id, operation, name, minute) do update set
            requests = usage.requests + excluded.requests,
            errors = usage.errors + excluded.errors,
            prompt_tokens = usage.prompt_tokens + excluded.prompt_tokens,
            completion_tokens = usage.completion_tokens + excluded.completion_tokens,
            total_ms = usage.total_ms + excluded.total_ms,
            le_5 = usage.le_5 + excluded.le_5,
            le_10 = usage.le_10 + excluded.le_10,
            le_25 = usage.le_25 + excluded.le_25,
            le_50 = usage.le_50 + excluded.le_50,
            le_100 = usage.le_100 + excluded.le_100,
            le_250 = usage.le_250 + excluded.le_250,
            le_500 = usage.le_500 + excluded.le_500,
            le_1000 = usage.le_1000 + excluded.le_1000,
            le_2500 = usage.le_2500 + excluded.le_2500,
            le_5000 = usage.le_5000 + excluded.le_5000,
            le_10000 = usage.le_10000 + excluded.le_10000,
            le_30000 = usage.le_30000 + excluded.le_30000,
            le_60000 = usage.le_60000 + excluded.le_60000,
            le_inf = usage.le_inf + excluded.le_inf",
    )
    .bind(&*key.event_id)
    .bind(&*key.attendee_id)
    .bind(&key.resource_id)
    .bind(&*key.operation)
    .bind(&*key.name)
    .bind(key.minute);
    let Figures { requests, errors, prompt_tokens, completion_tokens, total_ms, buckets } = figures;
    for figure in
        [requests, errors, prompt_tokens, completion_tokens, total_ms].into_iter().chain(buckets)
    {
        query = query.bind(i64::try_from(*figure).unwrap_or(i64::MAX));
    }
    query.execute(&mut **tx).await?;
    Ok(())
}

/// An attendee's figures by resource and by operation and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The resource's deployment name.
    pub deployment: String,
    pub operation: String,
    pub name: String,
    pub requests: u64,
    pub errors: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// An attendee's figures of one UTC day (days since 1970).
pub async fn of_attendee(db: &Db, attendee_id: &str, day: u32) -> Result<Vec<Line>> {
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
    rows.iter()
        .map(|row| {
            Ok(Line {
                deployment: row.text("deployment")?,
                operation: row.text("operation")?,
                name: row.text("name")?,
                requests: row.int("requests")?.unsigned_abs(),
                errors: row.int("errors")?.unsigned_abs(),
                prompt_tokens: row.int("prompt_tokens")?.unsigned_abs(),
                completion_tokens: row.int("completion_tokens")?.unsigned_abs(),
            })
        })
        .collect()
}
