//! Attendees of an event. A key is answered when it is made, and not again.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};

use super::answer::List;
use super::bearer::Program;
use super::body::{Body, Path, Query};
use super::error::ApiError;
use super::etag::{IfMatch, Tag, Tagged};
use crate::catalog::attendee::{AttendeeChange, deleted};
use crate::catalog::whole::whole;
use crate::catalog::{attendee, event};
use crate::clock::{DAY_MS, rfc3339};
use crate::portal::Site;

#[derive(Debug, Serialize, ToSchema)]
pub struct Attendee {
    id: String,
    /// Who this is in the event: `issued:<n>`, `shared:<digest>`, `github:<id>` or
    /// `gateway:<provider>:<id>`.
    user_id: String,
    display_name: String,
    active: bool,
    /// Instead of the event's.
    #[schema(required)]
    daily_request_cap: Option<u32>,
    created_at: String,
    #[schema(required)]
    last_seen_at: Option<String>,
    /// The code of the last refusal.
    #[schema(required)]
    last_error: Option<String>,
    #[schema(required)]
    last_error_at: Option<String>,
}

impl From<attendee::Attendee> for Attendee {
    fn from(attendee: attendee::Attendee) -> Self {
        Self {
            id: attendee.id,
            user_id: attendee.user_id,
            display_name: attendee.display_name,
            active: attendee.active,
            daily_request_cap: attendee.daily_request_cap,
            created_at: rfc3339(attendee.created_at),
            last_seen_at: attendee.last_seen_at.map(rfc3339),
            last_error: attendee.last_error,
            last_error_at: attendee.last_error_at.map(rfc3339),
        }
    }
}

/// An attendee with the version that an answer shows.
fn tagged(site: &Site, attendee: attendee::Attendee) -> Result<Tagged<Attendee>, ApiError> {
    let shown = Attendee::from(attendee);
    Ok(Tagged(Tag::of(&site.vault, &shown, None)?, shown))
}

/// How many attendees one answer holds: the numbers that can be asked for, and the default.
pub const PAGE: std::ops::RangeInclusive<usize> = 1..=1000;
pub const USUAL_PAGE: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// `next` of the page before.
    after: Option<String>,
    /// Maximum number of attendees in the answer.
    limit: Option<usize>,
}

/// Attendees, in the order in which they came.
#[utoipa::path(get, path = "/events/{id}/attendees", tag = "attendees",
    operation_id = "listAttendees",
    params(("id" = String, Path), Asked), responses(
    (status = 200, body = List<Attendee>),
    (status = 409, description = "The stored event cannot be read"),
))]
pub async fn list(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json<List<Attendee>>, ApiError> {
    let limit = asked.limit.unwrap_or(USUAL_PAGE);
    if !PAGE.contains(&limit) {
        let rule = format!("must be from {} to {}", PAGE.start(), PAGE.end());
        return Err(ApiError::invalid("limit", rule));
    }
    event::get(&site.db, &site.vault, caller.owner_id(), &id).await?;
    let after = asked.after.as_deref().map(place).transpose()?;
    let mut all = attendee::list(&site.db, caller.owner_id(), &id).await?;
    if let Some(after) = after {
        all.retain(|attendee| (attendee.created_at, &*attendee.id) > after);
    }
    let is_more = all.len() > limit;
    all.truncate(limit);
    let next =
        all.last().filter(|_| is_more).map(|last| format!("{}-{}", last.created_at, last.id));
    Ok(Json(List::page(all.into_iter().map(Attendee::from).collect(), next)))
}

/// What `next` of a page looks like: the place of its last attendee in the order of all. So the
/// next page follows although that attendee was deleted meanwhile.
pub const PLACE: &str = "^[0-9]{1,15}-[0-9a-f]{32}$";

fn place(next: &str) -> Result<(i64, &str), ApiError> {
    let place = next.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id)));
    place.ok_or_else(|| ApiError::invalid("after", "must be `next` of the page before"))
}

/// One attendee.
#[utoipa::path(get, path = "/events/{id}/attendees/{attendee_id}", tag = "attendees",
    operation_id = "readAttendee",
    params(("id" = String, Path), ("attendee_id" = String, Path)), responses(
    (status = 200, body = Attendee),
))]
pub async fn read(
    State(site): State<Site>,
    caller: Program,
    Path((id, attendee_id)): Path<(String, String)>,
) -> Result<Tagged<Attendee>, ApiError> {
    tagged(&site, own(&site, &caller, &id, &attendee_id).await?)
}

async fn own(
    site: &Site,
    caller: &Program,
    event_id: &str,
    id: &str,
) -> Result<attendee::Attendee, ApiError> {
    Ok(attendee::get(&site.db, caller.owner_id(), event_id, id).await?)
}

/// How many keys to issue: `count`, or as many as there are `names`, whichever is more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    #[serde(default, deserialize_with = "whole")]
    count: u32,
    #[serde(default)]
    names: Vec<String>,
}

/// A new attendee.
#[derive(Debug, Serialize, ToSchema)]
pub struct Issued {
    id: String,
    user_id: String,
    display_name: String,
    /// It cannot be asked for again.
    #[serde(serialize_with = "shown")]
    #[schema(value_type = String)]
    api_key: SecretString,
}

