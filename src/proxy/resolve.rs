//! Which resource of the caller's event a path names, and where at its backend.

use std::sync::Arc;

use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

use super::caller::Caller;
use super::endpoint_path;
use super::error::ProxyError;
use crate::catalog::resource::{Resource, ResourceType};

/// A backend that the caller may use, and the path and query it is asked for.
pub struct CallTarget {
    pub resource: Arc<Resource>,
    pub path: PathAndQuery,
}

impl CallTarget {
    /// The MCP server `deployment` (as sent) of the caller's event, for the
    /// remainder and query that followed it.
    pub fn mcp(
        caller: &Caller,
        deployment: &str,
        rest: &str,
        query: Option<&str>,
    ) -> Result<Self, ProxyError> {
        let resource = find(caller, deployment, ResourceType::McpServer)?;
        endpoint_path::check(rest).map_err(|endpoint_path::InvalidPath| ProxyError::InvalidPath)?;
        let endpoint = &resource.endpoint;
        let path = endpoint_path::join(&endpoint.path, endpoint.query.as_deref(), rest, query)
            .try_into()
            .map_err(|_| ProxyError::InvalidPath)?;
        Ok(Self { resource, path })
    }
}

/// The longest deployment name that is echoed, in characters.
const MAX_NAME: usize = 64;

fn find(
    caller: &Caller,
    deployment: &str,
    kind: ResourceType,
) -> Result<Arc<Resource>, ProxyError> {
    let name = percent_decode_str(deployment).decode_utf8_lossy();
    let of_type = || caller.event.resources.iter().filter(|resource| resource.kind == kind);
    match of_type().find(|resource| *resource.deployment == *name) {
        Some(resource) if resource.active => Ok(resource.clone()),
        Some(resource) => Err(ProxyError::DeploymentOff {
            deployment: resource.deployment.to_string(),
            organizer: (&*caller.event).into(),
        }),
        None => {
            let usable = of_type().filter(|resource| resource.active);
            let mut available: Vec<String> =
                usable.map(|resource| resource.deployment.to_string()).collect();
            available.sort_unstable();
            let deployment = name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
            Err(ProxyError::DeploymentNotFound { deployment, available })
        }
    }
}
