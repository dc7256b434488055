//! What applying a workshop file will save: checked whole before anything is.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::destination::Destination;
use super::error::ApplyError;
use super::stored::{StoredEvent, StoredResource};
use super::{Applied, AppliedEvent, AppliedResource, key};
use crate::catalog::{event, resource};
use crate::cli::workshop::{self, Place, Source, Workshop, Wrong};
use crate::clock::now_ms;

type IsNew = bool;

/// Drafts in the file's order. An event's draft holds deployment names where it will
/// hold resource ids, because resources that are new have none yet.
pub(super) struct Plan {
    resources: Vec<resource::Draft>,
    events: Vec<(event::Draft, IsNew)>,
    /// Resource ids by deployment name.
    ids: HashMap<String, String>,
}

impl Plan {
    /// Reads the catalog, and writes nothing.
    ///
    /// # Errors
    /// The first value that breaks a rule, with its line.
    pub(super) async fn new(
        source: &Source<'_>,
        workshop: &Workshop,
        folder: &Path,
        destination: &Destination,
    ) -> anyhow::Result<Self> {
        let stored = destination.resources().await?;
        let stored: HashMap<_, _> =
            stored.into_iter().map(|one| (one.deployment.clone(), one)).collect();
        let mut resources = Vec::new();
        for (index, entry) in workshop.resources.iter().enumerate() {
            let at = Entry { source, table: "resource", index, name: &entry.deployment };
            resources.push(resource_draft(at, entry, folder, &stored)?);
        }
        let ids: HashMap<_, _> = stored.into_iter().map(|(name, one)| (name, one.id)).collect();
        let stored = destination.events().await?;
        // Read once, so that all events without a start get the same one.
        let now_ms = now_ms();
        let mut namesakes = Namesakes::new(&stored, workshop);
        let mut events = Vec::new();
        for (index, entry) in workshop.events.iter().enumerate() {
            let at = Entry { source, table: "event", index, name: &entry.name };
            let stored = namesakes.stored(entry).map_err(|rule| at.refuse("name", rule))?;
            let draft = event_draft(entry, stored, now_ms);
            draft.check().map_err(|error| at.place(error.into()))?;
            let planned = |name: &String| resources.iter().any(|r| r.deployment.trim() == name);
            let unknown = |name: &&String| !ids.contains_key(*name) && !planned(name);
            if let Some(name) = draft.resources.iter().find(unknown) {
                return Err(at
                    .refuse("resources", format!("there is no resource '{name}'"))
                    .into());
            }
            events.push((draft, stored.is_none()));
        }
        Ok(Self { resources, events, ids })
    }

    /// Saves what differs from the catalog.
    pub(super) async fn carry_out(
        mut self,
        source: &Source<'_>,
        destination: &Destination,
    ) -> anyhow::Result<Applied> {
        let mut applied = Applied::default();
        for (index, draft) in self.resources.into_iter().enumerate() {
            let at = Entry { source, table: "resource", index, name: &draft.deployment };
            let saved = destination.save_resource(&draft).await.map_err(|error| at.place(error))?;
            let deployment = draft.deployment.trim().to_owned();
            self.ids.insert(deployment.clone(), saved.id.clone());
            let change = saved.outcome.as_str();
            applied.resources.push(AppliedResource { deployment, id: saved.id, change });
        }
        for (index, (mut draft, is_new)) in self.events.into_iter().enumerate() {
            let ids = draft.resources.iter().filter_map(|name| self.ids.get(name).cloned());
            draft.resources = ids.collect();
            let at = Entry { source, table: "event", index, name: &draft.name };
            let saved = destination.save_event(&draft, is_new).await;
            let saved = saved.map_err(|error| at.place(error))?;
            let name = draft.name.trim().to_owned();
            let change = saved.outcome.as_str();
            applied.events.push(AppliedEvent { id: saved.id, name, change });
        }
        Ok(applied)
    }
}

/// One entry of the file, for telling what is wrong with it.
#[derive(Clone, Copy)]
struct Entry<'a> {
    source: &'a Source<'a>,
    table: &'static str,
    index: usize,
    name: &'a str,
}

impl Entry<'_> {
    fn refuse(&self, field: &str, rule: impl std::fmt::Display) -> Wrong {
        let Entry { source, table, index, name } = *self;
        source.refuse(Place { table, index, entry: name.trim(), field }, rule)
    }

    /// The error, with the line that it is about.
    fn place(&self, error: ApplyError) -> anyhow::Error {
        match error {
            ApplyError::Invalid { field, reason } => self.refuse(&field, reason).into(),
            ApplyError::Conflict(reason) => self.refuse("id", reason).into(),
            ApplyError::Other(other) => other,
        }
    }
}

