//! The pre-flight of an event: would it work, if it were open now?
//!
//! A run asks every linked MCP server as an attendee would, through the data plane
//! and as a [`Synthetic`] caller, so that it works before the event is open and
//! opens it to nobody; beside that it looks at what the event itself needs. Runs are
//! jobs on the control runtime, one at a time for an event and a few for an owner. Their checks
//! take turns, so that servers that never answer delay their own owner's runs only. The last run of
//! each event is kept in memory, by this replica alone.

mod checks;
mod lane;
mod public_url;
mod way;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::catalog::event::Event;
use crate::catalog::resource::ResourceType;
use crate::clock::Clock;
use crate::proxy::plane::DataPlane;
use crate::proxy::synthetic::Synthetic;
use crate::proxy::worker::Worker;
use crate::turns::{Bounds, Full, Turns};

/// Resources of one run that are asked at once, or wait for their turn.
const AT_ONCE: usize = 8;

/// Runs under way: nobody waits for one.
const RUNS: Bounds =
    Bounds { at_once: 64, each: 4, waiting: 0, waiting_each: 0, patience: Duration::ZERO };

/// Checks of all runs that are under way at once: of resources, and of this proxy's address.
const QUESTIONS: Bounds = Bounds {
    at_once: 16,
    each: 6,
    waiting: RUNS.at_once * (AT_ONCE + 1),
    waiting_each: RUNS.each * (AT_ONCE + 1),
    patience: LONGEST,
};

/// How long a run may take: an owner may have linked a thousand servers that never answer.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Runs that are remembered; past that, the oldest is forgotten.
const REMEMBERED: usize = 256;

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

/// One step, and what came of it.
#[derive(Clone, Debug)]
pub struct Tick {
    pub what: String,
    pub mark: Mark,
    /// For a person: what was found, or the exact reason why not.
    pub said: String,
    pub ms: Option<u64>,
}

impl Tick {
    fn waiting(what: impl Into<String>) -> Self {
        Self { what: what.into(), mark: Mark::Waiting, said: String::new(), ms: None }
    }

    fn found(what: impl Into<String>, mark: Mark, said: impl Into<String>) -> Self {
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
struct Board(Arc<Mutex<Run>>);

impl Board {
    fn write(&self, change: impl FnOnce(&mut Run)) {
        change(&mut self.0.lock());
    }
}

/// Ends a run, also one that was broken off.
struct Finish(Board, Clock);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.write(|run| {
            run.finished_at = Some(self.1.now_ms());
            let ticks = run.lanes.iter_mut().flat_map(|lane| &mut lane.ticks);
            for tick in run.event.iter_mut().chain(ticks) {
                if matches!(tick.mark, Mark::Waiting | Mark::Running) {
                    tick.mark = Mark::Skipped;
                }
            }
        });
    }
}

/// Why a run does not begin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    #[error("a pre-flight of this event is running already")]
    Event,
    #[error("too many pre-flights are running; wait until one of yours has ended")]
    Others,
}

/// The event that a run is about, and its owner: a board shows what only its owner may know.
#[derive(Clone, PartialEq, Eq, Hash)]
struct About {
    owner_id: String,
    event_id: String,
}

impl About {
    fn new(owner_id: &str, event_id: &str) -> Self {
        Self { owner_id: owner_id.to_owned(), event_id: event_id.to_owned() }
    }
}

/// The last run of each event.
pub struct Preflights {
    last: Mutex<HashMap<About, Board>>,
    runs: Turns<String>,
    questions: Arc<Turns<String>>,
}

impl Default for Preflights {
    fn default() -> Self {
        Self {
            last: Mutex::default(),
            runs: Turns::new(RUNS),
            questions: Arc::new(Turns::new(QUESTIONS)),
        }
    }
}

impl Preflights {
    /// The last run of the owner's event, which may still be under way.
    pub fn last(&self, owner_id: &str, event_id: &str) -> Option<Run> {
        let runs = self.last.lock();
        runs.get(&About::new(owner_id, event_id)).map(|board| board.0.lock().clone())
    }

