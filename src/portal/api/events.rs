//! Events, and what is done to one in the room.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{List, Saved};
use super::bearer::Program;
use super::body::{Body, Path};
use super::error::ApiError;
use super::etag::{IfMatch, Tag, Tagged};
use crate::catalog::event::{self, Changes, Draft, control};
use crate::catalog::seal::Vault;
use crate::catalog::whole::whole;
use crate::catalog::{Noun, Outcome};
use crate::clock::rfc3339;
use crate::portal::Site;

#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    id: String,
    name: String,
    description: String,
    organizer_name: String,
    organizer_email: String,
    start: String,
    end: String,
    time_zone: String,
    /// The same instants, in UTC.
    starts_at: String,
    ends_at: String,
    resources: Vec<String>,
    max_token_cap: u32,
    daily_request_cap: u32,
    requests_per_minute: u32,
    burst: u32,
    max_open_requests: u32,
    has_shared_code: bool,
    shared_code_limit: u32,
    registration: String,
    cards_work_once: bool,
    terms: String,
    forget_after_days: Option<u32>,
    /// When personal data of attendees was last removed.
    forgotten_at: Option<String>,
    active: bool,
}

impl From<&event::Event> for Event {
    fn from(event: &event::Event) -> Self {
        Self {
            id: event.id.clone(),
            name: event.name.clone(),
            description: event.description.clone(),
            organizer_name: event.organizer_name.clone(),
            organizer_email: event.organizer_email.clone(),
            start: event.start_local.clone(),
            end: event.end_local.clone(),
            time_zone: event.time_zone.clone(),
            starts_at: rfc3339(event.starts_at),
            ends_at: rfc3339(event.ends_at),
            resources: event.links.clone(),
            max_token_cap: event.max_token_cap,
            daily_request_cap: event.daily_request_cap,
            requests_per_minute: event.requests_per_minute,
            burst: event.burst,
            max_open_requests: event.max_open_requests,
            has_shared_code: event.shared_code.is_some(),
            shared_code_limit: event.shared_code_limit,
            registration: event.registration.as_str().to_owned(),
            cards_work_once: event.cards_work_once,
            terms: event.terms.clone(),
            forget_after_days: event.forget_after_days,
            forgotten_at: event.forgotten_at.map(rfc3339),
            active: event.active,
        }
    }
}

/// The version of an event that an answer shows.
fn tag(vault: &Vault, event: &event::Event) -> Result<Tag, ApiError> {
    Tag::of(vault, &Event::from(event), event.shared_code.as_ref())
}

fn saved(
    vault: &Vault,
    outcome: Outcome,
    event: &event::Event,
) -> Result<Tagged<Saved<Event>>, ApiError> {
    let tag = tag(vault, event)?;
    Ok(Tagged(tag, Saved { change: outcome.into(), item: Event::from(event) }))
}

/// All events: active ones first, then by end.
#[utoipa::path(get, path = "/events", tag = "events", operation_id = "listEvents", responses(
    (status = 200, body = List<Event>),
))]
pub async fn list(
    State(site): State<Site>,
    caller: Program,
) -> Result<Json<List<Event>>, ApiError> {
    let all = event::all(&site.db, &site.vault, caller.owner_id()).await?;
    let unreadable = all.unreadable.iter().filter(|row| row.noun == Noun::Event);
    let unreadable = unreadable.map(Into::into).collect();
    let items = all.read.iter().map(Event::from).collect();
    Ok(Json(List { unreadable, ..List::page(items, None) }))
}

/// One event.
#[utoipa::path(get, path = "/events/{id}", tag = "events",
    operation_id = "readEvent", params(("id" = String, Path)), responses(
    (status = 200, body = Event),
    (status = 409, description = "The stored row cannot be read: send all its fields, or delete it"),
))]
pub async fn read(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
) -> Result<Tagged<Event>, ApiError> {
    let found = event::get(&site.db, &site.vault, caller.owner_id(), &id).await?;
    Ok(Tagged(tag(&site.vault, &found)?, Event::from(&found)))
}

/// Makes an event. It is switched off unless `active` says otherwise.
#[utoipa::path(post, path = "/events", tag = "events",
    operation_id = "createEvent", request_body(content = ref("#/components/schemas/NewEvent")), responses(
    (status = 201, body = Saved<Event>),
    (status = 409, description = "The id is taken, or the event that had it is still being removed"),
))]
pub async fn create(
    State(site): State<Site>,
    caller: Program,
    Body(fields): Body<Changes>,
) -> Result<(StatusCode, Tagged<Saved<Event>>), ApiError> {
    let draft = fields.over(Draft::default());
    let (outcome, event) = event::create(&site.db, &site.vault, &caller.actor(), &draft).await?;
    Ok((StatusCode::CREATED, saved(&site.vault, outcome, &event)?))
}

