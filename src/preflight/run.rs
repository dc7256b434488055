//! One run: the checks of the event beside the lanes of its resources. Each waits for its owner's
//! turn, and all together have a time limit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::board::{Finish, ToolCall};
use super::{checks, lane};
use crate::catalog::event::Event;
use crate::proxy::plane::DataPlane;
use crate::proxy::synthetic::Synthetic;
use crate::proxy::worker::Worker;
use crate::turns::Turns;

/// Resources of one run that are asked at once, or wait for their turn.
pub(super) const AT_ONCE: usize = 8;

/// How long a run may take: an owner may have linked a thousand servers that never answer.
pub(super) const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Runs all checks of the event and all lanes, then ends the run.
pub(super) async fn run(
    plane: Arc<DataPlane>,
    questions: Arc<Turns<String>>,
    event: Arc<Event>,
    mut calls: HashMap<String, ToolCall>,
    finish: Finish,
) {
    let board = &finish.board;
    let who = Arc::new(Synthetic::of(event.clone()));
    // A worker of the run's own: its connections and counters go when it is over.
    let worker = Arc::new(Worker::uncounted(plane.clone()));
    let lanes: Vec<_> = (event.resources.iter().enumerate())
        .map(|(n, resource)| {
            let call = calls.remove(&resource.id);
            let lane =
                lane::run(board.clone(), n, worker.clone(), who.clone(), resource.clone(), call);
            let turn = questions.take(&event.owner_id);
            async move {
                if let Ok(_turn) = turn.await {
                    lane.await;
                }
            }
        })
        .collect();
    let lanes = stream::iter(lanes).buffer_unordered(AT_ONCE).collect::<Vec<()>>();
    let checks = async {
        if let Ok(_turn) = questions.take(&event.owner_id).await {
            checks::run(board, &plane, &event).await;
        }
    };
    let both = async { tokio::join!(checks, lanes) };
    if tokio::time::timeout(LONGEST, both).await.is_err() {
        tracing::warn!(event = event.id, "a pre-flight was given up: it took too long");
    }
}
