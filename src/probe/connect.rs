//! From an endpoint URL to a connection: names, the endpoint policy, TCP, TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::{Failure, Target};
use crate::net::{self, race};

/// One HTTP/1.1 connection; closed when dropped.
pub(crate) struct Connection {
    pub sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Opens a connection for one exchange.
pub(crate) async fn open(target: &Target) -> Result<Connection, Failure> {
    let authority = authority(&target.url)?;
    let stream = tcp(target, &authority).await?;
    if target.url.scheme() == "https" {
        let tls = in_time(target.connect_timeout, "the TLS handshake", tls(&target.url, stream));
        handshake(tls.await?.map_err(|reason| Failure::Tls { authority, reason })?).await
    } else {
        handshake(stream).await
    }
}

/// Host and port as the `Host` header carries them: a default port is left out.
pub(crate) fn authority(url: &Url) -> Result<String, Failure> {
    let host = url.host_str().ok_or(Failure::BadUrl)?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Runs a step of the probe against its deadline.
pub(super) async fn in_time<T>(
    limit: Duration,
    what: &'static str,
    step: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, step).await.map_err(|_| Failure::TimedOut { what, limit })
}

async fn tcp(target: &Target, authority: &str) -> Result<TcpStream, Failure> {
    let addresses = allowed_addresses(target).await?;
    let limit = target.connect_timeout;
    let connected: io::Result<_> = race::first(addresses, limit, TcpStream::connect).await;
    connected.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => Failure::TimedOut { what: "connecting", limit },
        io::ErrorKind::NotFound => Failure::Dns { host: authority.to_owned() },
        _ => unreachable(authority, &error),
    })
}

/// The addresses of the host that the policy lets us connect to.
async fn allowed_addresses(target: &Target) -> Result<Vec<SocketAddr>, Failure> {
    let url = &target.url;
    let port = url.port_or_known_default().ok_or(Failure::BadUrl)?;
    let resolved = match url.host().ok_or(Failure::BadUrl)? {
        Host::Ipv4(address) => vec![SocketAddr::from((address, port))],
        Host::Ipv6(address) => vec![SocketAddr::from((address, port))],
        Host::Domain(name) => {
            let names = tokio::net::lookup_host((name, port));
            in_time(target.connect_timeout, "resolving the host name", names)
                .await?
                .map_err(|_| Failure::Dns { host: name.to_owned() })?
                .collect()
        }
    };
    let (allowed, refused): (Vec<_>, Vec<_>) =
        resolved.into_iter().partition(|address| net::is_allowed(address.ip(), target.policy));
    match refused.first() {
        Some(address) if allowed.is_empty() => Err(Failure::AddressRefused {
            host: url.host_str().unwrap_or_default().to_owned(),
            address: address.ip(),
        }),
        _ => Ok(allowed),
    }
}

fn unreachable(authority: &str, error: &io::Error) -> Failure {
    let authority = authority.to_owned();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused { authority },
        kind => Failure::Unreachable { authority, reason: kind.to_string() },
    }
}

async fn tls(url: &Url, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let mut config =
        rustls::ClientConfig::with_platform_verifier().map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // An IPv6 host stands in brackets in a URL, not in a certificate.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| tls_reason(&error))
}

/// The TLS library's reason in an organiser's words, where it is one of the usual ones.
fn tls_reason(error: &io::Error) -> String {
    use rustls::{CertificateError as Certificate, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let usual = match inner {
        Some(Error::InvalidCertificate(certificate)) => match certificate {
            Certificate::UnknownIssuer => {
                "its certificate is not signed by an authority that this machine trusts"
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet: is this machine's clock right?"
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            Certificate::Revoked => "its certificate has been revoked",
            _ => return format!("its certificate is refused ({certificate})"),
        },
        Some(Error::InvalidMessage(_)) => {
            "that port does not speak TLS: should the endpoint URL begin with http://?"
        }
        Some(other) => return other.to_string(),
        None => "the connection broke during the handshake",
    };
    usual.to_owned()
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Connection, Failure> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| Failure::broken(&error))?;
    // An error of the connection reaches the one who waits for the answer.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok(Connection { sender, driver })
}
