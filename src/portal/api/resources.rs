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
use super::etag::{IfMatch, Tag, Tagged};
use crate::catalog::Outcome;
use crate::catalog::resource::{self, Changes, Draft};
use crate::catalog::seal::Vault;
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

/// The version of a resource that an answer shows.
fn tag(vault: &Vault, resource: &resource::Resource) -> Result<Tag, ApiError> {
    Tag::of(vault, &Resource::from(resource), resource.key.as_ref())
}

fn saved(
    vault: &Vault,
    outcome: Outcome,
    resource: &resource::Resource,
) -> Result<Tagged<Saved<Resource>>, ApiError> {
    let tag = tag(vault, resource)?;
    Ok(Tagged(tag, Saved { change: outcome.into(), item: Resource::from(resource) }))
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
) -> Result<Tagged<Resource>, ApiError> {
    let found = resource::get(&site.db, &site.vault, caller.owner_id(), &id).await?;
    Ok(Tagged(tag(&site.vault, &found)?, Resource::from(&found)))
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
) -> Result<(StatusCode, Tagged<Saved<Resource>>), ApiError> {
    let (vault, draft) = (&site.vault, fields.over(Draft::default())?);
    let (outcome, resource) = resource::create(&site.db, vault, &caller.actor(), &draft).await?;
    Ok((StatusCode::CREATED, saved(vault, outcome, &resource)?))
}

/// Changes the fields of a resource that are sent, over whatever others have changed meanwhile.
///
/// With `If-Match` it is changed only if nobody else has changed it since.
#[utoipa::path(patch, path = "/resources/{id}", tag = "resources",
    operation_id = "updateResource", params(("id" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = Changes, responses(
    (status = 200, body = Saved<Resource>),
    (status = 409, description = "Another resource has this deployment name"),
))]
pub async fn update(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
    condition: IfMatch,
    Body(fields): Body<Changes>,
) -> Result<Tagged<Saved<Resource>>, ApiError> {
    let vault = &site.vault;
    // Every field of a resource that cannot be read must be sent.
    let change = |stored: Option<&resource::Resource>, draft| {
        condition.check(|| stored.map(|resource| tag(vault, resource)).transpose())?;
        Ok::<_, ApiError>(fields.over(draft)?)
    };
    let (outcome, resource) = resource::edit(&site.db, vault, &caller.actor(), &id, change).await?;
    saved(vault, outcome, &resource)
}

/// Deletes a resource that no event uses.
#[utoipa::path(delete, path = "/resources/{id}", tag = "resources",
    operation_id = "deleteResource", params(("id" = String, Path), ("If-Match" = Option<String>, Header)), responses(
    (status = 204, description = "It is gone"),
    (status = 409, description = "An event uses the resource"),
))]
pub async fn remove(
    State(site): State<Site>,
    caller: Program,
    Path(id): Path<String>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let vault = &site.vault;
    let allow = |stored: Option<&resource::Resource>| {
        condition.check(|| stored.map(|resource| tag(vault, resource)).transpose())
    };
    resource::delete_if(&site.db, vault, &caller.actor(), &id, allow).await?;
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
