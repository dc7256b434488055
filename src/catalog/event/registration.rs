//! How people get into an event by themselves, and whether somebody new may now.
//! Who has joined goes on in any case, and so do keys that are issued.

use super::Event;
use crate::catalog::Result;
use crate::catalog::validate::invalid;

/// Of a new event: by the shared code, where there is one.
pub const SHARED_CODE: &str = "shared-code";
pub const CLOSED: &str = "closed";

/// Why an event takes nobody new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// By the event's settings, until they are changed.
    Closed,
    /// For a while, by a click in the room.
    Stopped,
}

impl Shut {
    pub(in crate::catalog) fn of(registration: &str, is_stopped: bool) -> Option<Self> {
        if registration != SHARED_CODE {
            Some(Shut::Closed)
        } else {
            is_stopped.then_some(Shut::Stopped)
        }
    }
}

impl Event {
    /// Why nobody new may join; `None` where they may.
    pub fn shut(&self) -> Option<Shut> {
        Shut::of(&self.registration, self.is_registration_stopped)
    }
}

pub(super) fn check(registration: &str) -> Result<()> {
    match registration {
        SHARED_CODE | CLOSED => Ok(()),
        "github" => {
            Err(invalid("registration", "cannot be github yet: the proxy does not offer it"))
        }
        _ => Err(invalid("registration", format!("must be {SHARED_CODE} or {CLOSED}"))),
    }
}