    /// Forgets the runs of an event that was deleted.
    pub fn forget(&self, owner_id: &str, event_id: &str) {
        self.last.lock().remove(&About::new(owner_id, event_id));
    }

    /// Begins a run. `calls`: the tool to be called of a resource, by its id.
    ///
    /// # Errors
    /// One is under way, or as many of the owner's as may be.
    pub async fn start(
        &self,
        plane: &Arc<DataPlane>,
        event: Event,
        calls: HashMap<String, ToolCall>,
    ) -> Result<(), Busy> {
        let turn = self.runs.take(&event.owner_id).await.map_err(|Full| Busy::Others)?;
        let lanes =
            event.resources.iter().map(|resource| lane::planned(resource, calls.get(&resource.id)));
        let board = Board(Arc::new(Mutex::new(Run {
            started_at: plane.clock.now_ms(),
            finished_at: None,
            event: checks::planned(),
            lanes: lanes.collect(),
        })));
        self.enter(About::new(&event.owner_id, &event.id), board.clone())?;
        let plane = plane.clone();
        let questions = self.questions.clone();
        let finish = Finish(board, plane.clock.clone());
        plane.control.clone().spawn(async move {
            run(plane, questions, Arc::new(event), calls, finish).await;
            drop(turn);
        });
        Ok(())
    }

    fn enter(&self, about: About, board: Board) -> Result<(), Busy> {
        let mut runs = self.last.lock();
        if runs.get(&about).is_some_and(|last| last.0.lock().is_running()) {
            return Err(Busy::Event);
        }
        if runs.len() >= REMEMBERED && !runs.contains_key(&about) {
            let oldest = runs.iter().min_by_key(|(_, board)| board.0.lock().started_at);
            if let Some(oldest) = oldest.map(|(about, _)| about.clone()) {
                runs.remove(&oldest);
            }
        }
        runs.insert(about, board);
        Ok(())
    }
}

async fn run(
    plane: Arc<DataPlane>,
    questions: Arc<Turns<String>>,
    event: Arc<Event>,
    mut calls: HashMap<String, ToolCall>,
    finish: Finish,
) {
    let board = &finish.0;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn board(started_at: i64, finished_at: Option<i64>) -> Board {
        let run = Run { started_at, finished_at, event: Vec::new(), lanes: Vec::new() };
        Board(Arc::new(Mutex::new(run)))
    }

    #[test]
    fn an_event_has_one_run_at_a_time() {
        let preflights = Preflights::default();
        let first = board(1, None);
        preflights.enter(About::new("me", "a"), first.clone()).unwrap();
        assert!(preflights.enter(About::new("me", "a"), board(2, None)).is_err());
        preflights.enter(About::new("me", "b"), board(2, None)).unwrap();
        drop(Finish(first, Clock::default()));
        preflights.enter(About::new("me", "a"), board(3, None)).unwrap();
        assert_eq!(preflights.last("me", "a").unwrap().started_at, 3);
    }

    #[test]
    fn a_run_is_its_owners_alone_and_goes_with_the_event() {
        let preflights = Preflights::default();
        preflights.enter(About::new("me", "a"), board(1, Some(2))).unwrap();
        assert!(preflights.last("another", "a").is_none());
        preflights.forget("another", "a");
        assert!(preflights.last("me", "a").is_some());
        preflights.forget("me", "a");
        assert!(preflights.last("me", "a").is_none());
    }

    #[test]
    fn the_oldest_run_is_forgotten() {
        let preflights = Preflights::default();
        for n in 0..=REMEMBERED {
            let run = board(i64::try_from(n).unwrap(), Some(9));
            preflights.enter(About::new("me", &n.to_string()), run).unwrap();
        }
        assert!(preflights.last("me", "0").is_none());
        assert!(preflights.last("me", "1").is_some() && preflights.last("me", "256").is_some());
    }

    #[test]
    fn a_run_that_is_broken_off_leaves_nothing_waiting() {
        let board = board(1, None);
        board.write(|run| run.event.push(Tick::waiting("x")));
        drop(Finish(board.clone(), Clock::default()));
        assert_eq!(board.0.lock().count(Mark::Skipped), 1);
        assert!(!board.0.lock().is_running());
    }
}