/// Changes the fields of an event that are sent, over whatever others have changed meanwhile.
///
/// With `If-Match` it is changed only if nobody else has changed it since.
#[utoipa::path(patch, path = "/events/{id}", tag = "events",
    operation_id = "updateEvent", params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = Changes, responses(
    (status = 200, body = Saved<Event>),
))]
pub async fn update(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
    condition: IfMatch,
    Body(fields): Body<Changes>,
) -> Result<Tagged<Saved<Event>>, ApiError> {
    if fields.id.as_ref().is_some_and(|wanted| *wanted != id) {
        return Err(ApiError::invalid("id", "cannot be changed"));
    }
    let vault = &site.vault;
    // Every field of an event that cannot be read must be sent.
    let change = |stored: Option<&event::Event>, draft| {
        condition.check(|| stored.map(|event| tag(vault, event)).transpose())?;
        Ok::<_, ApiError>(fields.over(draft))
    };
    let (outcome, event) = event::edit(&site.db, vault, &caller.actor(), &id, change).await?;
    saved(vault, outcome, &event)
}

/// Deletes an event with its attendees and figures.
#[utoipa::path(delete, path = "/events/{id}", tag = "events",
    operation_id = "deleteEvent", params(("id" = String, Path), ("If-Match" = Option<String>, Header)), responses(
    (status = 204, description = "It is gone"),
))]
pub async fn remove(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let vault = &site.vault;
    let allow = |stored: Option<&event::Event>| {
        condition.check(|| stored.map(|event| tag(vault, event)).transpose())
    };
    event::delete_if(&site.db, vault, &caller.actor(), &id, allow).await?;
    site.preflights.forget(caller.owner_id(), &id);
    Ok(StatusCode::NO_CONTENT)
}

/// Switches an event off.
#[utoipa::path(post, path = "/events/{id}/pause", tag = "events",
    operation_id = "pauseEvent", params(("id" = String, Path)), responses(
    (status = 200, body = Saved<Event>),
    (status = 409, description = "The stored row cannot be read: send all its fields, or delete it"),
))]
pub async fn pause(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
) -> Result<Tagged<Saved<Event>>, ApiError> {
    let outcome = control::set_active(&site.db, &caller.actor(), &id, false).await?;
    as_it_is(&site, &caller, &id, outcome).await
}

/// Switches an event on.
#[utoipa::path(post, path = "/events/{id}/resume", tag = "events",
    operation_id = "resumeEvent", params(("id" = String, Path)), responses(
    (status = 200, body = Saved<Event>),
    (status = 409, description = "The stored row cannot be read: send all its fields, or delete it"),
))]
pub async fn resume(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
) -> Result<Tagged<Saved<Event>>, ApiError> {
    let outcome = control::set_active(&site.db, &caller.actor(), &id, true).await?;
    as_it_is(&site, &caller, &id, outcome).await
}

/// By how many minutes one call can extend an event: at most a day.
pub const MINUTES: std::ops::RangeInclusive<u32> = 1..=1440;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// Counted from the end, or from now if the event has ended.
    #[serde(deserialize_with = "whole")]
    minutes: u32,
    /// `ends_at` as it was read: if it has changed since, nothing is done and the answer
    /// is 409. So a call that is sent again does not extend again.
    ends_at: Option<String>,
}

/// Moves the end of an event on.
#[utoipa::path(post, path = "/events/{id}/extend", tag = "events",
    operation_id = "extendEvent", params(("id" = String, Path)),
    request_body = Extension, responses(
    (status = 200, body = Saved<Event>),
    (status = 409, description = "The end is not `ends_at` any more, or the stored row cannot be read"),
))]
pub async fn extend(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
    Body(by): Body<Extension>,
) -> Result<Tagged<Saved<Event>>, ApiError> {
    if !MINUTES.contains(&by.minutes) {
        let rule = format!("must be from {} to {}", MINUTES.start(), MINUTES.end());
        return Err(ApiError::invalid("minutes", rule));
    }
    let expected = match by.ends_at {
        None => event::get(&site.db, &site.vault, caller.owner_id(), &id).await?.ends_at,
        Some(text) => {
            let at = text.parse::<jiff::Timestamp>();
            at.map_err(|_| ApiError::invalid("ends_at", "must be as in the event"))?
                .as_millisecond()
        }
    };
    control::extend(&site.db, &caller.actor(), &id, expected, by.minutes).await?;
    as_it_is(&site, &caller, &id, Outcome::Updated).await
}

async fn as_it_is(
    site: &Site,
    caller: &Program,
    id: &str,
    outcome: Outcome,
) -> Result<Tagged<Saved<Event>>, ApiError> {
    let found = event::get(&site.db, &site.vault, caller.owner_id(), id).await?;
    saved(&site.vault, outcome, &found)
}
