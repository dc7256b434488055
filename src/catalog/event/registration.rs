//! How people can join an event by themselves, and whether somebody new can join now.
//! Attendees who have joined keep their access in any case, and issued keys keep working.

use crate::catalog::Result;
use crate::catalog::validate::invalid;

/// The ways in which people can join an event by themselves: a set, which is empty where
/// registration is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    shared_code: bool,
}

impl Registration {
    /// By the shared code, where one is set: as in a new event.
    pub const SHARED_CODE: Self = Self { shared_code: true };
    pub const CLOSED: Self = Self { shared_code: false };

    /// As stored, and as every format writes it.
    pub fn as_str(self) -> &'static str {
        if self.shared_code { "shared-code" } else { "closed" }
    }

    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) names the words that are allowed.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(known) = Self::known(text) {
            return Ok(known);
        }
        if text == "github" {
            return Err(invalid(
                "registration",
                "cannot be github yet: the proxy does not offer it",
            ));
        }
        let [open, closed] = [Self::SHARED_CODE, Self::CLOSED].map(Self::as_str);
        Err(invalid("registration", format!("must be {open} or {closed}")))
    }

    /// Reads what is stored. An unknown word lets nobody in.
    pub(in crate::catalog) fn stored(text: &str) -> Self {
        Self::known(text).unwrap_or(Self::CLOSED)
    }

    fn known(text: &str) -> Option<Self> {
        [Self::SHARED_CODE, Self::CLOSED].into_iter().find(|known| known.as_str() == text)
    }
}

/// Why nobody new can join an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// By the event's settings, until they are changed.
    Closed,
    /// For a while, by a click in the room.
    Stopped,
}

impl Shut {
    pub(in crate::catalog) fn of(registration: Registration, is_stopped: bool) -> Option<Self> {
        if !registration.shared_code {
            Some(Shut::Closed)
        } else {
            is_stopped.then_some(Shut::Stopped)
        }
    }
}
