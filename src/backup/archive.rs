//! What is in a file: JSON, format 2. Lists refer to each other by the ids that the
//! rows had, which are no ids here before they are restored. The entries of each list
//! are in a file of their own.
//!
//! Whoever adds, drops or reads anew a field raises the format: a release refuses
//! what it does not know, and loses nothing silently. Files of every earlier format stay
//! readable: `upgrade` brings them to the present one.

use std::collections::HashSet;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Error;
use crate::catalog::attendee::normal_key;

mod attendee;
mod event;
mod resource;
mod upgrade;
mod usage;

pub use attendee::AttendeeCopy;
pub use event::EventCopy;
pub use resource::ResourceCopy;
pub use usage::UsageCopy;

pub const FORMAT: u32 = 2;

pub(super) const MAX_RESOURCES: usize = 1_000;
pub(super) const MAX_EVENTS: usize = 1_000;
pub(super) const MAX_ATTENDEES: usize = 20_000;
pub(super) const MAX_USAGE: usize = 100_000;

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
    pub attendees: Vec<AttendeeCopy>,
    pub usage: Vec<UsageCopy>,
    /// What reading another program's file has to say to whoever restores it.
    pub notes: Vec<String>,
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
        match serde_json::from_slice::<Format>(text).map_err(|error| unreadable(&error))?.format {
            FORMAT => serde_json::from_slice(text).map_err(|error| unreadable(&error)),
            format => {
                let upgraded = upgrade::upgraded(text, format, &upgrade::UPGRADES)?;
                serde_json::from_value(upgraded).map_err(|_| {
                    Error::Invalid(format!("what is in it is not of its format {format}"))
                })
            }
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
            let entry = || format!("event {} {}", quoted(&event.id), quoted(&event.fields.name));
            event.check().map_err(at(entry))?;
            if !events.insert(&*event.id) {
                return Err(Error::Invalid(format!("{} is in it twice", entry())));
            }
            let mut linked = HashSet::new();
            if !event
                .fields
                .resources
                .iter()
                .all(|id| resources.contains(&**id) && linked.insert(id))
            {
                let reason = "links a resource twice, or one that is not in the file";
                return Err(Error::Invalid(format!("{}: {reason}", entry())));
            }
        }
        self.check_rows(&events, now_ms)
    }

    fn check_rows(&self, events: &HashSet<&str>, now_ms: i64) -> Result<(), Error> {
        let (mut ids, mut people) = (HashSet::new(), HashSet::new());
        let (mut keys, mut codes) = (HashSet::new(), HashSet::new());
        for attendee in &self.attendees {
            let (user, event) = (quoted(&attendee.user_id), quoted(&attendee.event));
            let entry = || format!("attendee {user} of event {event}");
            attendee.check().map_err(at(entry))?;
            if !events.contains(&*attendee.event) {
                return Err(Error::Invalid(format!("{}: the event is not in the file", entry())));
            }
            let key = attendee.api_key.as_ref().map(|key| normal_key(key.expose_secret()));
            let code = attendee.card_code().map(secrecy::ExposeSecret::expose_secret);
            if !ids.insert(&attendee.id)
                || !people.insert((&attendee.event, &attendee.user_id))
                || key.is_some_and(|key| !keys.insert(key))
            {
                return Err(Error::Invalid(format!("{} or their key is in it twice", entry())));
            }
            if code.is_some_and(|code| !codes.insert(code)) {
                return Err(Error::Invalid(format!("{}: their card is in it twice", entry())));
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

/// Whether so many resources, events, attendees and rows of figures are taken.
pub(super) fn check_counts(counts: [usize; 4]) -> Result<(), Error> {
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

/// The place, and nothing of what stands there.
fn unreadable(error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    Error::Invalid(format!("what is in it is not of format {FORMAT} (line {line}, {column})"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_file_says_what_to_update() {
        let newer = FORMAT + 1;
        let error = Archive::from_json(format!("{{\"format\":{newer}}}").as_bytes()).err().unwrap();
        let text = format!(
            "was made by a newer release of AI Proxy (format {newer}); update this one first"
        );
        assert_eq!(error.to_string(), text);
    }
}
