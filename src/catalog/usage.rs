//! What was metered, in minute buckets with a latency histogram.
//!
//! Replicas add up in memory and write a [`Batch`] a second in one transaction,
//! rows in the order of their keys, so that two replicas never wait for each
//! other crosswise.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::new_id;
use crate::clock::millis;

mod attendee_day;
pub(crate) mod backup;
pub mod breakdown;
mod flush;
mod latency;
mod live;
pub mod overview;
mod rows;
pub mod series;
mod totals;

pub use attendee_day::{AttendeeDay, OperationUsage, Refusal, attendee_day, of_attendee};
pub use flush::{flush, forget_batches};
pub use latency::Latency;
pub use live::{LiveFigures, live};

/// Upper bounds of the latency buckets in milliseconds; slower calls fall into
/// one more.
pub const BUCKETS_MS: [u64; 13] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

/// The columns that are added up.
const FIGURES: [&str; 19] = [
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "total_ms",
    "le_5",
    "le_10",
    "le_25",
    "le_50",
    "le_100",
    "le_250",
    "le_500",
    "le_1000",
    "le_2500",
    "le_5000",
    "le_10000",
    "le_30000",
    "le_60000",
    "le_inf",
];

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
        self.add_calls(1, took, is_error);
    }

    /// Adds so many calls, which took the same time each.
    pub fn add_calls(&mut self, calls: u32, took: Duration, is_error: bool) {
        let calls = u64::from(calls);
        let ms = millis(took);
        self.requests += calls;
        self.errors += calls * u64::from(is_error);
        self.total_ms = self.total_ms.saturating_add(ms.saturating_mul(calls));
        // Compared as durations: 5.4 ms are not ≤ 5 ms.
        self.buckets[BUCKETS_MS.partition_point(|bound| Duration::from_millis(*bound) < took)] +=
            calls;
    }

    /// As the store holds them, in the order of [`FIGURES`].
    fn columns(&self) -> [i64; FIGURES.len()] {
        let Self { requests, errors, prompt_tokens, completion_tokens, total_ms, buckets } = *self;
        let sums = [requests, errors, prompt_tokens, completion_tokens, total_ms];
        let mut columns = [0; FIGURES.len()];
        for (column, figure) in columns.iter_mut().zip(sums.into_iter().chain(buckets)) {
            *column = i64::try_from(figure).unwrap_or(i64::MAX);
        }
        columns
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
