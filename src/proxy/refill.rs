//! Leases are fetched from the store for many attendees at once: what is asked
//! for within a moment goes there as one statement, because a statement costs
//! the store far more than a row.
//!
//! Most refills are asked for ahead of need, so nobody waits that moment; a call
//! that does wait cuts it short.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::lease::{DayCount, Refill};
use super::live::Live;
use super::plane::{DataPlane, STORE_PATIENCE};
use crate::catalog;
use crate::catalog::quota::{self, Lease};

/// How long orders are gathered that nobody waits for.
const GATHERING: Duration = Duration::from_millis(10);

/// Rows of one statement at most: databases limit its parameters.
const ROWS: usize = 500;

/// What is wanted of the store for one attendee.
#[derive(Clone, Copy)]
pub struct Want {
    pub day: u32,
    pub cap: u32,
    pub n: u32,
    /// Where `n` does not fit under the cap, this many will do; 0: nothing less.
    pub at_least: u32,
}

/// Orders on their way to the store.
#[derive(Default)]
pub struct Refills {
    orders: Mutex<Vec<Order>>,
    hurry: Notify,
    under_way: TaskTracker,
}

struct Order {
    live: Arc<Live>,
    want: Want,
    /// Dropped without an answer, it says that the store did not give one.
    answer: oneshot::Sender<Refill>,
}

impl Refills {
    /// Somebody waits.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Waits for what is on its way to the store. To be called when no more comes.
    pub async fn finish(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }
}

impl DataPlane {
    /// Orders a refill. It runs to its end also when the call that asked is
    /// gone, so that what was granted is never lost.
    pub fn order(self: &Arc<Self>, live: &Arc<Live>, want: Want) -> BoxFuture<'static, Refill> {
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut orders = self.refills.orders.lock();
            orders.push(Order { live: live.clone(), want, answer });
            orders.len() == 1
        };
        if is_first {
            self.refill_in_background(gather(self.clone()));
        }
        answered.map(|refill| refill.unwrap_or(Refill::Failed)).boxed()
    }

    fn refill_in_background<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.control.spawn(self.refills.under_way.track_future(work))
    }
}

/// Waits for further orders, then sees to all that there are.
async fn gather(plane: Arc<DataPlane>) {
    tokio::select! {
        () = plane.refills.hurry.notified() => {}
        () = tokio::time::sleep(GATHERING) => {}
    }
    let mut by_cap: HashMap<(u32, u32), Vec<Order>> = HashMap::new();
    for order in std::mem::take(&mut *plane.refills.orders.lock()) {
        by_cap.entry((order.want.day, order.want.cap)).or_default().push(order);
    }
    for mut orders in by_cap.into_values() {
        while !orders.is_empty() {
            let rest = orders.split_off(orders.len().min(ROWS));
            plane.refill_in_background(fill(plane.clone(), std::mem::replace(&mut orders, rest)));
        }
    }
}

/// Fills orders of one day and cap, and answers them, at the latest when the
/// store has been away for too long. What it still grants after that is kept.
async fn fill(plane: Arc<DataPlane>, orders: Vec<Order>) {
    let wants = orders.iter().map(|order| (order.live.clone(), order.want)).collect();
    let leasing = plane.refill_in_background(lease(plane.clone(), wants));
    let refills = match tokio::time::timeout(STORE_PATIENCE, leasing).await {
        Ok(Ok(refills)) => refills,
        _ => vec![Refill::Failed; orders.len()],
    };
    for (order, refill) in orders.into_iter().zip(refills) {
        order.live.lease.answered();
        // Nobody may be waiting for it.
        let _ = order.answer.send(refill);
    }
}

/// Leases what is wanted and books it; what became of each.
async fn lease(plane: Arc<DataPlane>, wants: Vec<(Arc<Live>, Want)>) -> Vec<Refill> {
    let Some((_, Want { day, cap, .. })) = wants.first() else { return Vec::new() };
    let asked: Vec<_> = wants.iter().map(|(live, want)| (&*live.attendee_id, want.n)).collect();
    let leases = match quota::lease_many(&plane.db, *day, *cap, &asked).await {
        Ok(leases) => leases,
        Err(error) => return vec![failed(&error); wants.len()],
    };
    let mut refills = Vec::with_capacity(wants.len());
    for (live, want) in &wants {
        refills.push(match leases.get(&*live.attendee_id) {
            Some(lease) => book(live, want.day, want.n, lease),
            None => lease_less(&plane, live, *want).await,
        });
    }
    refills
}

/// Asks once more, for what will do.
async fn lease_less(plane: &DataPlane, live: &Arc<Live>, want: Want) -> Refill {
    let Want { day, cap, n, at_least } = want;
    if at_least == 0 || at_least == n {
        return Refill::Exhausted { asked: n };
    }
    match quota::lease(&plane.db, &live.attendee_id, day, at_least, cap).await {
        Ok(Some(lease)) => book(live, day, at_least, &lease),
        Ok(None) => Refill::Exhausted { asked: at_least },
        Err(error) => failed(&error),
    }
}

fn book(live: &Live, day: u32, n: u32, lease: &Lease) -> Refill {
    live.learn_spent(day, lease.spent);
    live.give_back(DayCount { day, count: n });
    Refill::Granted
}

fn failed(error: &catalog::Error) -> Refill {
    tracing::warn!(%error, "no lease could be taken from the store");
    Refill::Failed
}
