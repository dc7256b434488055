//! The headers by which a client sees what is left of its attendee's daily cap.

use http::header::{Entry, HeaderMap, HeaderName, HeaderValue};

use super::caller::Caller;
use crate::clock::Clock;

/// The rate headers of OpenAI's clients: limit, remaining, reset.
const RATE: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];

/// How ours are named where the backend sent any of them.
const OUR_RATE: [HeaderName; 3] = [
    HeaderName::from_static("x-proxy-ratelimit-limit-requests"),
    HeaderName::from_static("x-proxy-ratelimit-remaining-requests"),
    HeaderName::from_static("x-proxy-ratelimit-reset-requests"),
];

/// Adds the headers that say what is left of the caller's daily cap. Clients read the three
/// together, so headers of one name all come from one source.
pub(super) fn add(caller: &Caller, clock: &Clock, headers: &mut HeaderMap) {
    let now_ms = clock.now_ms();
    let used = caller.live.spent(clock.today(now_ms));
    let remaining = caller.daily_cap.saturating_sub(used);
    let values = [caller.daily_cap.into(), remaining.into(), clock.seconds_to_midnight(now_ms)];
    let values = values.map(HeaderValue::from);
    for (done, (name, value)) in RATE.into_iter().zip(&values).enumerate() {
        match headers.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value.clone());
            }
            Entry::Occupied(_) => {
                for ours in &RATE[..done] {
                    headers.remove(ours);
                }
                headers.extend(OUR_RATE.into_iter().zip(values));
                return;
            }
        }
    }
}
