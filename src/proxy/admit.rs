//! May this call go ahead? Open requests, then the burst limit, then the daily
//! request cap, each of which gives something to hold that the next needs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::authenticate::Caller;
use super::error::ProxyError;
use super::lease::{DayCount, Refill, lease_size};
use super::live::{Live, OpenRequest};
use super::plane::{DataPlane, STORE_PATIENCE};
use super::rate::TooFar;
use crate::catalog::quota;
use crate::clock;

impl Caller {
    /// A place among the attendee's open requests.
    pub fn open(&self) -> Result<OpenRequest, ProxyError> {
        let limit = self.event.max_open_requests;
        self.live.open(limit).ok_or(ProxyError::TooManyOpenRequests { limit })
    }

    /// How long until this call's turn comes.
    pub fn turn(&self, since_start: Duration) -> Result<Duration, ProxyError> {
        let (per_minute, burst) = (self.event.requests_per_minute, self.event.burst);
        self.live.rate.reserve(since_start, per_minute, burst).map_err(|TooFar { retry_after }| {
            ProxyError::RateLimited { retry_after: retry_after.as_secs() + 1 }
        })
    }
}

/// Requests of the daily cap that were taken for one call. Dropped before it
/// is [spent](Permit::spend), it goes back to the day it was taken from.
pub struct Permit {
    live: Arc<Live>,
    taken: DayCount,
    is_spent: bool,
}

impl Permit {
    /// The call goes to the backend now, which may get it even if everybody
    /// leaves this instant.
    pub fn spend(&mut self) {
        if !std::mem::replace(&mut self.is_spent, true) && self.taken.count > 0 {
            self.live.spend(self.taken);
        }
    }

    /// The backend did not get it after all.
    pub fn unspend(&mut self) {
        if std::mem::replace(&mut self.is_spent, false) && self.taken.count > 0 {
            self.live.unspend(self.taken);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.is_spent && self.taken.count > 0 {
            self.live.give_back(self.taken);
        }
    }
}

impl DataPlane {
    /// Takes `n` requests of the caller's daily cap, all or none.
    pub async fn admit(self: &Arc<Self>, caller: &Caller, n: u32) -> Result<Permit, ProxyError> {
        let live = &caller.live;
        loop {
            let now_ms = clock::now_ms();
            let day = clock::day_of(now_ms);
            if n == 0 || live.lease.take(day, n, now_ms) {
                let taken = DayCount { day, count: n };
                return Ok(Permit { live: live.clone(), taken, is_spent: false });
            }
            let cap = caller.daily_cap;
            let missing = n.saturating_sub(live.lease.left(day)).max(1);
            let ask = || {
                let (plane, live) = (self.clone(), live.clone());
                let refill = self.control.spawn(refill(plane, live, day, missing, cap));
                let answer = tokio::time::timeout(STORE_PATIENCE, refill);
                answer.map(|answer| answer.map_or(Refill::Failed, or_failed)).boxed()
            };
            match live.lease.refill(ask).await {
                Refill::Granted => {}
                Refill::Failed => return Err(ProxyError::StoreUnavailable),
                // Another call's refill, which asked for more than this one needs.
                Refill::Exhausted { asked } if asked > missing => {}
                Refill::Exhausted { .. } => {
                    let (used, limit) = (live.spent(day).into(), cap.into());
                    return Err(ProxyError::DailyCapReached { used, limit });
                }
            }
        }
    }
}

fn or_failed(refill: Result<Refill, tokio::task::JoinError>) -> Refill {
    refill.unwrap_or(Refill::Failed)
}

/// Asks the store for a lease, and where that does not fit for just `missing`.
/// Runs to its end also when the call that began it is gone, so that what was
/// granted is never lost.
async fn refill(
    plane: Arc<DataPlane>,
    live: Arc<Live>,
    day: u32,
    missing: u32,
    cap: u32,
) -> Refill {
    let sizes = [lease_size(cap).max(missing), missing];
    let sizes = if sizes[0] == sizes[1] { &sizes[1..] } else { &sizes[..] };
    for size in sizes {
        let leased = quota::lease(&plane.db, &live.attendee_id, day, *size, cap);
        match leased.await {
            Ok(Some(lease)) => {
                live.learn_spent(day, lease.spent);
                live.give_back(DayCount { day, count: *size });
                return Refill::Granted;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "no lease could be taken from the store");
                return Refill::Failed;
            }
        }
    }
    Refill::Exhausted { asked: missing }
}
