//! Figures as an archive holds them.

use serde::{Deserialize, Serialize};

use crate::catalog::Result;
use crate::catalog::usage::{BUCKETS_MS, Figures, UsageKey};
use crate::catalog::validate::invalid;
use crate::clock::{DAY_MS, MINUTE_MS};

/// Greatest figure that is taken from a file: sums of all rows still fit.
const MAX_FIGURE: u64 = 1_000_000_000_000;

/// The figures of one attendee, operation and stretch of time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageCopy {
    pub event: String,
    pub attendee: String,
    pub resource: String,
    pub operation: String,
    pub name: String,
    /// UTC milliseconds of its first minute.
    pub minute: i64,
    pub requests: u64,
    pub errors: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_ms: u64,
    /// Calls by the first of the store's bounds that they fit.
    pub buckets: [u64; BUCKETS_MS.len() + 1],
}

impl From<(UsageKey, Figures)> for UsageCopy {
    fn from((key, figures): (UsageKey, Figures)) -> Self {
        Self {
            event: key.event_id.as_ref().to_owned(),
            attendee: key.attendee_id.as_ref().to_owned(),
            resource: key.resource_id,
            operation: key.operation.as_ref().to_owned(),
            name: key.name.as_ref().to_owned(),
            minute: key.minute,
            requests: figures.requests,
            errors: figures.errors,
            prompt_tokens: figures.prompt_tokens,
            completion_tokens: figures.completion_tokens,
            total_ms: figures.total_ms,
            buckets: figures.buckets,
        }
    }
}

impl UsageCopy {
    /// The key of the row in the store, where event, attendee and resource have these ids.
    pub fn to_row(&self, event_id: &str, attendee_id: &str, resource_id: &str) -> UsageKey {
        UsageKey {
            event_id: event_id.into(),
            attendee_id: attendee_id.into(),
            resource_id: resource_id.to_owned(),
            operation: self.operation.as_str().into(),
            name: self.name.as_str().into(),
            minute: self.minute,
        }
    }

    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) for the first field that does not meet its rules.
    pub fn check(&self, now_ms: i64) -> Result<()> {
        // As callers sent them, so any text that the store can hold.
        if [&self.operation, &self.name].iter().any(|text| text.contains('\0')) {
            return Err(invalid("operation", "or name holds a NUL character"));
        }
        let last_day = now_ms + DAY_MS;
        if self.minute % MINUTE_MS != 0 || !(0..=last_day).contains(&self.minute) {
            return Err(invalid("minute", "is not the start of a minute that has been"));
        }
        let sums =
            [self.requests, self.errors, self.prompt_tokens, self.completion_tokens, self.total_ms];
        if sums.iter().chain(&self.buckets).any(|figure| *figure > MAX_FIGURE) {
            return Err(invalid("requests", format!("or another figure is above {MAX_FIGURE}")));
        }
        Ok(())
    }

    pub fn figures(&self) -> Figures {
        Figures {
            requests: self.requests,
            errors: self.errors,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            total_ms: self.total_ms,
            buckets: self.buckets,
        }
    }
}
