//! The steps of one resource on the board of its run: started, timed, ended or skipped.

use std::time::{Duration, Instant};

use super::board::{Board, Mark, Tick};
use crate::clock::millis;

/// Tools whose names are kept.
const LISTED: usize = 100;

/// Where the steps of one resource stand on the board.
pub(super) struct Steps {
    board: Board,
    lane: usize,
}

impl Steps {
    pub(super) fn new(board: Board, lane: usize) -> Self {
        Self { board, lane }
    }

    fn write(&self, at: usize, change: impl FnOnce(&mut Tick)) {
        self.board.write(|run| {
            if let Some(tick) = run.lanes.get_mut(self.lane).and_then(|lane| lane.ticks.get_mut(at))
            {
                change(tick);
            }
        });
    }

    pub(super) async fn time<T>(&self, at: usize, step: impl Future<Output = T>) -> (T, Duration) {
        self.write(at, |tick| tick.mark = Mark::Running);
        let started = Instant::now();
        let done = step.await;
        (done, started.elapsed())
    }

    pub(super) fn end(&self, at: usize, took: Option<Duration>, outcome: Result<String, String>) {
        self.write(at, |tick| {
            tick.ms = took.map(millis);
            (tick.mark, tick.said) = match outcome {
                Ok(said) => (Mark::Good, said),
                Err(reason) => (Mark::Bad, reason),
            };
        });
    }

    pub(super) fn warn(&self, at: usize, took: Duration, said: String) {
        self.write(at, |tick| {
            (tick.mark, tick.said, tick.ms) = (Mark::Warning, said, Some(millis(took)));
        });
    }

    pub(super) fn list(&self, tools: &[String]) {
        self.board.write(|run| {
            if let Some(lane) = run.lanes.get_mut(self.lane) {
                lane.tools = tools.iter().take(LISTED).cloned().collect();
            }
        });
    }

    pub(super) fn skip_rest(&self) {
        self.board.write(|run| {
            let ticks = run.lanes.get_mut(self.lane).into_iter().flat_map(|lane| &mut lane.ticks);
            for tick in ticks.filter(|tick| tick.mark == Mark::Waiting) {
                tick.mark = Mark::Skipped;
            }
        });
    }

    /// Ends what is running: it took longer than `limit`.
    pub(super) fn give_up(&self, limit: Duration) {
        self.board.write(|run| {
            let ticks = run.lanes.get_mut(self.lane).into_iter().flat_map(|lane| &mut lane.ticks);
            for tick in ticks.filter(|tick| tick.mark == Mark::Running) {
                tick.mark = Mark::Bad;
                tick.said = format!("given up: it took longer than {} s", limit.as_secs());
            }
        });
        self.skip_rest();
    }
}
