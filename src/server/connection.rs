//! One client connection, from accept to close.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::head_guard::{Carrier, HeadGuard};
use super::hyper_body::client_body;
use super::linger::{LingerLimits, Streams};
use super::progress::{ActiveRequest, Progress, Verdict};
use crate::net;
use crate::proxy::client_body::{BoxError, ClientBody};
use crate::proxy::response_body::Body;

/// Header lines of a request at most.
const MAX_HEADERS: usize = 128;

/// Streams that a client may have open on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// The shortest pause between two looks at a connection's progress.
const MIN_WATCH: Duration = Duration::from_millis(10);

/// How long to leave the listening socket alone when it fails, which it does
/// when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the requests of a worker's connections are served with.
pub trait Serve: Send + Sync + 'static {
    /// `is_ambiguous`: two readers could frame the request differently, or nobody
    /// saw its head; it is to be refused.
    fn serve(
        &self,
        peer: IpAddr,
        is_ambiguous: bool,
        request: Request<ClientBody>,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Once a second: lets go of what lay idle for too long.
    fn sweep(&self);
}

/// What all client connections have in common.
pub struct Connections {
    pub tls: Option<TlsAcceptor>,
    /// One for each connection that may be open.
    pub slots: Arc<Semaphore>,
    pub open: TaskTracker,
    pub header_timeout: Duration,
    pub max_header_bytes: usize,
    /// Limits the connections that are closed except that their clients may still send.
    pub linger_limits: Arc<LingerLimits>,
    /// Tells open connections to close once nothing is under way.
    pub drain: CancellationToken,
}

impl Connections {
    /// Accepts until `stop`. Connections beyond the limit wait for their turn.
    pub async fn serve<F: Serve>(
        self: Arc<Self>,
        listener: TcpListener,
        dispatch: Arc<F>,
        stop: CancellationToken,
    ) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "a listening socket cannot be used");
                return;
            }
        };
        let sweep = tokio::spawn({
            let dispatch = dispatch.clone();
            async move {
                let mut ticks = tokio::time::interval(Duration::from_secs(1));
                loop {
                    ticks.tick().await;
                    dispatch.sweep();
                }
            }
        });
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let slot = tokio::select! {
                () = stop.cancelled() => break,
                slot = self.slots.clone().acquire_owned() => slot,
            };
            let (connections, dispatch) = (self.clone(), dispatch.clone());
            tokio::spawn(self.open.track_future(async move {
                connections.run(stream, peer, dispatch).await;
                drop(slot);
            }));
        }
        sweep.abort();
    }

    /// Resolves once no connection is open.
    pub(super) async fn all_closed(&self) {
        self.open.close();
        self.open.wait().await;
    }

    async fn run<F: Serve>(&self, stream: TcpStream, peer: SocketAddr, dispatch: Arc<F>) {
        net::tune(&stream);
        match &self.tls {
            None => self.http1(stream, peer.ip(), dispatch).await,
            // Boxed: TLS would weigh on every plain connection.
            Some(tls) => Box::pin(self.run_tls(tls, stream, peer.ip(), dispatch)).await,
        }
    }

    async fn run_tls<F: Serve>(
        &self,
        tls: &TlsAcceptor,
        stream: TcpStream,
        peer: IpAddr,
        dispatch: Arc<F>,
    ) {
        let accepted = tokio::time::timeout(self.header_timeout, tls.accept(stream)).await;
        let stream = match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(reason)) => return tracing::debug!(%reason, "no TLS with a client"),
            Err(_) => return,
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(stream, peer, dispatch).await;
        } else {
            self.http1(stream, peer, dispatch).await;
        }
    }

    async fn http1<S, F: Serve>(&self, stream: S, peer: IpAddr, dispatch: Arc<F>)
    where
        S: Carrier + Send + 'static,
    {
        let progress = Progress::new();
        let service = service_fn(|request: Request<Incoming>| {
            let (dispatch, active) = (dispatch.clone(), progress.begin());
            // HTTP/1.0 knows no chunks: its answers may end with the connection.
            let has_chunks = request.version() > Version::HTTP_10;
            let request = request.map(|body| client_body(body, progress.clone()));
            // Boxed: hyper keeps room for it as long as the connection is open, also
            // while an answer streams; and few calls are on their way at any instant,
            // so that all use the same warm memory.
            Box::pin(async move {
                let mut response = dispatch.serve(peer, active.is_ambiguous, request).await;
                if active.is_coming_in() {
                    // Nobody knows whether the rest will be read.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| TrackedBody { body, active, has_chunks }))
            })
        });
        let io = TokioIo::new(HeadGuard::new(
            stream,
            progress.clone(),
            peer,
            self.linger_limits.clone(),
        ));
        // Time-outs of heads are the guard's: hyper's would also cut idle
        // connections short, and costs a timer for each request.
        let connection = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_header_size(self.max_header_bytes)
            .header_read_timeout(None)
            .serve_connection(io, service);
        // One that comes during the drain is still told so, and closed after that.
        let is_closing = self.drain.is_cancelled();
        self.drive(connection, |connection| connection.graceful_shutdown(), is_closing, &progress)
            .await;
    }

    async fn http2<S, F: Serve>(&self, stream: S, peer: IpAddr, dispatch: Arc<F>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let progress = Progress::new();
        let streams = Streams::new(self.linger_limits.clone(), peer);
        let service = service_fn(|request: Request<Incoming>| {
            let lengths = request.headers().get_all(CONTENT_LENGTH).iter().count();
            let (dispatch, active) = (dispatch.clone(), progress.begin_framed(lengths > 1));
            let request = request.map(|body| client_body(body, streams.clone()));
            async move {
                let response = dispatch.serve(peer, active.is_ambiguous, request).await;
                Ok::<_, Infallible>(response.map(|body| TrackedBody {
                    body,
                    active,
                    has_chunks: true,
                }))
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(self.max_header_bytes).unwrap_or(u32::MAX))
            .serve_connection(TokioIo::new(stream), service);
        self.drive(connection, |connection| connection.graceful_shutdown(), false, &progress).await;
    }

    /// Runs a connection to its end, which may be ours to bring about.
    async fn drive<C>(
        &self,
        connection: C,
        close: impl Fn(Pin<&mut C>),
        mut is_closing: bool,
        progress: &Progress,
    ) where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        let mut watch = tokio::time::interval((self.header_timeout / 4).max(MIN_WATCH));
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(reason) = ended {
                        tracing::debug!(%reason, "a client connection ended early");
                    }
                    return;
                }
                () = self.drain.cancelled(), if !is_closing => {
                    is_closing = true;
                    close(connection.as_mut());
                }
                _ = watch.tick() => match progress.verdict(self.header_timeout) {
                    Verdict::Keep => {}
                    Verdict::Idle => close(connection.as_mut()),
                    Verdict::Stalled => return,
                },
            }
        }
    }
}

/// A response body; the request is being served until it is dropped.
struct TrackedBody {
    body: Body,
    active: ActiveRequest,
    /// Its framing shows whether it is whole.
    has_chunks: bool,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(Some(Err(_)))) && !this.has_chunks {
            this.active.broke_off();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
