//! What a room full of people needs, by multiplication.

use crate::catalog::{event, limits};

/// Bytes that a token takes on its way to an attendee at most: models stream
/// each in an event of its own, with a JSON object around it.
const BYTES_A_TOKEN: u64 = 300;

/// Bytes of a request and its answer besides the tokens: heads, TLS, a tool's result.
const BYTES_A_REQUEST: u64 = 8 * 1024;

/// Connections that one person's editor, MCP clients and browser hold to the proxy.
const CONNECTIONS_EACH: u64 = 10;

/// The greatest cap that an event can have.
pub const LARGEST_CAP: u64 = limits::LARGEST_CAP as u64;

/// What people will do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub attendees: u32,
    /// Hundredths of a prompt, of one attendee in a minute.
    pub prompts: u32,
    /// Of one prompt and its answer, together.
    pub tokens: u32,
    /// Of one prompt: the model, and the tools it asks for.
    pub requests: u32,
    pub hours: u32,
}

/// What that takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub requests_a_minute: u64,
    pub tokens_a_minute: u64,
    pub requests_a_day: u64,
    pub tokens_a_day: u64,
    /// Of one attendee, as an event's setting: twice the mean, for people are not even.
    pub rate_each: u64,
    /// Of one attendee and day, as an event's setting: with a quarter to spare.
    pub cap_each: u64,
    /// To and from the venue.
    pub megabit_tenths: u64,
    pub connections: u64,
}

impl Load {
    pub fn plan(self) -> Plan {
        let [attendees, prompts] = [self.attendees, self.prompts].map(u64::from);
        let [tokens, requests, hours] = [self.tokens, self.requests, self.hours].map(u64::from);
        let (room, minutes) = (attendees * prompts, hours * 60);
        let requests_a_minute = (room * requests).div_ceil(100);
        let tokens_a_minute = (room * tokens).div_ceil(100);
        let bytes = tokens_a_minute * BYTES_A_TOKEN + requests_a_minute * BYTES_A_REQUEST;
        Plan {
            requests_a_minute,
            tokens_a_minute,
            requests_a_day: (room * requests * minutes).div_ceil(100),
            tokens_a_day: (room * tokens * minutes).div_ceil(100),
            rate_each: round_up((2 * prompts * requests).div_ceil(100)),
            cap_each: round_up((prompts * requests * minutes * 5).div_ceil(400)),
            megabit_tenths: (bytes * 8 * 10).div_ceil(60 * 1_000_000),
            connections: attendees * CONNECTIONS_EACH,
        }
    }
}

impl Plan {
    /// Whether an event takes it with the settings that a new one has.
    pub fn fits_new_events(&self) -> (bool, bool) {
        let new = event::Draft::default();
        let fits = |needed: u64, set: u32| needed <= u64::from(set);
        (fits(self.rate_each, new.requests_per_minute), fits(self.cap_each, new.daily_request_cap))
    }
}

/// To two digits, for a setting that people remember.
fn round_up(number: u64) -> u64 {
    let digits = number.max(1).ilog10();
    let step = 10_u64.pow(digits.saturating_sub(1));
    number.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_of_a_hundred() {
        let load = Load { attendees: 100, prompts: 200, tokens: 1500, requests: 3, hours: 6 };
        assert_eq!(
            load.plan(),
            Plan {
                requests_a_minute: 600,
                tokens_a_minute: 300_000,
                requests_a_day: 216_000,
                tokens_a_day: 108_000_000,
                rate_each: 12,
                // 2160 and a quarter.
                cap_each: 2700,
                // 94.9 MB a minute.
                megabit_tenths: 127,
                connections: 1000,
            }
        );
        assert_eq!(load.plan().fits_new_events(), (true, false));
    }

    #[test]
    fn fractions_are_rounded_up_and_the_greatest_load_is_a_number() {
        let least = Load { attendees: 1, prompts: 10, tokens: 1, requests: 1, hours: 1 };
        let plan = least.plan();
        assert_eq!((plan.requests_a_minute, plan.rate_each, plan.cap_each), (1, 1, 8));
        let most = Load {
            attendees: 100_000,
            prompts: 10_000,
            tokens: 1_000_000,
            requests: 1000,
            hours: 24,
        };
        assert_eq!(most.plan().tokens_a_day, 14_400_000_000_000_000);
        assert_eq!([1, 9, 99, 100, 101, 2651].map(round_up), [1, 9, 99, 100, 110, 2700]);
    }
}
