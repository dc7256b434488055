//! Connections to backends: made, checked against the endpoint policy, kept
//! for the next call, and dropped before the backend would drop them.
//!
//! A pool belongs to one worker thread. HTTP/1.1 only: it is what MCP servers
//! speak, and one stream per connection means that a client that leaves takes
//! exactly its own backend request with it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::body::RequestBody;
use super::head_limit::{Allowance, HeadLimit};
use crate::catalog::resource::Endpoint;
use crate::config::EndpointPolicy;
use crate::net;

/// How long a connection may lie idle: uvicorn closes its own at 5 s, and a
/// request that crosses with that close is lost.
pub const IDLE: Duration = Duration::from_secs(4);

const MAX_HEADERS: usize = 256;
const MAX_HEADER_BYTES: usize = 256 * 1024;

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

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Open> {
        tokio::time::timeout(self.timeout, self.connect_untimed(endpoint))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn connect_untimed(&self, endpoint: &Endpoint) -> io::Result<Open> {
        let stream = self.dial(endpoint).await?;
        if !endpoint.https {
            return handshake(stream).await;
        }
        let name = ServerName::try_from(endpoint.host.clone())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        handshake(self.tls.connect(name, stream).await?).await
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

async fn handshake<S>(stream: S) -> io::Result<Open>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let allowance = Allowance::default();
    let stream = HeadLimit::new(stream, allowance.clone());
    let (sender, connection) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEADER_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(reason = %error, "a backend connection ended");
        }
    });
    Ok(Open { sender, allowance })
}

/// A connection that can be used, or is in use.
struct Open {
    sender: SendRequest<RequestBody>,
    allowance: Allowance,
}

struct Idle {
    open: Open,
    since: Instant,
}

/// The idle connections of one worker, by origin.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<HashMap<Arc<str>, Vec<Idle>, foldhash::fast::RandomState>>,
}

/// A connection in use by one call.
pub struct Connection {
    open: Open,
    origin: Arc<str>,
    pool: Arc<Pool>,
}

impl Pool {
    /// The connection that was used last, else a new one.
    pub async fn get(
        self: &Arc<Self>,
        dialer: &Dialer,
        endpoint: &Endpoint,
    ) -> io::Result<Connection> {
        let open = match self.take(&endpoint.origin) {
            Some(open) => open,
            // Boxed: what connecting and TLS need would weigh on every open stream.
            None => Box::pin(dialer.connect(endpoint)).await?,
        };
        Ok(Connection { open, origin: endpoint.origin.clone(), pool: self.clone() })
    }

    fn take(&self, origin: &str) -> Option<Open> {
        let mut idle = self.idle.lock();
        let connections = idle.get_mut(origin)?;
        // One whose answer was read to the end an instant ago may not be ready
        // yet; it is when its own task has run.
        let at = connections.iter().rposition(|idle| idle.open.sender.is_ready())?;
        let Idle { open, since } = connections.swap_remove(at);
        (since.elapsed() < IDLE).then_some(open)
    }

    /// Closes connections that lay idle too long.
    pub fn sweep(&self) {
        self.idle.lock().retain(|_, connections| {
            connections.retain(|idle| idle.since.elapsed() < IDLE && !idle.open.sender.is_closed());
            !connections.is_empty()
        });
    }
}

impl Connection {
    /// Sends one request. The error holds the request where no byte of it was sent.
    pub async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        let Open { sender, allowance } = &mut self.open;
        allowance.asked();
        let answer = sender.try_send_request(request).await;
        allowance.answered();
        answer
    }

    /// Keeps it for the next call. To be called once its answer was read to the end.
    pub fn keep(self) {
        let Self { open, origin, pool } = self;
        if !open.sender.is_closed() {
            let idle = Idle { open, since: Instant::now() };
            pool.idle.lock().entry(origin).or_default().push(idle);
        }
    }
}