fn resource_draft(
    at: Entry<'_>,
    entry: &workshop::Resource,
    folder: &Path,
    stored: &HashMap<String, StoredResource>,
) -> anyhow::Result<resource::Draft> {
    let stored = stored.get(entry.deployment.trim());
    let draft = resource::Draft {
        id: stored.map(|stored| stored.id.clone()),
        deployment: entry.deployment.clone(),
        name: entry.name.clone().unwrap_or_default(),
        kind: entry.kind.parse().map_err(|rule: String| at.refuse("type", rule))?,
        endpoint: entry.endpoint.clone(),
        auth: entry.auth.parse().map_err(|rule: String| at.refuse("auth", rule))?,
        key: key::fetch(entry.key.as_ref(), folder).map_err(|rule| at.refuse("key", rule))?,
        region: entry.region.clone(),
        active: entry.active.or(stored.map(|stored| stored.active)).unwrap_or(true),
    };
    draft.check().map_err(|error| at.place(error.into()))?;
    Ok(draft)
}

/// Finds the event that an entry updates: the one with its id, else with its name.
struct Namesakes<'a> {
    stored: &'a [StoredEvent],
    /// Events that another entry names by id, or has found already.
    taken: HashSet<&'a str>,
}

impl<'a> Namesakes<'a> {
    fn new(stored: &'a [StoredEvent], workshop: &'a Workshop) -> Self {
        let taken = workshop.events.iter().filter_map(|entry| entry.id.as_deref()).collect();
        Self { stored, taken }
    }

    fn stored(&mut self, entry: &workshop::Event) -> Result<Option<&'a StoredEvent>, String> {
        let by_id = self.stored.iter().find(|event| Some(&event.id) == entry.id.as_ref());
        if by_id.is_some() {
            return Ok(by_id);
        }
        let named: Vec<_> = self
            .stored
            .iter()
            .filter(|event| event.fields.name == entry.name.trim())
            .filter(|event| !self.taken.contains(event.id.as_str()))
            .collect();
        if let [_, _, ..] = named[..] {
            let ids: Vec<_> = named.iter().map(|event| event.id.as_str()).collect();
            return Err(format!(
                "several events are called so; add the id of one: {}",
                ids.join(", ")
            ));
        }
        self.taken.extend(named.iter().map(|event| event.id.as_str()));
        Ok(named.first().copied())
    }
}

/// What the file cannot say stays as it is stored. So does what it leaves out of that which is
/// changed in the room: the window, the caps, whether registration is closed, and whether the
/// event is switched on.
fn event_draft(entry: &workshop::Event, stored: Option<&StoredEvent>, now_ms: i64) -> event::Draft {
    let new = event::Draft::default();
    let kept = stored.map(|stored| &stored.fields);
    let time_zone = entry.time_zone.clone().unwrap_or_else(|| new.time_zone.clone());
    let start = entry.start.clone().or_else(|| kept.map(|kept| kept.start.clone()));
    let start = start.unwrap_or_else(|| next_full_hour(now_ms, &time_zone));
    let end = entry.end.clone().or_else(|| kept.map(|kept| kept.end.clone()));
    let end = end.unwrap_or_else(|| a_week_after(&start));
    let kept = kept.unwrap_or(&new).clone();
    event::Draft {
        id: stored.map(|stored| stored.id.clone()).or_else(|| entry.id.clone()),
        name: entry.name.clone(),
        description: entry.description.clone(),
        organizer_name: entry.organizer_name.clone(),
        organizer_email: entry.organizer_email.clone(),
        start,
        end,
        time_zone,
        resources: entry.resources.iter().map(|name| name.trim().to_owned()).collect(),
        max_token_cap: entry.max_token_cap.unwrap_or(kept.max_token_cap),
        daily_request_cap: entry.daily_request_cap.unwrap_or(kept.daily_request_cap),
        requests_per_minute: entry.requests_per_minute.unwrap_or(kept.requests_per_minute),
        shared_code: Some(entry.shared_code.clone().into()),
        registration: entry.registration.clone().unwrap_or_else(|| kept.registration.clone()),
        active: entry.active.or(stored.map(|stored| stored.active)).unwrap_or(true),
        ..kept
    }
}

fn next_full_hour(now_ms: i64, time_zone: &str) -> String {
    // That a zone is unknown is told when the draft is checked.
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    let now = Timestamp::from_millisecond(now_ms).unwrap_or_default().to_zoned(zone).datetime();
    let hour = now.with().minute(0).second(0).subsec_nanosecond(0).build().unwrap_or(now);
    wall_clock(hour.saturating_add(1.hour()))
}

/// Empty where the start is not a wall clock, which is told when the draft is checked.
fn a_week_after(start: &str) -> String {
    let start: Option<DateTime> = start.trim().parse().ok();
    start.map(|start| wall_clock(start.saturating_add(7.days()))).unwrap_or_default()
}

fn wall_clock(at: DateTime) -> String {
    at.strftime("%Y-%m-%dT%H:%M").to_string()
}
