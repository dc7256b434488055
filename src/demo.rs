//! `ai-proxy demo`: a workshop that works on a machine with nothing but this
//! binary. A built-in MCP server, an event and an attendee, so that the first
//! thing a newcomer sees is a request that went the whole way.

pub mod backend;
mod greeting;
mod workshop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use self::backend::Backend;
use self::greeting::Greeting;
use self::workshop::Workshop;
use crate::app::App;
use crate::catalog::resource::{Resource, ResourceType};
use crate::catalog::snapshot::Snapshot;
use crate::config::Config;
use crate::net::base_url::{BaseUrl, Fallback};
use crate::proxy::caller::is_open;

const DEPLOYMENT: &str = "mcp-demo";
const EVENT_NAME: &str = "Demo workshop";

/// How long a data plane may take to see what was written: it looks each second.
const PATIENCE: Duration = Duration::from_secs(10);

const LOOK: Duration = Duration::from_millis(20);

/// A demo that can be called. Its MCP server runs until this is dropped.
pub struct Demo {
    workshop: Workshop,
    _backend: Backend,
}

/// Starts the MCP server, writes the rows that lead to it, and waits until
/// `app`, which must be serving, has taken them in. After the sockets are bound,
/// so that a demo that cannot have its port leaves a running one's rows alone.
///
/// # Errors
/// The store cannot be written, or there is no free loopback port.
pub async fn prepare(app: &App) -> anyhow::Result<Demo> {
    let backend = Backend::start().await.context("the demo's MCP server could not start")?;
    let workshop = workshop::prepare(&app.db, &app.vault, &backend, app.clock.now_ms())
        .await
        .context("the demo's event could not be made")?;
    let taken_in = async {
        while !leads_to(&app.plane.snapshot.load(), &workshop, &backend, app.clock.now_ms()) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken_in)
        .await
        .context("the proxy does not see the demo's event; the log says why")?;
    Ok(Demo { workshop, _backend: backend })
}

fn leads_to(snapshot: &Snapshot, workshop: &Workshop, backend: &Backend, now_ms: i64) -> bool {
    let Some(event) = snapshot.events.get(&workshop.event_id) else { return false };
    let is_backend = |resource: &Arc<Resource>| resource.endpoint.url.as_str() == backend.endpoint;
    is_open(event, now_ms).is_ok() && event.resources.iter().any(is_backend)
}

impl Demo {
    /// What to print once `addr` is served. It holds the attendee's key: for the
    /// terminal, not for a log.
    pub fn greeting(&self, config: &Config, addr: SocketAddr) -> String {
        let path = ResourceType::McpServer.client_path(DEPLOYMENT).unwrap_or_default();
        let greeting = Greeting {
            url: &base_url(config, addr).join(&path),
            api_key: &self.workshop.api_key,
            event_name: EVENT_NAME,
            event_id: &self.workshop.event_id,
            data_dir: &config.store.data_dir,
        };
        greeting.text()
    }
}

fn base_url(config: &Config, addr: SocketAddr) -> BaseUrl {
    let fallback = Fallback::Local { https: config.tls_cert.is_some(), listen: addr };
    BaseUrl::new(config.public_url.as_ref(), fallback)
}
