//! Many calls at once, and what came of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::wire::Wire;

/// Calls under way at the same time.
const LANES: usize = 200;

/// How many answers had which status.
pub type Outcome = BTreeMap<u16, usize>;

/// In an [`Outcome`], calls that were never sent: nobody listens.
pub const UNSENT: u16 = 0;

/// Calls that were sent and got no answer: the connection broke.
pub const UNANSWERED: u16 = 1;

/// Sends `request` `times` over, to all of `addrs` in turn, as parallel as can be.
pub async fn storm(addrs: &[SocketAddr], request: &str, times: usize) -> Outcome {
    let left = Arc::new(AtomicUsize::new(times));
    let lanes: Vec<_> = (0..LANES.min(times))
        .map(|lane| {
            let (addr, left) = (addrs[lane % addrs.len()], left.clone());
            tokio::spawn(run(addr, request.to_owned(), left))
        })
        .collect();
    let mut outcome = Outcome::new();
    for lane in lanes {
        for (status, count) in lane.await.expect("a lane") {
            *outcome.entry(status).or_default() += count;
        }
    }
    outcome
}

async fn run(addr: SocketAddr, request: String, left: Arc<AtomicUsize>) -> Outcome {
    let mut outcome = Outcome::new();
    let mut kept = None;
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
        let wire = match kept.take() {
            Some(wire) => Ok(wire),
            None => Wire::try_connect(addr).await,
        };
        let status = match wire {
            Err(_) => UNSENT,
            Ok(mut wire) => match wire.exchange(&request).await {
                Err(_) => UNANSWERED,
                Ok(answer) => {
                    kept = Some(wire);
                    answer.status
                }
            },
        };
        *outcome.entry(status).or_default() += 1;
    }
    outcome
}
