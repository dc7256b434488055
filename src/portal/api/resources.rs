//! Resources. The key of a backend goes in and never comes out.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{List, Saved};
use super::bearer::Program;
use super::body::{Body, Path};
use super::error::ApiError;
use crate::catalog::resource::{self, Changes, Draft};
use crate::health;
use crate::portal::Site;
use crate::probe::{Failure, Report};

#[derive(Debug, Serialize, ToSchema)]
pub struct Resource {
    id: String,
    deployment: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    endpoint: String,
    auth: String,
    /// Whether a key is kept for the backend.
    has_key: bool,
    region: String,
    active: bool,
}

impl From<&resource::Resource> for Resource {
    fn from(resource: &resource::Resource) -> Self {
        Self {
            id: resource.id.clone(),
            deployment: resource.deployment.to_string(),
            name: resource.name.clone(),
            kind: resource.kind.as_str(),
            endpoint: resource.endpoint.as_written().to_owned(),
            auth: resource.auth.to_string(),
            has_key: resource.key.is_some(),
            region: resource.region.clone(),
            active: resource.active,
        }
    }
}

/// All resources, by name.
#[utoipa::path(get, path = "/resources", tag = "resources",
    operation_id = "listResources", responses(
    (status = 200, body = List<Resource>),
))]
pub async fn list(
    State(site): State<Site>,
    caller: Program,
) -> Result<Json<List<Resource>>, ApiError> {
    let all = resource::all(&site.db, &site.vault, caller.owner_id()).await?;
    let unreadable = all.unreadable.iter().map(Into::into).collect();
    let items = all.read.iter().map(Resource::from).collect();
    Ok(Json(List { unreadable, ..List::page(items, None) }))
}

/// One resource.
#[utoipa::path(get, path = "/resources/{id}", tag = "resources",
    operation_id = "readResource", params(("id" = String, Path)), responses(
    (status = 200, body = Resource),
    (status = 409, description = "The stored row cannot be read: send all its fields, or delete it"),
))]
pub async fn read(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
) -> Result<Json<Resource>, ApiError> {
    let found = resource::get(&site.db, &site.vault, caller.owner_id(), &id).await?;
    Ok(Json(Resource::from(&found)))
}

/// Makes a resource.
#[utoipa::path(post, path = "/resources", tag = "resources",
    operation_id = "createResource", request_body(content = ref("#/components/schemas/NewResource")), responses(
    (status = 201, body = Saved<Resource>),
    (status = 409, description = "Another resource has this deployment name"),
))]
pub async fn create(
    State(site): State<Site>,
    caller: Program,
    Body(fields): Body<Changes>,
) -> Result<(StatusCode, Json<Saved<Resource>>), ApiError> {
    let saved = save(&site, &caller, None, fields).await?;
    Ok((StatusCode::CREATED, Json(saved)))
}

/// Changes the fields of a resource that are sent; the last write wins.
#[utoipa::path(patch, path = "/resources/{id}", tag = "resources",
    operation_id = "updateResource", params(("id" = String, Path)),
    request_body = Changes, responses(
    (status = 200, body = Saved<Resource>),
    (status = 409, description = "Another resource has this deployment name"),
))]
pub async fn update(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
    Body(fields): Body<Changes>,
) -> Result<Json<Saved<Resource>>, ApiError> {
    Ok(Json(save(&site, &caller, Some(&id), fields).await?))
}

async fn save(
    site: &Site,
    caller: &Program,
    id: Option<&str>,
    fields: Changes,
) -> Result<Saved<Resource>, ApiError> {
    let (db, vault, by) = (&site.db, &site.vault, caller.actor());
    let (outcome, stored) = match id {
        None => resource::create(db, vault, &by, &fields.over(Draft::default())?).await?,
        // Of a resource that cannot be read, every field must be sent.
        Some(id) => resource::edit(db, vault, &by, id, |stored| fields.over(stored)).await?,
    };
    Ok(Saved { change: outcome.into(), item: Resource::from(&stored) })
}

/// Deletes a resource that no event uses.
#[utoipa::path(delete, path = "/resources/{id}", tag = "resources",
    operation_id = "deleteResource", params(("id" = String, Path)), responses(
    (status = 204, description = "It is gone"),
    (status = 409, description = "An event uses the resource"),
))]
pub async fn remove(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    resource::delete(&site.db, &caller.actor(), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What became of a test.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tested {
    works: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    reason: Option<String>,
    /// The server's name for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    protocol_version: Option<String>,
    tools: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    connect_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    latency_ms: Option<u64>,
}

/// Connects to the MCP server and lists its tools.
#[utoipa::path(post, path = "/resources/{id}/test", tag = "resources",
    operation_id = "testResource", params(("id" = String, Path)), responses(
    (status = 200, body = Tested),
    (status = 409, description = "It is not an MCP server, or the stored row cannot be read"),
))]
pub async fn test(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
) -> Result<Json<Tested>, ApiError> {
    let found = resource::get(&site.db, &site.vault, caller.owner_id(), &id).await?;
    if !found.kind.is_probed() {
        return Err(ApiError::conflict("Only MCP servers can be tested."));
    }
    let owner_id = caller.owner_id();
    let asked = site.health.ask(&site.config, owner_id, &found.endpoint, found.credential()).await;
    if matches!(asked, Err(Failure::NoTurn)) {
        return Err(ApiError::busy());
    }
    if let Ok(Report { constant_session: Some(session), .. }) = &asked {
        health::note_constant(&site.db, &found.id, session).await;
    }
    Ok(Json(match asked {
        Ok(report) => Tested {
            works: true,
            reason: None,
            server: Some(report.server.name),
            protocol_version: Some(report.protocol_version),
            tools: report.tools,
            connect_ms: Some(report.connect_ms),
            latency_ms: Some(report.latency_ms),
        },
        Err(failure) => Tested {
            works: false,
            reason: Some(failure.to_string()),
            server: None,
            protocol_version: None,
            tools: Vec::new(),
            connect_ms: None,
            latency_ms: None,
        },
    }))
}
