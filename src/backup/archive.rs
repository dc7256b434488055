//! What is in a file: JSON, format 1. Lists refer to each other by the ids that the
//! rows had, which are no ids here before they are restored. The entries of each list
//! are in a file of their own.
//!
//! Whoever adds, drops or reads anew a field raises the format: a release refuses
//! what it does not know, and loses nothing silently. Files of every earlier format stay
//! readable: each has an [`Upgrade`] to the next.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Error;

mod attendee;
mod event;
mod resource;
mod usage;

pub use attendee::AttendeeCopy;
pub use event::EventCopy;
pub use resource::ResourceCopy;
pub use usage::UsageCopy;

pub const FORMAT: u32 = 1;

/// Turns the JSON of one format into that of the next.
type Upgrade = fn(&mut Value) -> Result<(), Error>;

/// One for each earlier format, the first from format 1 to 2: a higher [`FORMAT`] does not compile
/// without the way that files of the one before take to it.
const UPGRADES: [Upgrade; FORMAT as usize - 1] = [];

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
                let upgraded = upgraded(text, format, &UPGRADES)?;
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
            event.draft(Some(event.id.clone()), Vec::new()).check().map_err(at(entry))?;
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

/// A text of an earlier format, brought to the one after the last of `upgrades`.
fn upgraded(text: &[u8], format: u32, upgrades: &[Upgrade]) -> Result<Value, Error> {
    let first = format.checked_sub(1).ok_or_else(|| {
        Error::Invalid("what is in it is of format 0, and no release writes that".to_owned())
    })?;
    let to_come = upgrades.get(first as usize..).filter(|to_come| !to_come.is_empty());
    let to_come = to_come.ok_or(Error::Newer(format))?;
    let mut value: Value = serde_json::from_slice(text).map_err(|error| unreadable(&error))?;
    for (upgrade, from) in to_come.iter().zip(format..) {
        upgrade(&mut value)?;
        value["format"] = (from + 1).into();
    }
    Ok(value)
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
    fn earlier_formats_take_each_step_to_the_present_one() {
        let upgrades: [Upgrade; 2] = [
            |value| {
                value["steps"] = "1".into();
                Ok(())
            },
            |value| {
                value["steps"] = format!("{} 2", value["steps"].as_str().unwrap_or("")).into();
                Ok(())
            },
        ];
        let read = |format: u32| {
            upgraded(format!("{{\"format\":{format}}}").as_bytes(), format, &upgrades)
        };
        let first = read(1).unwrap();
        assert_eq!((&first["steps"], &first["format"]), (&"1 2".into(), &3.into()));
        let second = read(2).unwrap();
        assert_eq!((&second["steps"], &second["format"]), (&" 2".into(), &3.into()));
        for newer in [3, 4, u32::MAX] {
            assert!(matches!(read(newer), Err(Error::Newer(format)) if format == newer));
        }
        assert!(matches!(read(0), Err(Error::Invalid(_))));
    }

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
