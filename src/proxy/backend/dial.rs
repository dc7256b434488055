//! Making a connection to a backend: its addresses, each checked against the
//! endpoint policy, and TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio_rustls::TlsConnector;

use super::Stream;
use crate::catalog::resource::Endpoint;
use crate::net::{EndpointPolicy, dial, race};

/// How connections are made; the same for all workers.
pub struct Dialer {
    pub tls: TlsConnector,
    pub policy: EndpointPolicy,
    /// Time limit for looking up the name, and then for each of its addresses.
    pub timeout: Duration,
}

impl Dialer {
    /// Trusts what the operating system trusts.
    pub fn new(policy: EndpointPolicy, timeout: Duration) -> anyhow::Result<Self> {
        Ok(Self { tls: dial::tls_connector()?, policy, timeout })
    }

    /// Tries the host's addresses in parallel, each of which the policy must allow.
    ///
    /// # Errors
    /// The name is not known, the policy allows none of its addresses, or none of them
    /// can be connected to, TLS included.
    pub async fn connect(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
        let (host, port) = (&endpoint.host, endpoint.port);
        let allowed = dial::resolve(host, port, self.policy, self.timeout).await?;
        race::first(allowed, self.timeout, |address| self.connect_to(address, endpoint)).await
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        endpoint: &Endpoint,
    ) -> io::Result<Box<dyn Stream>> {
        let stream = dial::tcp(address).await?;
        if !endpoint.https {
            return Ok(Box::new(stream));
        }
        let name = dial::server_name(&endpoint.host);
        let name = name.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(Box::new(self.tls.connect(name, stream).await?))
    }
}
