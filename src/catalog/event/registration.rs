//! How people can join an event by themselves, and whether somebody new can join now.
//! Attendees who have joined keep their access in any case, and issued keys keep working.

use crate::catalog::Result;
use crate::catalog::validate::invalid;

/// The ways in which people can join an event by themselves: a set, which is empty where
/// registration is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    shared_code: bool,
    github: bool,
}

/// A way to join an event without the organiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinBy {
    /// The shared code and a name.
    SharedCode,
    /// A GitHub account.
    GitHub,
    /// An account that a gateway in front of the proxy has checked. Everybody passes the gateway,
    /// so no event offers it by itself: it is open wherever registration is.
    Gateway,
}

impl Registration {
    /// By the shared code, where one is set: as in a new event.
    pub const SHARED_CODE: Self = Self { shared_code: true, github: false };
    pub const GITHUB: Self = Self { shared_code: false, github: true };
    pub const BOTH: Self = Self { shared_code: true, github: true };
    pub const CLOSED: Self = Self { shared_code: false, github: false };

    pub const ALL: [Self; 4] = [Self::SHARED_CODE, Self::GITHUB, Self::BOTH, Self::CLOSED];

    /// As stored, and as every format writes it.
    pub fn as_str(self) -> &'static str {
        match (self.shared_code, self.github) {
            (true, false) => "shared-code",
            (false, true) => "github",
            (true, true) => "shared-code,github",
            (false, false) => "closed",
        }
    }

    /// Reads the words of the ways, in any order.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) names the words that are allowed.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| {
            let reason = "must be shared-code, github, both with a comma between them, or closed";
            invalid("registration", reason)
        })
    }

    /// Reads what is stored. An unknown word lets nobody in.
    pub(in crate::catalog) fn stored(text: &str) -> Self {
        Self::read(text).unwrap_or(Self::CLOSED)
    }

    fn read(text: &str) -> Option<Self> {
        if text == Self::CLOSED.as_str() {
            return Some(Self::CLOSED);
        }
        text.split(',').try_fold(Self::CLOSED, |ways, word| match word.trim() {
            "shared-code" => Some(Self { shared_code: true, ..ways }),
            "github" => Some(Self { github: true, ..ways }),
            _ => None,
        })
    }

    /// Whether somebody new can join in this way.
    pub fn admits(self, by: JoinBy) -> bool {
        match by {
            JoinBy::SharedCode => self.shared_code,
            JoinBy::GitHub => self.github,
            JoinBy::Gateway => self != Self::CLOSED,
        }
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
    /// Why nobody new can join in this way; a stop in the room is for all of them.
    pub(in crate::catalog) fn to(
        by: JoinBy,
        registration: Registration,
        is_stopped: bool,
    ) -> Option<Self> {
        if !registration.admits(by) {
            Some(Shut::Closed)
        } else {
            is_stopped.then_some(Shut::Stopped)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_read_in_any_order_and_written_in_one() {
        for way in Registration::ALL {
            assert_eq!(Registration::parse(way.as_str()).unwrap(), way);
        }
        for both in ["github,shared-code", "shared-code, github", "github,shared-code,github"] {
            assert_eq!(Registration::parse(both).unwrap().as_str(), "shared-code,github");
        }
        for wrong in ["", "open", "closed,github", "shared-code,", "GitHub", "github;shared-code"] {
            assert!(Registration::parse(wrong).is_err(), "{wrong}");
            assert_eq!(Registration::stored(wrong), Registration::CLOSED);
        }
    }

    #[test]
    fn a_way_is_shut_by_the_settings_and_all_of_them_by_the_room() {
        use JoinBy::{Gateway, GitHub, SharedCode};
        for (registration, open) in [
            (Registration::SHARED_CODE, &[SharedCode, Gateway][..]),
            (Registration::GITHUB, &[GitHub, Gateway]),
            (Registration::BOTH, &[SharedCode, GitHub, Gateway]),
            (Registration::CLOSED, &[]),
        ] {
            for by in [SharedCode, GitHub, Gateway] {
                let now = Shut::to(by, registration, false);
                assert_eq!(now.is_none(), open.contains(&by), "{registration:?} {by:?}");
                let stopped = if now.is_none() { Shut::Stopped } else { Shut::Closed };
                assert_eq!(Shut::to(by, registration, true), Some(stopped));
            }
        }
    }
}
