//! Attendees as an archive holds them.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::catalog::Result;
use crate::catalog::attendee::Attendee;
use crate::catalog::attendee::anonymous;
use crate::catalog::attendee::backup::{AttendeeRecord, CardRecord};
use crate::catalog::attendee::card;
use crate::catalog::limits::LARGEST_CAP;
use crate::catalog::secret::{exposed, exposed_text};
use crate::catalog::validate::{instant, number};

/// All that is known of one attendee.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttendeeCopy {
    /// By which figures name them.
    pub id: String,
    pub event: String,
    pub user_id: String,
    pub display_name: String,
    /// None: a new one is made.
    #[serde(serialize_with = "exposed")]
    pub api_key: Option<SecretString>,
    pub active: bool,
    pub daily_request_cap: Option<u32>,
    /// UTC milliseconds, as are the others.
    pub created_at: i64,
    pub last_seen_at: Option<i64>,
    pub last_error: Option<String>,
    pub last_error_at: Option<i64>,
    pub terms_accepted_at: Option<i64>,
    /// What they have used of the cap on the day of the backup.
    pub used: Option<Used>,
    pub card: Option<CardCopy>,
}

/// A card and its code.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardCopy {
    #[serde(serialize_with = "exposed_text")]
    pub code: SecretString,
    /// UTC milliseconds, as is the next.
    pub created_at: i64,
    pub claimed_at: Option<i64>,
}

/// Requests of a UTC day (days since 1970).
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    pub day: u32,
    pub requests: u32,
}

impl AttendeeCopy {
    /// From a record of the store, whose `used` is that of `day`.
    pub fn of(record: AttendeeRecord, day: u32) -> Self {
        let AttendeeRecord { attendee, api_key, used, card } = record;
        let used = (used > 0).then_some(Used { day, requests: used });
        let card = card.map(|CardRecord { code, created_at, claimed_at }| CardCopy {
            code,
            created_at,
            claimed_at,
        });
        Self { card, ..Self::new(attendee, api_key, used) }
    }

    pub fn new(attendee: Attendee, api_key: Option<SecretString>, used: Option<Used>) -> Self {
        Self {
            id: attendee.id,
            event: attendee.event_id,
            user_id: attendee.user_id,
            display_name: attendee.display_name,
            api_key,
            active: attendee.active,
            daily_request_cap: attendee.daily_request_cap,
            created_at: attendee.created_at,
            last_seen_at: attendee.last_seen_at,
            last_error: attendee.last_error,
            last_error_at: attendee.last_error_at,
            terms_accepted_at: attendee.terms_accepted_at,
            used,
            card: None,
        }
    }

    /// As a row, with the archive's ids.
    pub fn attendee(&self) -> Attendee {
        Attendee {
            id: self.id.clone(),
            event_id: self.event.clone(),
            user_id: self.user_id.clone(),
            display_name: self.display_name.clone(),
            active: self.active,
            daily_request_cap: self.daily_request_cap,
            created_at: self.created_at,
            last_seen_at: self.last_seen_at,
            last_error: self.last_error.clone(),
            last_error_at: self.last_error_at,
            terms_accepted_at: self.terms_accepted_at,
        }
    }

    /// Whether the fields by themselves meet the rules.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) for the first that does not.
    pub fn check(&self) -> Result<()> {
        self.attendee().check(self.api_key.as_ref())?;
        let used = self.used.map_or(0, |used| used.requests);
        number("used", used, 0..=LARGEST_CAP)?;
        self.card.as_ref().map_or(Ok(()), CardCopy::check)
    }

    /// Whether nothing in it tells who they were.
    pub fn is_anonymous(&self) -> bool {
        self.display_name.is_empty() && self.user_id.starts_with(anonymous::PREFIX)
    }

    /// The code of their card.
    pub fn card_code(&self) -> Option<&SecretString> {
        self.card.as_ref().map(|card| &card.code)
    }
}

impl CardCopy {
    fn check(&self) -> Result<()> {
        card::check_code(self.code.expose_secret())?;
        instant("created_at", self.created_at)?;
        self.claimed_at.map_or(Ok(()), |at| instant("claimed_at", at))
    }

    /// As a record of the store.
    pub fn record(&self) -> CardRecord {
        let Self { code, created_at, claimed_at } = self.clone();
        CardRecord { code, created_at, claimed_at }
    }
}
