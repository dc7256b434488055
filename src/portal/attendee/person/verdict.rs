//! Does it work? How a person's calls fare, in words, with what to do about it.

use crate::catalog::attendee::Attendee;
use crate::catalog::event::EventState;

/// The first that holds, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Disabled,
    Paused,
    /// It opens at this time (UTC milliseconds, as are all).
    Scheduled(i64),
    /// They wait for their next call, since then.
    Waiting {
        since: i64,
    },
    AtCap,
    /// Their last call was refused, for this reason.
    Refused {
        code: String,
        at: i64,
    },
    NoCall,
    /// They called last at this time.
    Working(i64),
}

impl Verdict {
    /// `since`: they wait for a call after this time.
    pub fn of(
        (state, starts_at): (EventState, i64),
        attendee: &Attendee,
        is_at_cap: bool,
        since: Option<i64>,
        now: i64,
    ) -> Self {
        if !attendee.active {
            return Self::Disabled;
        }
        match state {
            EventState::Paused | EventState::Draft => return Self::Paused,
            EventState::Scheduled => return Self::Scheduled(starts_at),
            EventState::Open | EventState::Ended => {}
        }
        // A call is seen when it comes, and refused a moment later.
        let refused = attendee.last_error_at.zip(attendee.last_error.as_ref());
        let refused =
            refused.filter(|(at, _)| attendee.last_seen_at.is_none_or(|seen| *at >= seen));
        let last = attendee.last_seen_at.max(refused.map(|(at, _)| at));
        if let Some(since) = since.filter(|since| *since <= now)
            && last.is_none_or(|last| last <= since)
        {
            return Self::Waiting { since };
        }
        match (refused, attendee.last_seen_at) {
            _ if is_at_cap => Self::AtCap,
            (Some((at, code)), _) => Self::Refused { code: code.clone(), at },
            (None, Some(at)) => Self::Working(at),
            (None, None) => Self::NoCall,
        }
    }

    /// One or two words.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Disabled => "Switched off",
            Self::Paused => "Paused",
            Self::Scheduled(_) => "Not open yet",
            Self::Waiting { .. } => "Waiting for your call",
            Self::AtCap => "Cap reached",
            Self::Refused { .. } => "Needs help",
            Self::NoCall => "No call yet",
            Self::Working(_) => "Working",
        }
    }

    /// The colour of its badge.
    pub fn badge(&self) -> &'static str {
        match self {
            Self::Working(_) => "good",
            Self::Disabled | Self::Refused { .. } => "bad",
            _ => "warn",
        }
    }
}

/// What was wrong with a call that was refused with this code, and what to do.
pub fn advice(code: &str) -> &'static str {
    match code {
        "deployment_not_found" => {
            "Your client called a server that this event does not have. Copy the server URL below \
             once more."
        }
        "deployment_off" => {
            "The organiser switched this server off for now. Your URL and key are right."
        }
        "session_not_found" => {
            "Your client used an MCP session that has ended. Restart the server in your client, or start \
             your client again."
        }
        "daily_cap_reached" => {
            "You had used up today's requests. Wait for the reset, or ask the organiser for more."
        }
        "rate_limited" => "Your client called too fast. Wait a moment; most clients try again.",
        "too_many_open_requests" => {
            "Your client has too many requests open. Close other windows of it, then try again."
        }
        "event_inactive" => "The event was paused. Try again now.",
        "event_not_started" => "The event had not started yet. Try again now.",
        "event_ended" => "The event had ended.",
        "attendee_disabled" => "Your key was switched off for a while. Try again now.",
        "invalid_path" | "invalid_json" | "ambiguous_framing" | "body_not_allowed" => {
            "Your client sent something that the proxy cannot read. Check the URL in your client; it \
             must be exactly the one below."
        }
        "body_too_large" => {
            "Your client sent more than is accepted in one call. Send less at once."
        }
        "body_incomplete" => "Your client stopped in the middle of a call. Try again.",
        "method_not_allowed" => {
            "Your client called in a way that is not served here. Check that it is set up for an MCP \
             server over HTTP."
        }
        "unsupported_media_type" => "Your client compressed its call. Switch that off in it.",
        "backend_unreachable" | "backend_timeout" | "backend_closed" => {
            "The server behind the proxy did not answer. Your set-up is right: try again, and tell \
             the organiser if it keeps happening."
        }
        "backend_redirect" | "backend_protocol_error" => {
            "The server behind the proxy is set up wrongly. Your set-up is right: tell the organiser."
        }
        "store_unavailable" | "shutting_down" => "The proxy could not take the call. Try again.",
        _ => "Try again; if it is refused again, show this page to the organiser.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attendee(seen: Option<i64>, refused: Option<i64>) -> Attendee {
        Attendee {
            last_seen_at: seen,
            last_error: refused.map(|_| "rate_limited".to_owned()),
            last_error_at: refused,
            ..Attendee::new("a".to_owned(), "e", 0)
        }
    }

    fn verdict(seen: Option<i64>, refused: Option<i64>, since: Option<i64>) -> Verdict {
        Verdict::of((EventState::Open, 0), &attendee(seen, refused), false, since, 100)
    }

    #[test]
    fn the_last_call_decides() {
        let refused = |at| Verdict::Refused { code: "rate_limited".to_owned(), at };
        for (seen, error, expected) in [
            (None, None, Verdict::NoCall),
            (Some(10), None, Verdict::Working(10)),
            (Some(10), Some(10), refused(10)),
            (Some(10), Some(11), refused(11)),
            (Some(12), Some(11), Verdict::Working(12)),
            (None, Some(11), refused(11)),
        ] {
            assert_eq!(verdict(seen, error, None), expected, "{seen:?} {error:?}");
        }
    }

    #[test]
    fn a_test_waits_for_a_call_that_is_newer() {
        assert_eq!(verdict(None, None, Some(20)), Verdict::Waiting { since: 20 });
        assert_eq!(verdict(Some(20), None, Some(20)), Verdict::Waiting { since: 20 });
        assert_eq!(verdict(Some(21), None, Some(20)), Verdict::Working(21));
        assert!(matches!(verdict(Some(5), Some(21), Some(20)), Verdict::Refused { at: 21, .. }));
        assert_eq!(verdict(Some(5), None, Some(1_000)), Verdict::Working(5), "of the future");
    }
}
