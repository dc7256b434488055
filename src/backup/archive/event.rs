//! Events as an archive holds them.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::secret::exposed;
use crate::catalog::event::{Draft, Event};

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventCopy {
    pub id: String,
    pub name: String,
    pub description: String,
    pub organizer_name: String,
    pub organizer_email: String,
    /// Wall clock in `time_zone`, `YYYY-MM-DDTHH:MM`.
    pub start: String,
    pub end: String,
    pub time_zone: String,
    /// Ids of resources, in order.
    pub resources: Vec<String>,
    pub max_token_cap: u32,
    pub daily_request_cap: u32,
    pub requests_per_minute: u32,
    pub burst: u32,
    pub max_open_requests: u32,
    #[serde(serialize_with = "exposed")]
    pub shared_code: Option<SecretString>,
    pub shared_code_limit: u32,
    pub registration: String,
    /// It takes no new attendees for now.
    pub registration_stopped: bool,
    pub active: bool,
}

impl EventCopy {
    pub fn of(event: &Event) -> Self {
        let draft = Draft::from(event);
        Self {
            id: event.id.clone(),
            name: draft.name,
            description: draft.description,
            organizer_name: draft.organizer_name,
            organizer_email: draft.organizer_email,
            start: draft.start,
            end: draft.end,
            time_zone: draft.time_zone,
            resources: draft.resources,
            max_token_cap: draft.max_token_cap,
            daily_request_cap: draft.daily_request_cap,
            requests_per_minute: draft.requests_per_minute,
            burst: draft.burst,
            max_open_requests: draft.max_open_requests,
            shared_code: draft.shared_code,
            shared_code_limit: draft.shared_code_limit,
            registration: draft.registration,
            registration_stopped: event.is_registration_stopped,
            active: draft.active,
        }
    }

    /// As a form that makes it anew, with these links.
    pub fn draft(&self, id: Option<String>, resources: Vec<String>) -> Draft {
        Draft {
            id,
            name: self.name.clone(),
            description: self.description.clone(),
            organizer_name: self.organizer_name.clone(),
            organizer_email: self.organizer_email.clone(),
            start: self.start.clone(),
            end: self.end.clone(),
            time_zone: self.time_zone.clone(),
            resources,
            max_token_cap: self.max_token_cap,
            daily_request_cap: self.daily_request_cap,
            requests_per_minute: self.requests_per_minute,
            burst: self.burst,
            max_open_requests: self.max_open_requests,
            shared_code: self.shared_code.clone(),
            shared_code_limit: self.shared_code_limit,
            registration: self.registration.clone(),
            active: self.active,
        }
    }
}
