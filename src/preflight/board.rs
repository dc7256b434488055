//! The state of a run, which its tasks write while they work: the steps of the event and of each
//! resource. A run that is broken off leaves no step waiting.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::catalog::resource::ResourceType;
use crate::clock::Clock;

/// How one step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Waiting,
    Running,
    Good,
    /// It works, or will, but somebody has to look at it.
    Warning,
    Bad,
    /// Nothing to try, or an earlier step failed.
    Skipped,
}

impl Mark {
    pub fn as_str(self) -> &'static str {
        match self {
            Mark::Waiting => "waiting",
            Mark::Running => "running",
            Mark::Good => "good",
            Mark::Warning => "look at this",
            Mark::Bad => "failed",
            Mark::Skipped => "skipped",
        }
    }
}

/// One step and its result.
#[derive(Clone, Debug)]
pub struct Tick {
    pub what: String,
    pub mark: Mark,
    /// For a person: what was found, or the exact reason why not.
    pub said: String,
    pub ms: Option<u64>,
}

impl Tick {
    pub(super) fn waiting(what: impl Into<String>) -> Self {
        Self { what: what.into(), mark: Mark::Waiting, said: String::new(), ms: None }
    }

    pub(super) fn found(what: impl Into<String>, mark: Mark, said: impl Into<String>) -> Self {
        Self { what: what.into(), mark, said: said.into(), ms: None }
    }
}

/// The steps of one resource.
#[derive(Clone, Debug)]
pub struct Lane {
    pub resource_id: String,
    pub deployment: String,
    pub kind: ResourceType,
    pub ticks: Vec<Tick>,
    /// What was asked to be called.
    pub call: Option<ToolCall>,
    /// The names of its tools, as far as they are listed.
    pub tools: Vec<String>,
}

/// A tool that is to be called.
#[derive(Clone, Debug)]
pub struct ToolCall {
    pub name: String,
    pub arguments: Map<String, Value>,
}

/// What came of a pre-flight so far.
#[derive(Clone, Debug)]
pub struct Run {
    /// UTC milliseconds.
    pub started_at: i64,
    pub finished_at: Option<i64>,
    /// What the event itself needs.
    pub event: Vec<Tick>,
    pub lanes: Vec<Lane>,
}

impl Run {
    fn ticks(&self) -> impl Iterator<Item = &Tick> {
        self.event.iter().chain(self.lanes.iter().flat_map(|lane| &lane.ticks))
    }

    pub fn is_running(&self) -> bool {
        self.finished_at.is_none()
    }

    /// How many steps stand so.
    pub fn count(&self, mark: Mark) -> usize {
        self.ticks().filter(|tick| tick.mark == mark).count()
    }
}

/// A run as those see it who work on it.
#[derive(Clone)]
pub(super) struct Board(Arc<Mutex<Run>>);

impl Board {
    pub(super) fn new(run: Run) -> Self {
        Self(Arc::new(Mutex::new(run)))
    }

    pub(super) fn write(&self, change: impl FnOnce(&mut Run)) {
        change(&mut self.0.lock());
    }

    /// The run as it stands now.
    pub(super) fn read(&self) -> Run {
        self.0.lock().clone()
    }

    pub(super) fn is_running(&self) -> bool {
        self.0.lock().is_running()
    }

    /// UTC milliseconds.
    pub(super) fn started_at(&self) -> i64 {
        self.0.lock().started_at
    }
}

/// Ends a run, also one that was broken off.
pub(super) struct Finish {
    pub board: Board,
    clock: Clock,
}

impl Finish {
    pub(super) fn new(board: Board, clock: Clock) -> Self {
        Self { board, clock }
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        let now = self.clock.now_ms();
        self.board.write(|run| {
            run.finished_at = Some(now);
            let ticks = run.lanes.iter_mut().flat_map(|lane| &mut lane.ticks);
            for tick in run.event.iter_mut().chain(ticks) {
                if matches!(tick.mark, Mark::Waiting | Mark::Running) {
                    tick.mark = Mark::Skipped;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_broken_off_leaves_nothing_waiting() {
        let run = Run { started_at: 1, finished_at: None, event: Vec::new(), lanes: Vec::new() };
        let board = Board::new(run);
        board.write(|run| run.event.push(Tick::waiting("x")));
        drop(Finish::new(board.clone(), Clock::default()));
        assert_eq!(board.0.lock().count(Mark::Skipped), 1);
        assert!(!board.0.lock().is_running());
    }
}
