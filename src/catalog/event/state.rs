//! How an event stands at an instant: one word, for people and programs.

use super::Event;

/// The first that holds, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// It was open, and its end has passed.
    Ended,
    /// It was never switched on.
    Draft,
    /// It is switched off for now.
    Paused,
    /// It is switched on, and opens by itself.
    Scheduled,
    Open,
}

impl Event {
    /// How it stands at `now_ms`, in UTC milliseconds.
    pub fn state(&self, now_ms: i64) -> EventState {
        // An event that was not switched on before its start counts as one that is paused.
        let is_draft = !self.active && now_ms < self.starts_at;
        if is_draft {
            EventState::Draft
        } else if now_ms > self.ends_at {
            EventState::Ended
        } else if !self.active {
            EventState::Paused
        } else if now_ms < self.starts_at {
            EventState::Scheduled
        } else {
            EventState::Open
        }
    }
}
