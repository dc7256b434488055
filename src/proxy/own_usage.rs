//! What an attendee has used today, as `/usage` shows it to them.
//!
//! The store has what all replicas have written. What this one has yet to write is written
//! first, so that people see the call that they have just made.

use std::sync::Arc;

use super::attendee::ledger::REFUSALS;
use super::plane::DataPlane;
use super::upkeep;
use crate::catalog;
use crate::catalog::usage::{self, OperationUsage, Refusal};

/// What one attendee has used of today's cap, and for what.
#[derive(Clone, Debug)]
pub(super) struct OwnUsage {
    /// Requests of the daily cap that were spent.
    pub used: u32,
    /// The daily cap, in requests.
    pub limit: u32,
    /// When the next day's cap begins, in UTC milliseconds.
    pub resets_at: i64,
    pub operations: Vec<OperationUsage>,
    /// The newest first: the last ones of this replica, and the last one of all.
    pub refusals: Vec<Refusal>,
}

/// Reads the usage of an attendee, on the control runtime. `None`: there is no such attendee.
///
/// # Errors
/// The store did not take this replica's figures, or did not answer.
pub(super) async fn own_usage(
    plane: &Arc<DataPlane>,
    attendee_id: &str,
) -> Result<Option<OwnUsage>, catalog::Error> {
    upkeep::flush(plane).await?;
    let now_ms = plane.clock.now_ms();
    let day = plane.clock.today(now_ms);
    let stored = usage::attendee_day(&plane.control.db, attendee_id, day).await?;
    let Some(stored) = stored else { return Ok(None) };
    let (mut used, mut refusals) = (stored.used, Vec::new());
    if let Some(live) = plane.lives.get(attendee_id) {
        live.learn_spent(day, stored.used);
        used = live.spent(day);
        let here = live.ledger.lock().refusals();
        refusals.extend(here.into_iter().map(|(code, at)| Refusal { code: code.into(), at }));
    }
    Ok(Some(OwnUsage {
        used,
        limit: stored.limit,
        resets_at: plane.clock.next_midnight(now_ms),
        operations: stored.operations,
        refusals: with_last(refusals, stored.last_refusal),
    }))
}

/// This replica's refusals with the last one of all replicas, which may be another's.
fn with_last(mut refusals: Vec<Refusal>, last: Option<Refusal>) -> Vec<Refusal> {
    if let Some(last) = last.filter(|last| !refusals.contains(last)) {
        let newer = refusals.partition_point(|refusal| refusal.at > last.at);
        refusals.insert(newer, last);
        refusals.truncate(REFUSALS);
    }
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_refusal_of_another_replica_is_in_its_place() {
        let refusal = |at| Refusal { code: "rate_limited".into(), at };
        let times = |last: Option<i64>| -> Vec<i64> {
            let here = [30, 20].map(refusal).into();
            with_last(here, last.map(refusal)).iter().map(|refusal| refusal.at).collect()
        };
        assert_eq!(times(None), [30, 20]);
        assert_eq!(times(Some(30)), [30, 20], "it is this replica's");
        assert_eq!(times(Some(40)), [40, 30, 20]);
        assert_eq!(times(Some(25)), [30, 25, 20]);
        let full: Vec<_> = (0..REFUSALS as i64).rev().map(refusal).collect();
        let merged = with_last(full, Some(refusal(99)));
        assert_eq!((merged.len(), merged[0].at), (REFUSALS, 99));
    }
}
