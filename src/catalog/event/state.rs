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
        let was_on = self.first_active_at.is_some();
        match () {
            () if was_on && now_ms > self.ends_at => EventState::Ended,
            () if !was_on => EventState::Draft,
            () if !self.active => EventState::Paused,
            () if now_ms < self.starts_at => EventState::Scheduled,
            () => EventState::Open,
        }
    }
}
