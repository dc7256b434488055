//! Making a connection to a backend: its addresses, each checked against the
//! endpoint policy, and TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::catalog::resource::Endpoint;
use crate::config::EndpointPolicy;
use crate::net;

/// What a connection's bytes go through: TCP, or TLS over it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How connections are made; the same for all workers.
pub struct Dialer {
    pub tls: TlsConnector,
    pub policy: EndpointPolicy,
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

    pub async fn connect(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
        tokio::time::timeout(self.timeout, self.connect_untimed(endpoint))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn connect_untimed(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
        let stream = self.dial(endpoint).await?;
        if !endpoint.https {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(endpoint.host.clone())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(Box::new(self.tls.connect(name, stream).await?))
    }

    /// Tries the host's addresses in turn, each of which the policy must allow.
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in resolve(&endpoint.host, endpoint.port).await? {
            if !net::is_allowed(address.ip(), self.policy) {
                last = io::ErrorKind::PermissionDenied.into();
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    net::tune(&stream);
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}
