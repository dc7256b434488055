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
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::lease::{DayCount, Refill};
use super::live::LiveAttendee;
use crate::catalog::quota;
use crate::clock::Clock;
use crate::proxy::control::{Control, STORE_LIMIT, STORE_PATIENCE};

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
pub struct Refills {
    orders: Mutex<Vec<Order>>,
    hurry: Notify,
    under_way: TaskTracker,
    control: Control,
    clock: Clock,
}

struct Order {
    live: Arc<LiveAttendee>,
    want: Want,
    /// Dropped without an answer, it says that the store did not give one.
    answer: oneshot::Sender<Refill>,
}

impl Order {
    fn learn_exhausted(&self, asked: u32, now_ms: i64) {
        let Want { day, cap, .. } = self.want;
        self.live.lease.learn_exhausted(day, cap, asked, now_ms);
    }

    /// Settles the order with the store's answer to a request for `n`.
    fn answer(self, n: u32, refill: Refill, now_ms: i64) {
        let lease = &self.live.lease;
        match refill {
            Refill::Granted => lease.granted(n),
            Refill::Exhausted { asked, .. } => {
                self.learn_exhausted(asked, now_ms);
                lease.not_granted();
            }
            Refill::Failed => lease.not_granted(),
        }
        // Nobody may be waiting for it.
        let _ = self.answer.send(refill);
    }
}

impl Refills {
    pub fn new(control: Control, clock: Clock) -> Self {
        let (orders, hurry, under_way) = (Mutex::default(), Notify::new(), TaskTracker::new());
        Self { orders, hurry, under_way, control, clock }
    }

    /// Orders a refill. It runs to its end also when the call that asked is
    /// gone, so that what was granted is never lost.
    pub fn order(
        self: &Arc<Self>,
        live: &Arc<LiveAttendee>,
        want: Want,
    ) -> BoxFuture<'static, Refill> {
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut orders = self.orders.lock();
            orders.push(Order { live: live.clone(), want, answer });
            orders.len() == 1
        };
        if is_first {
            self.in_background(gather(self.clone()));
        }
        answered.map(|refill| refill.unwrap_or(Refill::Failed)).boxed()
    }

    /// Somebody waits.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Waits for what is on its way to the store, at most [`STORE_LIMIT`]. To be called
    /// when no more comes.
    pub async fn finish(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    fn in_background<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.control.runtime().spawn(self.under_way.track_future(work))
    }
}

/// Waits for further orders, then sees to all that there are.
async fn gather(refills: Arc<Refills>) {
    tokio::select! {
        () = refills.hurry.notified() => {}
        () = tokio::time::sleep(GATHERING) => {}
    }
    let mut by_cap: HashMap<(u32, u32), Vec<Order>> = HashMap::new();
    for order in std::mem::take(&mut *refills.orders.lock()) {
        by_cap.entry((order.want.day, order.want.cap)).or_default().push(order);
    }
    for mut orders in by_cap.into_values() {
        while !orders.is_empty() {
            let rest = orders.split_off(orders.len().min(ROWS));
            refills.in_background(fill(refills.clone(), std::mem::replace(&mut orders, rest)));
        }
    }
}

/// Fills orders of one day and cap. Those that are granted what they want are
/// answered at once; the others ask together for what will do.
async fn fill(refills: Arc<Refills>, orders: Vec<Order>) {
    let deadline = Instant::now() + STORE_PATIENCE;
    let all = ask(&refills, orders, deadline, |want| want.n).await;
    let less = all
        .into_iter()
        .filter_map(|(order, refill)| {
            let at_least = order.want.at_least;
            match refill {
                Refill::Exhausted { asked, .. } if (1..asked).contains(&at_least) => {
                    order.learn_exhausted(asked, refills.clock.now_ms());
                    Some(order)
                }
                _ => {
                    let n = order.want.n;
                    order.answer(n, refill, refills.clock.now_ms());
                    None
                }
            }
        })
        .collect();
    for (order, refill) in ask(&refills, less, deadline, |want| want.at_least).await {
        let at_least = order.want.at_least;
        order.answer(at_least, refill, refills.clock.now_ms());
    }
}

/// Asks the store for a part of each want. Returns the answer to each that came by
/// `deadline`; what the store grants later is kept.
async fn ask(
    refills: &Arc<Refills>,
    orders: Vec<Order>,
    deadline: Instant,
    part: impl Fn(&Want) -> u32,
) -> Vec<(Order, Refill)> {
    if orders.is_empty() {
        return Vec::new();
    }
    let Want { day, cap, .. } = orders[0].want;
    let asked = orders.iter().map(|order| (order.live.clone(), part(&order.want))).collect();
    let leasing = refills.in_background(lease(refills.clone(), day, cap, asked));
    let answers = match tokio::time::timeout_at(deadline, leasing).await {
        Ok(Ok(answers)) => answers,
        _ => vec![Refill::Failed; orders.len()],
    };
    orders.into_iter().zip(answers).collect()
}

/// Leases what is asked for and books it. Returns the answer to each.
async fn lease(
    refills: Arc<Refills>,
    day: u32,
    cap: u32,
    asked: Vec<(Arc<LiveAttendee>, u32)>,
) -> Vec<Refill> {
    let rows: Vec<_> = asked.iter().map(|(live, n)| (&*live.attendee_id, *n)).collect();
    let leasing = quota::lease_many(&refills.control.db, day, cap, &rows);
    let leases = match tokio::time::timeout(STORE_LIMIT, leasing).await {
        Ok(Ok(leases)) => leases,
        Ok(Err(error)) => return failed(&error, asked.len()),
        // Nobody knows whether they were leased, so they count as leased.
        Err(late) => return failed(&late, asked.len()),
    };
    let outcome = |(live, n): &(Arc<LiveAttendee>, u32)| match leases.get(&*live.attendee_id) {
        Some(lease) => {
            live.learn_spent(day, lease.spent);
            live.give_back(DayCount { day, count: *n });
            Refill::Granted
        }
        None => Refill::Exhausted { day, cap, asked: *n },
    };
    asked.iter().map(outcome).collect()
}

fn failed(error: &dyn std::fmt::Display, orders: usize) -> Vec<Refill> {
    tracing::warn!(%error, "no lease could be taken from the store");
    vec![Refill::Failed; orders]
}
