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
type Times = HashMap<Arc<str>, Vec<Duration>, foldhash::fast::RandomState>;

#[derive(Default)]
pub struct Tally {
    counts: Mutex<(Requests, Times)>,
}

impl Tally {
    pub fn request(&self, route: Family, status: Option<StatusCode>, resource: Option<&Arc<str>>) {
        let status = status.map_or(CLIENT_GONE, |status| status.as_u16());
        *self.counts.lock().0.entry((route, status, resource.cloned())).or_default() += 1;
    }

    pub fn backend_time(&self, resource: &Arc<str>, took: Duration) {
        self.counts.lock().1.entry(resource.clone()).or_default().push(took);
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
            for took in times {
                histogram.record(took);
            }
        }
    }
}
