//! An attendee who is none: what the pre-flight of an event calls as.
//!
//! Their calls take every attendee's way from the path to the relay, and only the
//! proof is spared: they are made inside the process, before the event is open, and
//! no key can become one. What is kept of them while they are under way (lease,
//! rate, ledger, sessions) is in no table, so nothing of it is counted, written or shown,
//! and no attendee's session is taken over or ended.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;
use parking_lot::Mutex;

use super::attendee::lease::DayCount;
use super::attendee::live::{LiveAttendee, Means};
use super::caller::Caller;
use crate::catalog;
use crate::catalog::Digest;
use crate::catalog::event::Event;

/// Leased to each call: more than any takes, so that the store is never asked.
const LEASED: u32 = 1_000;

/// Somebody who may call the resources of one event, whether it is open or not.
#[derive(Debug)]
pub struct Synthetic {
    /// Instead of an attendee's id, and in the names of their requests.
    pub id: String,
    event: Arc<Event>,
    /// The affinity cookies of their MCP sessions, by the session's id.
    affinities: Mutex<HashMap<HeaderValue, HeaderValue>>,
}

impl Synthetic {
    pub fn of(event: Arc<Event>) -> Self {
        let id = format!("preflight-{}", catalog::new_id());
        Self { id, event, affinities: Mutex::default() }
    }

    pub(super) fn event_id(&self) -> &str {
        &self.event.id
    }

    pub(super) fn keep_affinity(&self, session_id: &HeaderValue, affinity: Option<HeaderValue>) {
        if let Some(affinity) = affinity {
            self.affinities.lock().insert(session_id.clone(), affinity);
        }
    }

    pub(super) fn affinity(&self, session_id: &HeaderValue) -> Option<HeaderValue> {
        self.affinities.lock().get(session_id).cloned()
    }

    /// New for each call, with a lease of `day`: no call waits for a turn that an earlier one took.
    pub(super) fn caller(&self, day: u32) -> Caller {
        let live = Arc::new(LiveAttendee::new(&self.id, &self.event.id));
        let leased = DayCount { day, count: LEASED };
        let returned = live.lease.add(leased);
        debug_assert!(returned.is_none(), "the lease was empty");
        let endings = live.endings(&Means::Key(Digest::sha256(b"")));
        let daily_cap = self.event.daily_request_cap;
        Caller { live, endings, event: self.event.clone(), daily_cap, is_by_token: false }
    }
}
