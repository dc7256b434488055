//! The pre-flight of an event: would it work, if it were open now?
//!
//! A run asks every linked MCP server as an attendee would, through the data plane
//! and as a `Synthetic` caller, so that it works before the event is open and
//! opens it to nobody; beside that it looks at what the event itself needs. Runs are
//! jobs on the control runtime, one at a time for an event and a few for an owner. Their checks
//! take turns, so that servers that never answer delay their own owner's runs only. The last run of
//! each event is kept in memory, by this replica alone.

mod board;
mod checks;
mod lane;
mod public_url;
mod run;
mod steps;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use self::board::{Board, Finish};
pub(crate) use self::board::{Lane, Mark, Run, ToolCall};
use self::run::{AT_ONCE, LONGEST};
use crate::catalog::event::Event;
use crate::proxy::plane::DataPlane;
use crate::turns::{Bounds, Full, Turns};

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

/// Runs that are remembered; past that, the oldest is forgotten.
const REMEMBERED: usize = 256;

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
        runs.get(&About::new(owner_id, event_id)).map(Board::read)
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
        let board = Board::new(Run {
            started_at: plane.clock.now_ms(),
            finished_at: None,
            event: checks::planned(),
            lanes: lanes.collect(),
        });
        self.enter(About::new(&event.owner_id, &event.id), board.clone())?;
        let plane = plane.clone();
        let questions = self.questions.clone();
        plane.control.runtime().clone().spawn(async move {
            let finish = Finish::new(board, plane.clock.clone());
            run::run(plane, questions, Arc::new(event), calls, finish).await;
            drop(turn);
        });
        Ok(())
    }

    fn enter(&self, about: About, board: Board) -> Result<(), Busy> {
        let mut runs = self.last.lock();
        if runs.get(&about).is_some_and(Board::is_running) {
            return Err(Busy::Event);
        }
        if runs.len() >= REMEMBERED && !runs.contains_key(&about) {
            let oldest = runs.iter().min_by_key(|(_, board)| board.started_at());
            if let Some(oldest) = oldest.map(|(about, _)| about.clone()) {
                runs.remove(&oldest);
            }
        }
        runs.insert(about, board);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn board(started_at: i64, finished_at: Option<i64>) -> Board {
        let run = Run { started_at, finished_at, event: Vec::new(), lanes: Vec::new() };
        Board::new(run)
    }

    #[test]
    fn an_event_has_one_run_at_a_time() {
        let preflights = Preflights::default();
        let first = board(1, None);
        preflights.enter(About::new("me", "a"), first.clone()).unwrap();
        assert!(preflights.enter(About::new("me", "a"), board(2, None)).is_err());
        preflights.enter(About::new("me", "b"), board(2, None)).unwrap();
        drop(Finish::new(first, Clock::default()));
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
}
