//! What becomes of sessions goes to the store for many calls at once: who gets the
//! connection writes everything that gathered while it waited, because a
//! statement costs the store far more than a row. Nobody waits for others to come.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::catalog::mcp_session::writer::Writer;
use crate::catalog::mcp_session::{IssuedSession, McpSession};
use crate::catalog::{self, mcp_session};
use crate::clock::Clock;
use crate::proxy::control::{Control, STORE_PATIENCE, StoreFailure};

/// Rows of one statement at most: databases limit its parameters.
const ROWS: usize = 500;

/// What is to be written of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The backend issued it.
    Bind,
    /// The backend ended it.
    End,
}

/// Sessions on their way to the store.
pub(super) struct Binder {
    waiting: Mutex<Vec<Order>>,
    control: Control,
    clock: Clock,
}

struct Order {
    issued: IssuedSession,
    change: Change,
    /// Dropped without an answer, it says that the store did not give one.
    answer: oneshot::Sender<bool>,
}

impl Binder {
    pub(super) fn new(control: Control, clock: Clock) -> Self {
        Self { waiting: Mutex::default(), control, clock }
    }

    /// Writes the session's change, also when the call that asked is gone; `false`
    /// where it cannot be bound because somebody else holds it live.
    pub(super) fn write(
        self: &Arc<Self>,
        issued: IssuedSession,
        change: Change,
    ) -> impl Future<Output = Result<bool, StoreFailure>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting.lock();
            waiting.push(Order { issued, change, answer });
            waiting.len() == 1
        };
        if is_first {
            self.control.run(write(self.clone()));
        }
        // Started eagerly: a lazy future would be stored in every call.
        let answered = tokio::time::timeout(STORE_PATIENCE, answered);
        async move { answered.await.ok().and_then(Result::ok).ok_or(StoreFailure) }
    }
}

impl Order {
    fn answer(self, is_done: bool) {
        // Nobody may be waiting for it.
        let _ = self.answer.send(is_done);
    }
}

fn sessions(orders: &[Order]) -> Vec<McpSession> {
    orders.iter().map(|order| order.issued.session.clone()).collect()
}

/// Writes all that waits once there is a connection.
async fn write(binder: Arc<Binder>) {
    let Binder { waiting, control, clock } = &*binder;
    let writer = Writer::acquire(&control.db).await;
    let waiting = std::mem::take(&mut *waiting.lock());
    let bound = match writer {
        Ok(writer) => write_all(writer, waiting, clock).await,
        Err(error) => return failed(&error),
    };
    // After the connection is free again: on SQLite there is but one to write.
    if !bound.is_empty() {
        let made = sessions(&bound);
        let made_room = mcp_session::make_room(&control.db, &made, clock.now_ms()).await;
        made_room.unwrap_or_else(|error| failed(&error));
    }
    bound.into_iter().for_each(|order| order.answer(true));
}

fn failed(error: &catalog::Error) {
    tracing::warn!(%error, "what became of sessions could not be written to the store");
}

/// Writes batch after batch; those that were bound are still to be answered.
async fn write_all(mut writer: Writer, mut waiting: Vec<Order>, clock: &Clock) -> Vec<Order> {
    let mut bound = Vec::new();
    while !waiting.is_empty() {
        let rest = waiting.split_off(batch(&waiting));
        let (issued, ended): (Vec<_>, Vec<_>) = std::mem::replace(&mut waiting, rest)
            .into_iter()
            .partition(|order| order.change == Change::Bind);
        end(&mut writer, ended, clock.now_ms()).await.unwrap_or_else(|error| failed(&error));
        match bind(&mut writer, issued, clock.now_ms()).await {
            Ok(orders) => bound.extend(orders),
            Err(error) => failed(&error),
        }
    }
    bound
}

/// How many of the orders one batch takes: none of a session that is in it already.
fn batch(orders: &[Order]) -> usize {
    let mut named = HashSet::new();
    let is_new =
        |order: &&Order| named.insert((order.issued.session.endpoint, order.issued.session.id));
    orders.iter().take(ROWS).take_while(is_new).count()
}

async fn end(writer: &mut Writer, ended: Vec<Order>, now_ms: i64) -> catalog::Result<()> {
    if !ended.is_empty() {
        writer.end(&sessions(&ended), now_ms).await?;
        ended.into_iter().for_each(|order| order.answer(true));
    }
    Ok(())
}

/// Those that are bound; the others are told.
async fn bind(writer: &mut Writer, issued: Vec<Order>, now_ms: i64) -> catalog::Result<Vec<Order>> {
    if issued.is_empty() {
        return Ok(issued);
    }
    let rows: Vec<_> = issued.iter().map(|order| order.issued.clone()).collect();
    let are_bound = writer.bind(&rows, now_ms).await?;
    let mut bound = Vec::with_capacity(issued.len());
    for (order, is_bound) in issued.into_iter().zip(are_bound) {
        match is_bound {
            true => bound.push(order),
            false => order.answer(false),
        }
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Digest;

    #[test]
    fn a_batch_names_no_session_twice() {
        let order = |id: &str| {
            let digest = Digest::sha256(id.as_bytes());
            let session = McpSession { endpoint: digest, id: digest, attendee_id: "ada".into() };
            let issued = session.into();
            Order { issued, change: Change::Bind, answer: oneshot::channel().0 }
        };
        let named = |ids: &[&str]| batch(&ids.iter().map(|id| order(id)).collect::<Vec<_>>());
        assert_eq!(named(&["a", "b", "c"]), 3);
        assert_eq!(named(&["a", "b", "a", "c"]), 2);
        assert_eq!(named(&["a", "a"]), 1);
        let many: Vec<_> = (0..ROWS + 1).map(|n| n.to_string()).collect();
        assert_eq!(named(&many.iter().map(String::as_str).collect::<Vec<_>>()), ROWS);
    }
}
