//! The caller of a request: an attendee who was authenticated, and their event, which was
//! open at that instant. `authenticate` makes one from a key; code that is given one need
//! not check again.

use std::sync::Arc;

use super::attendee::live::{Endings, LiveAttendee};
use super::error::{Organizer, ProxyError};
use crate::catalog::event::Event;

/// An attendee whose event is open now.
#[derive(Clone)]
pub struct Caller {
    pub live: Arc<LiveAttendee>,
    /// Taken before the proof: whatever ends the caller after it is heard.
    pub endings: Arc<Endings>,
    pub event: Arc<Event>,
    /// Requests a UTC day.
    pub daily_cap: u32,
    /// Whether they signed in: what stands against them later is told in another way.
    pub is_by_token: bool,
}

/// Whether the event is active and the instant within its window, ends included.
pub fn is_open(event: &Event, now_ms: i64) -> Result<(), ProxyError> {
    let organizer = || Organizer::from(event);
    if now_ms > event.ends_at {
        Err(ProxyError::EventEnded(organizer(), event.ends_at))
    } else if !event.active {
        Err(ProxyError::EventInactive(organizer()))
    } else if now_ms < event.starts_at {
        Err(ProxyError::EventNotStarted(organizer(), event.starts_at))
    } else {
        Ok(())
    }
}
