//! From a host name to a connection: the steps that all connections to other servers share.
//!
//! A name is looked up within a time limit, and only those of its addresses are returned that the
//! policy allows. The caller puts the steps together: in the data plane TLS is part of the race
//! between the addresses, in the small client it follows the race.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::policy::{EndpointPolicy, is_allowed};
use super::socket::tune;

/// Why a host has no address that may be connected to.
#[derive(Debug)]
pub enum ResolveError {
    TimedOut,
    /// The name is not known, or is to be taken for one: under the policy `public`, what a name
    /// is in a private network is nothing that an owner is told.
    Unknown(io::Error),
    /// The policy allows none of its addresses; this is the first.
    Refused(IpAddr),
}

impl From<ResolveError> for io::Error {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::TimedOut => io::ErrorKind::TimedOut.into(),
            ResolveError::Unknown(error) => error,
            ResolveError::Refused(_) => io::ErrorKind::PermissionDenied.into(),
        }
    }
}

/// The addresses of a host that the policy lets us connect to. An IPv6 address may be in brackets.
///
/// # Errors
/// The name is not known, or not within `limit`, or the policy allows none of its addresses.
pub(crate) async fn resolve(
    host: &str,
    port: u16,
    policy: EndpointPolicy,
    limit: Duration,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let typed = without_brackets(host).parse::<IpAddr>();
    let resolved = match typed {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::time::timeout(limit, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| ResolveError::TimedOut)?
            .map_err(ResolveError::Unknown)?
            .collect(),
    };
    let (allowed, refused): (Vec<_>, Vec<_>) =
        resolved.into_iter().partition(|address| is_allowed(address.ip(), policy));
    match refused.first() {
        Some(_) if allowed.is_empty() && policy == EndpointPolicy::Public && typed.is_err() => {
            Err(ResolveError::Unknown(io::ErrorKind::NotFound.into()))
        }
        Some(address) if allowed.is_empty() => Err(ResolveError::Refused(address.ip())),
        _ => Ok(allowed),
    }
}

/// A connection without TLS.
///
/// # Errors
/// No server accepts it.
pub(crate) async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    tune(&stream);
    Ok(stream)
}

/// TLS for HTTP/1.1, which trusts what the operating system trusts.
///
/// # Errors
/// The trusted certificates of the operating system cannot be read.
pub(crate) fn tls_connector() -> Result<TlsConnector, rustls::Error> {
    let mut config = rustls::ClientConfig::with_platform_verifier()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name that a host's certificate must be for.
///
/// # Errors
/// It is neither a DNS name nor an address.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
    ServerName::try_from(without_brackets(host).to_owned())
}

/// An IPv6 host has brackets in a URL, but not in a certificate.
fn without_brackets(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_judged_as_it_is_written_in_a_url_or_without_brackets() {
        let found =
            async |host: &str, policy| resolve(host, 80, policy, Duration::from_secs(5)).await;
        for host in ["[::1]", "::1", "127.0.0.1"] {
            assert_eq!(found(host, EndpointPolicy::Any).await.unwrap().len(), 1, "{host}");
            let refused = found(host, EndpointPolicy::Public).await.unwrap_err();
            assert!(matches!(refused, ResolveError::Refused(ip) if ip.is_loopback()), "{host}");
            assert_eq!(io::Error::from(refused).kind(), io::ErrorKind::PermissionDenied);
        }
        // `localhost` is in a private network, `nowhere.invalid` nowhere: no difference is told.
        for host in ["localhost", "nowhere.invalid"] {
            let error = found(host, EndpointPolicy::Public).await.unwrap_err();
            assert!(matches!(error, ResolveError::Unknown(_)), "{host}");
        }
        let unknown = found(&"x".repeat(300), EndpointPolicy::Any).await;
        assert!(matches!(unknown, Err(ResolveError::Unknown(_))));
    }
}
