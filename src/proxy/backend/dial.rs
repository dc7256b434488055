//! Making a connection to a backend: its addresses, each checked against the
//! endpoint policy, and TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Stream;
use crate::catalog::resource::Endpoint;
use crate::config::EndpointPolicy;
use crate::net::{self, race};

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
        use rustls_platform_verifier::ConfigVerifierExt;
        let mut config = rustls::ClientConfig::with_platform_verifier()?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), policy, timeout })
    }

    /// Tries the host's addresses in parallel, each of which the policy must allow.
    ///
    /// # Errors
    /// The name is not known, the policy allows none of its addresses, or none of them
    /// can be connected to, TLS included.
    pub async fn connect(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
        let resolved = tokio::time::timeout(self.timeout, resolve(&endpoint.host, endpoint.port))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let (allowed, refused): (Vec<_>, Vec<_>) =
            resolved.into_iter().partition(|address| net::is_allowed(address.ip(), self.policy));
        if allowed.is_empty() && !refused.is_empty() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        race::first(allowed, self.timeout, |address| self.connect_to(address, endpoint)).await
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        endpoint: &Endpoint,
    ) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(address).await?;
        net::tune(&stream);
        if !endpoint.https {
            return Ok(Box::new(stream));
        }
        // An IPv6 host has brackets in a URL, but not in a certificate.
        let host = endpoint.host.trim_matches(['[', ']']).to_owned();
        let name =
            ServerName::try_from(host).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(Box::new(self.tls.connect(name, stream).await?))
    }
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}
