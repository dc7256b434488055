//! What is in a file: JSON, format 1. Lists refer to each other by the ids that the
//! rows had, which are no ids here before they are restored.
//!
//! Whoever adds, drops or reads anew a field raises the format: a release refuses
//! what it does not know, and loses nothing silently.

use std::collections::HashSet;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Error;
use crate::catalog::attendee::backup::{Copy as Attendee, exposed};
use crate::catalog::event::{self, Event};
use crate::catalog::resource::{self, KeyChange, Resource};
use crate::catalog::usage::backup::Copy as Usage;

pub const FORMAT: u32 = 1;

pub const MAX_RESOURCES: usize = 1_000;
pub const MAX_EVENTS: usize = 1_000;
pub const MAX_ATTENDEES: usize = 20_000;
pub const MAX_USAGE: usize = 100_000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    pub format: u32,
    /// What made it, for people.
    pub source: String,
    /// UTC milliseconds.
    pub made_at: i64,
    pub resources: Vec<ResourceCopy>,
    pub events: Vec<EventCopy>,
    pub attendees: Vec<Attendee>,
    pub usage: Vec<Usage>,
    /// What reading another program's file has to say to whoever restores it.
    pub notes: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceCopy {
    pub id: String,
    pub deployment: String,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub endpoint: String,
    pub auth: String,
    #[serde(serialize_with = "exposed")]
    pub key: Option<SecretString>,
    pub region: String,
    pub active: bool,
}

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

impl Archive {
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        serde_json::to_vec(self).map(Zeroizing::new).map_err(|_| Error::Failed)
    }

    /// # Errors
    /// [`Error::Newer`], or [`Error::Invalid`] with the place in the text, and
    /// nothing of what stands there.
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            Error::Invalid(format!("what is in it is not of format 1 (line {line}, {column})"))
        };
        match serde_json::from_slice::<Format>(text).map_err(unreadable)?.format {
            FORMAT => serde_json::from_slice(text).map_err(unreadable),
            format => Err(Error::Newer(format)),
        }
    }

    /// Whether every entry meets the rules that forms have for it, and refers to what
    /// is there. What is taken on this machine is another question.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the first entry that does not.
    pub fn check(&self, now_ms: i64) -> Result<(), Error> {
        let Self { resources, events, attendees, usage, .. } = self;
        check_counts([resources.len(), events.len(), attendees.len(), usage.len()])?;
        let (mut resources, mut deployments) = (HashSet::new(), HashSet::new());
        for resource in &self.resources {
            let entry = || format!("resource {}", quoted(&resource.deployment));
            resource.draft().and_then(|draft| draft.check()).map_err(at(entry))?;
            if !resources.insert(&*resource.id) || !deployments.insert(resource.deployment.trim()) {
                return Err(Error::Invalid(format!("{} is in it twice", entry())));
            }
        }
        let mut events = HashSet::new();
        for event in &self.events {
            let entry = || format!("event {} {}", quoted(&event.id), quoted(&event.name));
            event.draft(Some(event.id.clone()), Vec::new()).check().map_err(at(entry))?;
            if !events.insert(&*event.id) {
                return Err(Error::Invalid(format!("{} is in it twice", entry())));
            }
            let mut linked = HashSet::new();
            if !event.resources.iter().all(|id| resources.contains(&**id) && linked.insert(id)) {
                let reason = "links a resource twice, or one that is not in the file";
                return Err(Error::Invalid(format!("{}: {reason}", entry())));
            }
        }
        self.check_rows(&events, now_ms)
    }

    fn check_rows(&self, events: &HashSet<&str>, now_ms: i64) -> Result<(), Error> {
        let (mut ids, mut people, mut keys) = (HashSet::new(), HashSet::new(), HashSet::new());
        for attendee in &self.attendees {
            let (user, event) = (quoted(&attendee.user_id), quoted(&attendee.event));
            let entry = || format!("attendee {user} of event {event}");
            attendee.check().map_err(at(entry))?;
            if !events.contains(&*attendee.event) {
                return Err(Error::Invalid(format!("{}: the event is not in the file", entry())));
            }
            let key = attendee.api_key.as_ref().map(secrecy::ExposeSecret::expose_secret);
            if !ids.insert(&attendee.id)
                || !people.insert((&attendee.event, &attendee.user_id))
                || key.is_some_and(|key| !keys.insert(key))
            {
                return Err(Error::Invalid(format!("{} or their key is in it twice", entry())));
            }
        }
        for (at_row, usage) in self.usage.iter().enumerate() {
            let entry = || format!("row {} of the figures", at_row + 1);
            usage.check(now_ms).map_err(at(entry))?;
            if !events.contains(&*usage.event) {
                return Err(Error::Invalid(format!("{}: its event is not in the file", entry())));
            }
        }
        Ok(())
    }
}

impl From<&Resource> for ResourceCopy {
    fn from(resource: &Resource) -> Self {
        Self {
            id: resource.id.clone(),
            deployment: resource.deployment.to_string(),
            name: resource.name.clone(),
            kind: resource.kind.as_str().to_owned(),
            endpoint: resource.endpoint.as_written(),
            auth: resource.auth.to_string(),
            key: resource.key.clone(),
            region: resource.region.clone(),
            active: resource.active,
        }
    }
}

impl ResourceCopy {
    /// As a form that makes it anew.
    pub fn draft(&self) -> crate::catalog::Result<resource::Draft> {
        let invalid = |field| move |reason| crate::catalog::Error::Invalid { field, reason };
        Ok(resource::Draft {
            id: None,
            deployment: self.deployment.clone(),
            name: self.name.clone(),
            kind: self.kind.parse().map_err(invalid("type"))?,
            endpoint: self.endpoint.clone(),
            auth: self.auth.parse().map_err(invalid("auth"))?,
            key: self.key.clone().map_or(KeyChange::Keep, KeyChange::Set),
            region: self.region.clone(),
            active: self.active,
        })
    }
}

impl EventCopy {
    pub fn of(event: &Event) -> Self {
        let draft = event::Draft::from(event);
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
    pub fn draft(&self, id: Option<String>, resources: Vec<String>) -> event::Draft {
        event::Draft {
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

/// Whether so many resources, events, attendees and rows of figures are taken.
pub fn check_counts(counts: [usize; 4]) -> Result<(), Error> {
    let limits = [
        ("resources", MAX_RESOURCES),
        ("events", MAX_EVENTS),
        ("attendees", MAX_ATTENDEES),
        ("rows of figures", MAX_USAGE),
    ];
    match counts.iter().zip(limits).find(|(count, (_, most))| **count > *most) {
        Some((_, (noun, most))) => Err(Error::Invalid(format!("it holds more than {most} {noun}"))),
        None => Ok(()),
    }
}

fn at(entry: impl Fn() -> String) -> impl Fn(crate::catalog::Error) -> Error {
    move |error| Error::Invalid(format!("{}: {error}", entry()))
}

/// A name out of a file, short enough to be shown.
pub fn quoted(text: &str) -> String {
    let text = text.trim();
    let short: String = text.chars().filter(|c| !c.is_control()).take(64).collect();
    let more = if text.chars().nth(64).is_some() { "…" } else { "" };
    format!("“{short}{more}”")
}
