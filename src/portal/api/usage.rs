//! What was used in an event, as of about a second ago.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::bearer::Program;
use super::body::Path;
use super::error::ApiError;
use crate::catalog::usage::breakdown::{self, Sum};
use crate::catalog::usage::series::Span;
use crate::catalog::{event, usage};
use crate::portal::Site;

const EVER: Span = Span { from: 0, to: i64::MAX };

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
    /// The same by resource, operation and name, the most called first.
    lines: Vec<UsageLine>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Line)]
pub struct UsageLine {
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
#[utoipa::path(get, path = "/events/{id}/usage", tag = "events",
    operation_id = "readUsage", params(("id" = String, Path)), responses(
    (status = 200, body = Usage),
    (status = 409, description = "The stored event cannot be read"),
))]
pub async fn read(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
) -> Result<Json<Usage>, ApiError> {
    let owner_id = caller.owner_id();
    let event = event::get(&site.db, &site.vault, owner_id, &id).await?;
    let live = usage::live(&site.db, owner_id, &id, site.clock.now_ms()).await?;
    let mut answer = Usage { registered: live.registered, active: live.active, ..Usage::default() };
    for line in breakdown::by_operation(&site.db, &event, EVER, u32::MAX).await? {
        let Sum { requests, errors, prompt_tokens, completion_tokens } = line.sum;
        answer.requests += requests;
        answer.errors += errors;
        answer.prompt_tokens += prompt_tokens;
        answer.completion_tokens += completion_tokens;
        answer.lines.push(UsageLine {
            deployment: line.deployment.unwrap_or_else(|| "(deleted)".to_owned()),
            operation: line.operation,
            name: line.name,
            requests,
            errors,
            prompt_tokens,
            completion_tokens,
        });
    }
    Ok(Json(answer))
}
