//! Exactly one record per forwarded call: made when its answer ends, or when it
//! is dropped because the client left.
//!
//! Records are added up in the attendee's ledger and written once a second
//! (`upkeep.rs`); nothing here waits or touches the store.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use super::attendee::ledger::Operations;
use super::attendee::live::LiveAttendee;
use super::tally::{Family, Tally};
use crate::catalog::resource::Resource;

/// One call on its way; its drop is its record.
pub struct Meter {
    live: Arc<LiveAttendee>,
    resource: Arc<Resource>,
    operations: Operations,
    tally: Arc<Tally>,
    family: Family,
    started: Instant,
    status: Option<StatusCode>,
    failed: bool,
}

impl Meter {
    pub fn start(
        live: Arc<LiveAttendee>,
        resource: Arc<Resource>,
        operations: Operations,
        tally: Arc<Tally>,
        family: Family,
    ) -> Self {
        let (started, status, failed) = (Instant::now(), None, false);
        Self { live, resource, operations, tally, family, started, status, failed }
    }

    /// The status that the client is given.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.tally.backend_time(&self.resource.deployment, self.started.elapsed());
    }

    /// The answer broke off before its end.
    pub fn failed(&mut self) {
        self.failed = true;
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let now_ms = self.tally.clock.now_ms();
        let day = self.tally.clock.today(now_ms);
        let elapsed = self.started.elapsed();
        let is_error = self.failed || self.status.is_some_and(|status| status.as_u16() >= 400);
        {
            let mut ledger = self.live.ledger.lock();
            for (operation, calls) in &self.operations {
                let figures = ledger.figures(&self.resource, operation, day, now_ms);
                figures.add_calls(*calls, elapsed, is_error);
            }
        }
        if self.status.is_none() {
            self.tally.request(self.family, None, Some(&self.resource.deployment));
        }
    }
}
