//! The JSON of azure-ai-proxy-lite, turned into an [`Archive`].

use std::collections::{HashMap, HashSet};

use secrecy::SecretString;
use serde::Deserialize;

use super::zone;
use crate::backup::Error;
use crate::backup::archive::{
    Archive, AttendeeCopy, EventCopy, FORMAT, ResourceCopy, UsageCopy, check_counts, quoted,
};
use crate::catalog::attendee::{self, check_api_key, normal_key};
use crate::catalog::event::Draft;
use crate::catalog::resource::{Auth, ResourceType};
use crate::catalog::usage::BUCKETS_MS;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct File {
    backup_timestamp: Option<String>,
    events: Vec<Event>,
    resources: Vec<Resource>,
    metrics: Vec<Metric>,
    attendees: Vec<Attendee>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Event {
    event_id: Option<String>,
    event_code: Option<String>,
    event_shared_code: Option<SecretString>,
    event_markdown: Option<String>,
    start_timestamp: Option<String>,
    end_timestamp: Option<String>,
    time_zone_offset: i64,
    time_zone_label: Option<String>,
    organizer_name: Option<String>,
    organizer_email: Option<String>,
    max_token_cap: i64,
    daily_request_cap: i64,
    active: bool,
    catalog_ids: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Resource {
    catalog_id: Option<String>,
    deployment_name: Option<String>,
    endpoint_url: Option<String>,
    endpoint_key: Option<SecretString>,
    active: bool,
    model_type: Option<String>,
    location: Option<String>,
    friendly_name: Option<String>,
    use_managed_identity: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metric {
    event_id: Option<String>,
    /// The type and the deployment name, as in `mcp-server | demo`.
    resource: Option<String>,
    date_stamp: Option<String>,
    prompt_tokens: u64,
    completion_tokens: u64,
    request_count: u64,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Attendee {
    event_id: Option<String>,
    user_id: Option<String>,
    api_key: Option<SecretString>,
    active: bool,
}

/// Reads the JSON in such a file. Entries that cannot be taken are left out and noted.
/// A file that does not say when it was made counts as made at `now_ms`.
///
/// # Errors
/// [`Error::Invalid`] where it is not of this form at all.
pub(crate) fn read(text: &[u8], now_ms: i64) -> Result<Archive, Error> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let file: File = serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::Invalid(format!("what is in it is no backup (line {line}, {column})"))
    })?;
    check_counts([
        file.resources.len(),
        file.events.len(),
        file.attendees.len(),
        file.metrics.len(),
    ])?;
    let made_at = file.backup_timestamp.as_deref().and_then(|at| at.parse().ok());
    let mut archive = Archive {
        format: FORMAT,
        source: "azure-ai-proxy-lite".to_owned(),
        made_at: made_at.map_or(now_ms, jiff::Timestamp::as_millisecond),
        resources: Vec::new(),
        events: Vec::new(),
        attendees: Vec::new(),
        usage: Vec::new(),
        notes: Vec::new(),
    };
    for resource in file.resources {
        archive.add_resource(resource);
    }
    for event in file.events {
        archive.add_event(event);
    }
    archive.add_attendees(file.attendees);
    archive.add_metrics(&file.metrics, now_ms);
    Ok(archive)
}

impl Archive {
    fn add_resource(&mut self, resource: Resource) {
        let deployment = resource.deployment_name.unwrap_or_default().trim().to_owned();
        let named = quoted(&deployment);
        let kind = kind(resource.model_type.as_deref().unwrap_or_default());
        let key = resource.endpoint_key.filter(|key| !is_blank(key));
        let auth = if key.is_some() { Auth::ApiKey } else { Auth::None };
        let mut copy = ResourceCopy {
            id: resource.catalog_id.unwrap_or_default(),
            deployment,
            name: resource.friendly_name.unwrap_or_default(),
            kind: kind.map_or("", ResourceType::as_str).to_owned(),
            endpoint: resource.endpoint_url.unwrap_or_default().trim().to_owned(),
            auth: auth.to_string(),
            key,
            region: resource.location.unwrap_or_default(),
            active: resource.active,
        };
        let is_known =
            |other: &ResourceCopy| other.id == copy.id || other.deployment == copy.deployment;
        let refused = match copy.draft().and_then(|draft| draft.check()) {
            Err(error) => Some(error.to_string()),
            Ok(()) => self.resources.iter().any(is_known).then(|| "is in it twice".to_owned()),
        };
        if let Some(reason) = refused {
            self.notes.push(format!("Resource {named} is left out: {reason}."));
            return;
        }
        if resource.use_managed_identity {
            copy.active = false;
            self.notes.push(format!(
                "Resource {named} used a managed identity, which this proxy has not: it comes back \
                 switched off. Give it a key."
            ));
        } else if !kind.is_some_and(ResourceType::is_served) && copy.active {
            copy.active = false;
            self.notes.push(format!(
                "Resource {named} is of the type {}, which cannot be called yet: it comes back \
                 switched off.",
                copy.kind
            ));
        }
        self.resources.push(copy);
    }

    fn add_event(&mut self, event: Event) {
        let name = event.event_code.unwrap_or_default();
        let named = format!("Event {}", quoted(&name));
        let (label, offset) = (event.time_zone_label.unwrap_or_default(), event.time_zone_offset);
        let (start, end) = (event.start_timestamp, event.end_timestamp);
        let window =
            zone::window(&label, offset, &start.unwrap_or_default(), &end.unwrap_or_default());
        let mut linked = HashSet::new();
        let links = event.catalog_ids.unwrap_or_default();
        let links = links.split(',').map(str::trim).filter(|id| {
            self.resources.iter().any(|resource| resource.id == **id) && linked.insert(*id)
        });
        let shared_code = event.event_shared_code.filter(|code| !is_blank(code));
        let copy = EventCopy {
            id: event.event_id.unwrap_or_default(),
            fields: Draft {
                name,
                description: event.event_markdown.unwrap_or_default(),
                organizer_name: event.organizer_name.unwrap_or_default(),
                organizer_email: event.organizer_email.unwrap_or_default(),
                start: window.start,
                end: window.end,
                time_zone: window.time_zone,
                resources: links.map(str::to_owned).collect(),
                max_token_cap: u32::try_from(event.max_token_cap).unwrap_or(0),
                daily_request_cap: u32::try_from(event.daily_request_cap).unwrap_or(0),
                shared_code,
                ..Draft::default()
            },
            registration_stopped: false,
            first_active_at: event.active.then_some(self.made_at.max(0)),
            active: event.active,
        };
        let refused = match copy.check() {
            Err(error) => Some(error.to_string()),
            Ok(()) => {
                let is_twice = self.events.iter().any(|other| other.id == copy.id);
                is_twice.then(|| "its id is in it twice".to_owned())
            }
        };
        if let Some(reason) = refused {
            self.notes.push(format!("{named} is left out with its attendees: {reason}."));
            return;
        }
        if window.is_moved {
            self.notes.push(format!(
                "{named} is in a time zone that is not known here ({}): its times are kept in UTC, \
                 by the offset of {offset} minutes that the file gives.",
                quoted(&label)
            ));
        }
        self.events.push(copy);
    }

    fn add_attendees(&mut self, attendees: Vec<Attendee>) {
        let events: HashSet<&str> = self.events.iter().map(|event| &*event.id).collect();
        let (mut people, mut keys) = (HashSet::new(), HashSet::new());
        let (mut left_out, mut rekeyed) = (0, 0);
        for (number, attendee) in attendees.into_iter().enumerate() {
            let event = attendee.event_id.unwrap_or_default();
            let theirs = attendee::Attendee {
                // Theirs are made in other ways than ours, so they are of a kind of their own.
                user_id: format!("lite:{}", attendee.user_id.unwrap_or_default().trim()),
                active: attendee.active,
                ..attendee::Attendee::new(number.to_string(), &event, self.made_at.max(0))
            };
            let mut copy = AttendeeCopy::new(theirs, attendee.api_key, None);
            let key = copy.api_key.as_ref().map(secrecy::ExposeSecret::expose_secret);
            let is_key = key.is_some_and(|key| {
                check_api_key(key).is_ok() && keys.insert(normal_key(key).into_owned())
            });
            if !is_key {
                copy.api_key = None;
            }
            let person = (copy.event.clone(), copy.user_id.clone());
            if !events.contains(&*copy.event) || copy.check().is_err() || !people.insert(person) {
                left_out += 1;
                continue;
            }
            rekeyed += usize::from(!is_key);
            self.attendees.push(copy);
        }
        if left_out > 0 {
            self.notes.push(format!(
                "Attendees left out: {left_out}. Their event is, or their entry is not whole."
            ));
        }
        if rekeyed > 0 {
            self.notes.push(format!("Attendees whose key cannot be kept: {rekeyed}."));
        }
    }

    fn add_metrics(&mut self, metrics: &[Metric], now_ms: i64) {
        let zones: HashMap<&str, &str> =
            self.events.iter().map(|event| (&*event.id, &*event.fields.time_zone)).collect();
        let resources: HashMap<&str, &str> =
            self.resources.iter().map(|copy| (&*copy.deployment, &*copy.id)).collect();
        let rows = metrics.iter().filter_map(|metric| {
            let event = metric.event_id.as_deref()?;
            let day: jiff::civil::Date = metric.date_stamp.as_deref()?.parse().ok()?;
            let start = day.in_tz(zones.get(event)?).ok()?.timestamp().as_millisecond();
            let name = metric.resource.as_deref().unwrap_or_default();
            let deployment = name.split_once(" | ").map_or(name, |(_, deployment)| deployment);
            let copy = UsageCopy {
                event: event.to_owned(),
                attendee: String::new(),
                resource: (*resources.get(deployment).unwrap_or(&name)).to_owned(),
                operation: "restored".to_owned(),
                name: String::new(),
                minute: start - start.rem_euclid(60_000),
                requests: metric.request_count,
                errors: 0,
                prompt_tokens: metric.prompt_tokens,
                completion_tokens: metric.completion_tokens,
                total_ms: 0,
                buckets: [0; BUCKETS_MS.len() + 1],
            };
            copy.check(now_ms).is_ok().then_some(copy)
        });
        self.usage = rows.collect();
        let (kept, left_out) = (self.usage.len(), metrics.len() - self.usage.len());
        if kept > 0 {
            self.notes.push(format!(
                "Daily figures: {kept}. They come back as the operation “restored”, each at the start of \
                 its day in the event's zone; they name no attendee and no time."
            ));
        }
        if left_out > 0 {
            self.notes.push(format!("Daily figures left out: {left_out}. They are not whole."));
        }
    }
}

/// Their types are stored by our names; the names in their code are taken as well.
fn kind(text: &str) -> Option<ResourceType> {
    text.trim().to_ascii_lowercase().replace('_', "-").parse().ok()
}

fn is_blank(secret: &SecretString) -> bool {
    secrecy::ExposeSecret::expose_secret(secret).trim().is_empty()
}
