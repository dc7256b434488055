//! What was used in an event, as of about a second ago.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::bearer::Caller;
use super::body::Path;
use super::error::{ApiError, Problem};
use crate::catalog::{event, usage};
use crate::clock::now_ms;
use crate::portal::Site;

#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Usage {
    /// Attendees.
    registered: u64,
    /// Those of them who called within five minutes.
    active: u64,
    requests: u64,
    /// Those of the requests that failed.
    errors: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// The same by resource, operation and name.
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Line {
    /// The deployment name; `(deleted)` where the resource is gone.
    deployment: String,
    /// The JSON-RPC method, or the model route.
    operation: String,
    /// The tool or prompt, where there is one.
    name: String,
    requests: u64,
    errors: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// The figures of an event, from its beginning.
#[utoipa::path(get, path = "/events/{id}/usage", tag = "events", params(("id" = String, Path)), responses(
    (status = 200, body = Usage), (status = "default", body = Problem, description = "What went wrong"),
))]
pub async fn read(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Usage>, ApiError> {
    let owner_id = caller.owner_id();
    event::get(&site.db, &site.vault, owner_id, &id).await?;
    let live = usage::live(&site.db, owner_id, &id, now_ms()).await?;
    let mut answer = Usage { registered: live.registered, active: live.active, ..Usage::default() };
    for line in usage::of_event(&site.db, owner_id, &id).await? {
        answer.requests += line.requests;
        answer.errors += line.errors;
        answer.prompt_tokens += line.prompt_tokens;
        answer.completion_tokens += line.completion_tokens;
        answer.lines.push(Line {
            deployment: line.deployment,
            operation: line.operation,
            name: line.name,
            requests: line.requests,
            errors: line.errors,
            prompt_tokens: line.prompt_tokens,
            completion_tokens: line.completion_tokens,
        });
    }
    Ok(Json(answer))
}
