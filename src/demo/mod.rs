//! `ai-proxy demo`: a workshop that works on a machine with nothing but this
//! binary. A built-in MCP server, an event and an attendee, so that the first
//! thing a newcomer sees is a request that went the whole way.

mod backend;
mod greeting;
mod workshop;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;

use self::backend::Backend;
use self::greeting::Greeting;
use self::workshop::Workshop;
use crate::catalog::change;
use crate::catalog::seal::Vault;
use crate::db::Db;

const DEPLOYMENT: &str = "mcp-demo";
const EVENT_NAME: &str = "Demo workshop";

/// A demo that can be called through a proxy on the same store. Its MCP server
/// runs until this is dropped.
pub struct Demo {
    workshop: Workshop,
    /// The catalog's revision that a proxy must have read to serve the demo.
    pub revision: i64,
    _backend: Backend,
}

/// Starts the MCP server and writes the rows that lead to it.
///
/// # Errors
/// The store cannot be written, or there is no free loopback port.
pub async fn prepare(db: &Db, vault: &Vault) -> anyhow::Result<Demo> {
    let backend = Backend::start().await.context("the demo's MCP server could not start")?;
    let workshop = workshop::prepare(db, vault, &backend)
        .await
        .context("the demo's event could not be made")?;
    let revision = change::revision(db).await?;
    Ok(Demo { workshop, revision, _backend: backend })
}

impl Demo {
    /// What to print once a proxy serves at `addr`. It holds the attendee's
    /// key: for the terminal, not for a log.
    pub fn greeting(&self, addr: SocketAddr, data_dir: &Path) -> String {
        let greeting = Greeting {
            base_url: &format!("http://{}", reachable(addr)),
            api_key: &self.workshop.api_key,
            event_name: EVENT_NAME,
            event_id: &self.workshop.event_id,
            data_dir,
        };
        greeting.text()
    }
}

/// Where a client on this machine finds what listens on `addr`.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_printed_as_one_that_can_be_called() {
        for (listens, printed) in [
            ("127.0.0.1:8910", "127.0.0.1:8910"),
            ("0.0.0.0:8910", "127.0.0.1:8910"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.5:80", "10.0.0.5:80"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), printed);
        }
    }
}
