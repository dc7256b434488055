//! Who one is here, and what was done in one's name.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::List;
use super::bearer::Program;
use super::body::Query;
use super::error::ApiError;
use crate::catalog::audit;
use crate::clock::rfc3339;
use crate::portal::Site;

/// Entries of a page.
const ROWS: u32 = 100;

#[derive(Debug, Serialize, ToSchema)]
pub struct Owner {
    id: String,
    name: String,
    /// `owner` or `administrator`; here both reach their own things only.
    role: &'static str,
    /// The name of the token that this was asked with.
    token: String,
}

/// Who am I?
#[utoipa::path(get, path = "/owner", tag = "owner", operation_id = "readOwner", responses(
    (status = 200, body = Owner),
))]
pub async fn owner(caller: Program) -> Json<Owner> {
    let (owner, token) = (caller.owner(), caller.token_name().to_owned());
    Json(Owner { id: owner.id.clone(), name: owner.name.clone(), role: owner.role.as_str(), token })
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    id: String,
    at: String,
    /// The owner; by a token, with its name.
    actor: String,
    action: String,
    noun: String,
    noun_id: String,
    detail: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Entries before this one: `next` of the page before.
    before: Option<String>,
}

/// What the owner did and what was done to them, the newest first.
#[utoipa::path(get, path = "/audit", tag = "owner",
    operation_id = "listAudit", params(Asked), responses(
    (status = 200, body = List<Entry>),
))]
pub async fn audit(
    State(site): State<Site>,
    caller: Program,
    Query(asked): Query<Asked>,
) -> Result<Json<List<Entry>>, ApiError> {
    let (whose, before) = (Some(caller.owner_id()), asked.before.as_deref());
    // One more than fits tells whether there is another page.
    let mut entries = audit::list(&site.db, whose, before, ROWS + 1).await?;
    let is_more = entries.len() > ROWS as usize;
    entries.truncate(ROWS as usize);
    let next = entries.last().filter(|_| is_more).map(|last| last.id.clone());
    let items = entries.into_iter().map(|entry| Entry {
        id: entry.id,
        at: rfc3339(entry.at),
        actor: entry.actor,
        action: entry.action,
        noun: entry.noun,
        noun_id: entry.noun_id,
        detail: entry.detail,
    });
    Ok(Json(List::page(items.collect(), next)))
}
