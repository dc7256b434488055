//! May this call go ahead? Open requests, then the burst limit, then the daily
//! request cap, each of which gives something to hold that the next needs.

use std::sync::Arc;
use std::time::Duration;

use super::attendee::lease::{DayCount, Need, Refill};
use super::attendee::live::{LiveAttendee, OpenRequest};
use super::attendee::rate::TooFar;
use super::attendee::refill::{Refills, Want};
use super::caller::Caller;
use super::error::ProxyError;
use crate::clock::Clock;

impl Caller {
    /// A place among the attendee's open requests.
    pub fn open(&self) -> Result<OpenRequest, ProxyError> {
        let limit = self.event.max_open_requests;
        self.live.open(limit).ok_or(ProxyError::TooManyOpenRequests { limit })
    }

    /// Time until the turn of the last of `messages` comes.
    pub fn turn(&self, since_start: Duration, messages: u32) -> Result<Duration, ProxyError> {
        let (per_minute, burst) = (self.event.requests_per_minute, self.event.burst);
        if messages > burst.max(1) {
            return Err(ProxyError::BatchOverBurst { burst: burst.max(1) });
        }
        self.live.rate.reserve(since_start, messages, per_minute, burst).map_err(
            |TooFar { retry_after }| ProxyError::RateLimited {
                retry_after: retry_after.as_secs() + 1,
            },
        )
    }

    /// Takes `n` requests of the daily cap, all or none.
    ///
    /// # Errors
    /// They do not fit under the cap, or the store did not answer.
    pub async fn admit(
        &self,
        n: u32,
        refills: &Arc<Refills>,
        clock: &Clock,
    ) -> Result<Permit, ProxyError> {
        let (live, cap) = (&self.live, self.daily_cap);
        loop {
            let now_ms = clock.now_ms();
            let day = clock.today(now_ms);
            let permit = || {
                let taken = DayCount { day, count: n };
                Permit { live: live.clone(), taken, is_spent: false }
            };
            if n == 0 {
                return Ok(permit());
            }
            let order = |need: Need| {
                let Need { day, cap, at_least } = need;
                let ask = |n| refills.order(live, Want { day, cap, n, at_least });
                live.lease.refill(need, now_ms, ask)
            };
            if let Some(left) = live.lease.take(day, n, now_ms) {
                if live.lease.is_low(left) {
                    // Ahead of need: nobody waits for it.
                    drop(order(Need { day, cap, at_least: 0 }));
                }
                return Ok(permit());
            }
            let missing = n.saturating_sub(live.lease.left(day)).max(1);
            let reached = || {
                // The wait for a refill may have passed midnight.
                let now_ms = clock.now_ms();
                let (used, limit) = (live.spent(day).into(), cap.into());
                let resets_at = clock.next_midnight(now_ms);
                let retry_after = clock.seconds_to_midnight(now_ms);
                ProxyError::DailyCapReached { used, limit, resets_at, retry_after }
            };
            let refill = order(Need { day, cap, at_least: missing }).ok_or_else(reached)?;
            refills.hurry();
            match refill.await {
                Refill::Granted => {}
                Refill::Failed => return Err(ProxyError::StoreUnavailable),
                Refill::Exhausted { day: of, cap: under, asked }
                    if (of, under) == (day, cap) && asked <= missing =>
                {
                    return Err(reached());
                }
                // Another call's refill, which asked for more than this one needs, of
                // another day, or under a cap that has changed since.
                Refill::Exhausted { .. } => {}
            }
        }
    }
}

/// Requests of the daily cap that were taken for one call. Dropped before it
/// is [spent](Permit::spend), it goes back to the day it was taken from.
pub struct Permit {
    live: Arc<LiveAttendee>,
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

    /// Whether the call was handed to a connection.
    pub fn is_spent(&self) -> bool {
        self.is_spent
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