/// Makes attendees with their keys: all or none.
#[utoipa::path(post, path = "/events/{id}/attendees", tag = "attendees",
    operation_id = "issueAttendees", params(("id" = String, Path)),
    request_body = Wanted, responses(
    (status = 201, body = List<Issued>),
))]
pub async fn issue(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
    Body(Wanted { count, names }): Body<Wanted>,
) -> Result<(StatusCode, Json<List<Issued>>), ApiError> {
    let actor = caller.actor();
    let issued = attendee::issue(&site.db, &site.vault, &actor, &id, count, &names).await?;
    let items = issued.into_iter().map(|new| Issued {
        id: new.attendee_id,
        user_id: new.user_id,
        display_name: new.display_name,
        api_key: new.api_key,
    });
    Ok((StatusCode::CREATED, List::whole(items)))
}

/// Switches a key off or on, or gives an attendee a cap of their own.
///
/// With `If-Match` this is done only if what an answer shows of the attendee has not changed since; their next call
/// changes `last_seen_at`.
#[utoipa::path(patch, path = "/events/{id}/attendees/{attendee_id}", tag = "attendees",
    operation_id = "updateAttendee",
    params(("id" = String, Path), ("attendee_id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = AttendeeChange, responses(
    (status = 200, body = Attendee),
))]
pub async fn update(
    State(site): State<Site>,
    caller: Program,
    Path((id, attendee_id)): Path<(String, String)>,
    condition: IfMatch,
    Body(wanted): Body<AttendeeChange>,
) -> Result<Tagged<Attendee>, ApiError> {
    let (by, allow) = (caller.actor(), allow(&site, &condition));
    let attendee = attendee::edit(&site.db, &by, &id, &attendee_id, wanted, allow).await?;
    tagged(&site, attendee)
}

/// Whether an attendee as stored may be changed.
fn allow(
    site: &Site,
    condition: &IfMatch,
) -> impl FnOnce(&attendee::Attendee) -> Result<(), ApiError> {
    move |stored| condition.check(|| Ok(Some(tagged(site, stored.clone())?.0)))
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewKey {
    /// It cannot be asked for again.
    #[serde(serialize_with = "shown")]
    #[schema(value_type = String)]
    api_key: SecretString,
}

fn shown<S: Serializer>(key: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose_secret())
}

/// Gives an attendee a new key; the old one stops at once.
///
/// 409 for one who joined with the shared code: their key is the code and their name.
#[utoipa::path(post, path = "/events/{id}/attendees/{attendee_id}/key", tag = "attendees",
    operation_id = "makeNewKey",
    params(("id" = String, Path), ("attendee_id" = String, Path)), responses(
    (status = 200, body = NewKey),
    (status = 409, description = "The attendee joined with the shared code: their key is the code and their name"),
))]
pub async fn new_key(
    State(site): State<Site>,
    caller: Program,
    Path((id, attendee_id)): Path<(String, String)>,
) -> Result<Json<NewKey>, ApiError> {
    own(&site, &caller, &id, &attendee_id).await?;
    let actor = caller.actor();
    let api_key = attendee::new_key(&site.db, &site.vault, &actor, &attendee_id).await?;
    Ok(Json(NewKey { api_key }))
}

/// Deletes an attendee. Their figures stay with the event.
///
/// One who joined by themselves stays out from then on, until they are let in again.
#[utoipa::path(delete, path = "/events/{id}/attendees/{attendee_id}", tag = "attendees",
    operation_id = "deleteAttendee",
    params(("id" = String, Path), ("attendee_id" = String, Path), ("If-Match" = Option<String>, Header)), responses(
    (status = 204, description = "They are gone"),
))]
pub async fn remove(
    State(site): State<Site>,
    caller: Program,
    Path((id, attendee_id)): Path<(String, String)>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let today = site.clock.today(site.clock.now_ms());
    let (by, allow) = (caller.actor(), allow(&site, &condition));
    attendee::delete_if(&site.db, &by, &id, &attendee_id, today, allow).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Somebody who joined by themselves, was deleted and stays out.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deleted {
    /// `shared:<digest>`, `github:<id>` or `gateway:<provider>:<id>`. The name is not kept.
    user_id: String,
    /// When the UTC day of the deletion began.
    day: String,
    /// Requests of that day that were used by then.
    used: u32,
}

impl From<deleted::Deleted> for Deleted {
    fn from(deleted: deleted::Deleted) -> Self {
        let day = rfc3339(i64::from(deleted.day) * DAY_MS);
        Self { user_id: deleted.user_id, day, used: deleted.used }
    }
}

/// Who stays out, the latest day first.
#[utoipa::path(get, path = "/events/{id}/attendees/deleted", tag = "attendees",
    operation_id = "listDeletedAttendees",
    params(("id" = String, Path)), responses(
    (status = 200, body = List<Deleted>),
    (status = 409, description = "The stored event cannot be read"),
))]
pub async fn list_deleted(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
) -> Result<Json<List<Deleted>>, ApiError> {
    event::get(&site.db, &site.vault, caller.owner_id(), &id).await?;
    let all = deleted::list(&site.db, caller.owner_id(), &id).await?;
    Ok(List::whole(all.into_iter().map(Deleted::from)))
}

/// Lets somebody who was deleted in again, under the name that they had.
///
/// What they used of a day's cap still counts for that day.
#[utoipa::path(post, path = "/events/{id}/attendees/deleted/{user_id}/let-in", tag = "attendees",
    operation_id = "letInAgain",
    params(("id" = String, Path), ("user_id" = String, Path)), responses(
    (status = 204, description = "They can call again"),
))]
pub async fn let_in(
    State(site): State<Site>,
    caller: Program,
    Path((id, user_id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    deleted::let_in_again(&site.db, &site.vault, &caller.actor(), &id, &user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
