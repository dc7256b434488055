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
use crate::catalog::{Saved, event, resource};
use crate::cli::workshop::{self, Place, Source, Workshop, Wrong};
use crate::clock::now_ms;

/// What will be written, in the file's order.
pub(super) struct Plan {
    resources: Vec<PlannedResource>,
    events: Vec<PlannedEvent>,
    /// Resource ids by deployment name.
    ids: HashMap<String, String>,
}

struct PlannedResource {
    /// Of the one that is there already.
    id: Option<String>,
    deployment: String,
    changes: resource::Changes,
}

struct PlannedEvent {
    name: String,
    /// By deployment names: resources that are new have no ids yet.
    resources: Vec<String>,
    write: Write,
}

enum Write {
    Create(Box<event::Draft>),
    /// With its id.
    Update(String, Box<event::Changes>),
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
            resources.push(planned_resource(at, entry, folder, &stored)?);
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
            let planned = planned_event(entry, stored, now_ms).map_err(|error| at.place(error))?;
            let is_planned = |name: &String| resources.iter().any(|one| one.deployment == *name);
            let unknown = |name: &&String| !ids.contains_key(*name) && !is_planned(name);
            if let Some(name) = planned.resources.iter().find(unknown) {
                return Err(at
                    .refuse("resources", format!("there is no resource '{name}'"))
                    .into());
            }
            events.push(planned);
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
        for (index, planned) in self.resources.into_iter().enumerate() {
            let PlannedResource { id, deployment, changes } = planned;
            let at = Entry { source, table: "resource", index, name: &deployment };
            let saved = destination.save_resource(id.as_deref(), changes).await;
            let Saved { id, outcome } = saved.map_err(|error| at.place(error))?;
            self.ids.insert(deployment.clone(), id.clone());
            applied.resources.push(AppliedResource { deployment, id, change: outcome.as_str() });
        }
        for (index, PlannedEvent { name, resources, write }) in self.events.into_iter().enumerate()
        {
            let at = Entry { source, table: "event", index, name: &name };
            let ids = resources.iter().filter_map(|name| self.ids.get(name).cloned()).collect();
            let saved = match write {
                Write::Create(draft) => {
                    destination.create_event(&event::Draft { resources: ids, ..*draft }).await
                }
                Write::Update(id, changes) => {
                    let changes = event::Changes { resources: Some(ids), ..*changes };
                    destination.update_event(&id, changes).await
                }
            };
            let Saved { id, outcome } = saved.map_err(|error| at.place(error))?;
            applied.events.push(AppliedEvent { id, name, change: outcome.as_str() });
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

fn planned_resource(
    at: Entry<'_>,
    entry: &workshop::Resource,
    folder: &Path,
    stored: &HashMap<String, StoredResource>,
) -> anyhow::Result<PlannedResource> {
    let deployment = entry.deployment.trim().to_owned();
    let changes = resource::Changes {
        deployment: Some(entry.deployment.clone()),
        name: Some(entry.name.clone().unwrap_or_default()),
        kind: Some(entry.kind.clone()),
        endpoint: Some(entry.endpoint.clone()),
        auth: Some(entry.auth.clone()),
        key: Some(key::fetch(entry.key.as_ref(), folder).map_err(|rule| at.refuse("key", rule))?),
        region: Some(entry.region.clone()),
        active: entry.active,
    };
    // All that has a rule is in the file.
    let draft = changes.clone().over(resource::Draft::default());
    draft.and_then(|draft| draft.check()).map_err(|error| at.place(error.into()))?;
    let id = stored.get(&deployment).map(|stored| stored.id.clone());
    Ok(PlannedResource { id, deployment, changes })
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
/// event is switched on; and how cards work, the terms of
/// use and when personal data is removed, which earlier files do not say.
fn planned_event(
    entry: &workshop::Event,
    stored: Option<&StoredEvent>,
    now_ms: i64,
) -> Result<PlannedEvent, ApplyError> {
    let mut new = event::Draft { id: entry.id.clone(), active: true, ..event::Draft::default() };
    let time_zone = entry.time_zone.clone().unwrap_or_else(|| new.time_zone.clone());
    let changes = event::Changes {
        name: Some(entry.name.clone()),
        description: Some(entry.description.clone()),
        organizer_name: Some(entry.organizer_name.clone()),
        organizer_email: Some(entry.organizer_email.clone()),
        start: entry.start.clone(),
        end: entry.end.clone(),
        time_zone: Some(time_zone.clone()),
        max_token_cap: entry.max_token_cap,
        daily_request_cap: entry.daily_request_cap,
        requests_per_minute: entry.requests_per_minute,
        shared_code: Some(Some(entry.shared_code.clone().into())),
        registration: entry.registration.clone(),
        cards_work_once: entry.cards_work_once,
        terms: entry.terms.clone(),
        forget_after_days: entry.forget_after_days.map(|days| (days > 0).then_some(days)),
        active: entry.active,
        ..event::Changes::default()
    };
    new.start = entry.start.clone().unwrap_or_else(|| next_full_hour(now_ms, &time_zone));
    new.end = a_week_after(&new.start);
    let base = stored.map_or(new, |stored| stored.fields.clone());
    let draft = changes.clone().over(base);
    draft.check()?;
    let write = match stored {
        Some(stored) => Write::Update(stored.id.clone(), Box::new(changes)),
        None => Write::Create(Box::new(draft)),
    };
    let resources = entry.resources.iter().map(|name| name.trim().to_owned()).collect();
    Ok(PlannedEvent { name: entry.name.trim().to_owned(), resources, write })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::open_store;
    use crate::catalog::event::control;
    use crate::catalog::owner;
    use crate::cli::store::Catalog;
    use crate::config::StoreArgs;

    const FILE: &str = "\
        [[resource]]\ndeployment = 'd'\nendpoint = 'http://127.0.0.1:9/mcp'\n\
        [[event]]\nname = 'E'\ndescription = 'D'\norganizer_name = 'Ada'\n\
        organizer_email = 'ada@example.org'\nresources = ['d']\n";

    async fn plan(text: &str, destination: &Destination) -> Plan {
        let source = Source { name: "w.toml", text };
        let workshop = source.read().unwrap();
        Plan::new(&source, &workshop, Path::new(""), destination).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_done_since_the_store_was_read_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = StoreArgs { data_dir: folder.path().join("data"), database_url: None };
        let (db, vault) = open_store(&store).await.unwrap();
        let (_, same) = open_store(&store).await.unwrap();
        let by = owner::local(&db, owner::LOCAL, 0).await.unwrap().actor(0);
        let catalog = Catalog { db: db.clone(), vault: same, by: by.clone() };
        let destination = Destination::Store(Box::new(catalog));
        let source = Source { name: "w.toml", text: FILE };
        plan(FILE, &destination).await.carry_out(&source, &destination).await.unwrap();
        let [event] = event::list(&db, &vault, &by.owner_id).await.unwrap().try_into().unwrap();

        let changed = FILE.replace("'D'", "'Another'").replace("9/mcp", "9/new");
        let planned = plan(&changed, &destination).await;
        control::set_active(&db, &by, &event.id, false).await.unwrap();
        control::raise_cap(&db, &by, &event.id, event.daily_request_cap, 100).await.unwrap();
        let resource_id = &event.links[0];
        resource::set_active(&db, &by, resource_id, false).await.unwrap();
        planned.carry_out(&source, &destination).await.unwrap();
        let now = event::get(&db, &vault, &by.owner_id, &event.id).await.unwrap();
        assert_eq!((now.description.as_str(), now.active), ("Another", false));
        assert_eq!(now.daily_request_cap, 2 * event.daily_request_cap);
        let resource = resource::get(&db, &vault, &by.owner_id, resource_id).await.unwrap();
        assert_eq!(
            (resource.endpoint.as_written().to_string(), resource.active),
            ("http://127.0.0.1:9/new".to_owned(), false)
        );

        let planned = plan(FILE, &destination).await;
        event::delete(&db, &by, &event.id).await.unwrap();
        let refused = planned.carry_out(&source, &destination).await.err().unwrap().to_string();
        insta::assert_snapshot!(refused, @"w.toml, line 4, column 1: event 'E', id: it was deleted meanwhile; apply the file again");
    }
}
