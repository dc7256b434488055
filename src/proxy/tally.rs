//! Counters of one worker thread for Prometheus: requests by route, status and
//! resource, and how long backends took. Never anything about an attendee.
//!
//! Each worker adds to its own, so that cores share no cache line; once a
//! second `upkeep.rs` drains them into the process's recorder.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;

use crate::catalog::usage::BUCKETS_MS;
use crate::clock::Clock;

/// A family of routes, as a metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Mcp,
    EventInfo,
    Event,
    Usage,
    Portal,
    Other,
}

impl Family {
    pub fn label(self) -> &'static str {
        match self {
            Family::Mcp => "mcp",
            Family::EventInfo => "eventinfo",
            Family::Event => "event",
            Family::Usage => "usage",
            Family::Portal => "portal",
            Family::Other => "other",
        }
    }
}

/// The status label of a client that left before it was answered (nginx's 499).
const CLIENT_GONE: u16 = 499;

type Requests = HashMap<(Family, u16, Option<Arc<str>>), u64, foldhash::fast::RandomState>;
type Times = HashMap<Arc<str>, Histogram, foldhash::fast::RandomState>;

/// Times by the first of [`BUCKETS_MS`] that they fit: of the same size however
/// many there were.
#[derive(Clone, Copy, Default)]
struct Histogram([Bucket; BUCKETS_MS.len() + 1]);

#[derive(Clone, Copy, Default)]
struct Bucket {
    count: u32,
    sum: Duration,
}

impl Histogram {
    fn add(&mut self, took: Duration) {
        let bucket = BUCKETS_MS.partition_point(|bound| Duration::from_millis(*bound) < took);
        let Bucket { count, sum } = &mut self.0[bucket];
        *count = count.saturating_add(1);
        *sum = sum.saturating_add(took);
    }

    /// The mean and the number of the times in each bucket. A mean lies between
    /// the same bounds as its times, so a recorder with these buckets counts them
    /// as it would count each, and their sum stays what it is.
    fn means(&self) -> impl Iterator<Item = (Duration, u32)> {
        let filled = self.0.iter().filter(|bucket| bucket.count > 0);
        filled.map(|bucket| (bucket.sum / bucket.count, bucket.count))
    }
}

pub struct Tally {
    /// Tells the worker's calls their minute. It is kept here because a clone for each call
    /// would count references in memory that all cores share.
    pub(super) clock: Clock,
    counts: Mutex<(Requests, Times)>,
}

impl Tally {
    pub fn new(clock: Clock) -> Self {
        Self { clock, counts: Mutex::default() }
    }

    pub fn request(&self, route: Family, status: Option<StatusCode>, resource: Option<&Arc<str>>) {
        let status = status.map_or(CLIENT_GONE, |status| status.as_u16());
        *self.counts.lock().0.entry((route, status, resource.cloned())).or_default() += 1;
    }

    pub fn backend_time(&self, resource: &Arc<str>, took: Duration) {
        self.counts.lock().1.entry(resource.clone()).or_default().add(took);
    }

    /// Moves what was counted into the process's metrics recorder.
    pub fn drain(&self) {
        let (requests, times) = std::mem::take(&mut *self.counts.lock());
        for ((route, status, resource), count) in requests {
            metrics::counter!(
                "ai_proxy_requests_total",
                "route" => route.label(),
                "status" => status.to_string(),
                "resource" => resource.map(|name| name.to_string()).unwrap_or_default(),
            )
            .increment(count);
        }
        for (resource, times) in times {
            let histogram = metrics::histogram!(
                "ai_proxy_backend_seconds",
                "resource" => resource.to_string(),
            );
            for (mean, count) in times.means() {
                histogram.record_many(mean, count as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn means_fall_where_their_times_fell_and_add_up_to_the_same(
            nanos in prop::collection::vec(0..70_000_000_000_u64, 1..200),
        ) {
            let bucket = |took: Duration| {
                BUCKETS_MS.partition_point(|bound| Duration::from_millis(*bound) < took)
            };
            let mut histogram = Histogram::default();
            let mut expected = [0; BUCKETS_MS.len() + 1];
            for took in nanos.iter().copied().map(Duration::from_nanos) {
                histogram.add(took);
                expected[bucket(took)] += 1;
            }
            let mut found = [0; BUCKETS_MS.len() + 1];
            let mut sum = Duration::ZERO;
            for (mean, count) in histogram.means() {
                found[bucket(mean)] += count;
                sum += mean * count;
            }
            prop_assert_eq!(found, expected);
            // Each mean is cut to whole nanoseconds.
            let lost = Duration::from_nanos(nanos.iter().sum()) - sum;
            prop_assert!(lost < Duration::from_nanos(nanos.len() as u64), "{:?}", lost);
        }
    }
}
