//! The proxy with its duties left out: the connections, the parsers and the pool
//! of the product, and between them nobody who asks for a key, counts or meters.
//! What the duties cost is the difference. It cannot be configured to be more.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ai_proxy::catalog::resource::Endpoint;
use ai_proxy::config::EndpointPolicy;
use ai_proxy::proxy::backend::{self, Dialer, Head, Pool};
use ai_proxy::proxy::client_body::{BoxError, ClientBody};
use ai_proxy::proxy::headers;
use ai_proxy::proxy::request_body::RequestBody;
use ai_proxy::proxy::response_body::Body;
use ai_proxy::server::connection::{Connections, Serve};
use ai_proxy::server::linger::LingerLimits;
use anyhow::Context as _;
use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    port: u16,
    /// The backend's port on 127.0.0.1.
    #[arg(long)]
    backend: u16,
}

const MAX_BODY: u64 = 64 * 1024 * 1024;

pub async fn run(args: Args) -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("TLS was set up before"))?;
    let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{}/mcp", args.backend))
        .map_err(anyhow::Error::msg)?;
    let dialer = Dialer::new(EndpointPolicy::Any, Duration::from_secs(5))?;
    let bare = Bare { endpoint, dialer, pool: Arc::default() };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))?;
    listener.set_nonblocking(true)?;
    let connections = Connections {
        tls: None,
        slots: Arc::new(Semaphore::new(20_000)),
        open: TaskTracker::new(),
        header_timeout: Duration::from_secs(10),
        max_header_bytes: 64 * 1024,
        linger_limits: LingerLimits::new(Vec::new()),
        drain: CancellationToken::new(),
    };
    Arc::new(connections).serve(listener, Arc::new(bare), CancellationToken::new()).await;
    Ok(())
}

struct Bare {
    endpoint: Endpoint,
    dialer: Dialer,
    pool: Arc<Pool>,
}

impl Bare {
    async fn forward(&self, request: Request<ClientBody>) -> anyhow::Result<Response<Body>> {
        let (mut head, incoming) = request.into_parts();
        let mut body = RequestBody::new(incoming, MAX_BODY);
        body.read_ahead().await.ok().context("the body broke off")?;
        headers::strip_request(&mut head.headers);
        head.headers.insert(HOST, self.endpoint.host_header.clone());
        let path = self.endpoint.path.parse()?;
        let out = Head { method: &head.method, path: &path, headers: &head.headers };
        let connection = self.pool.get(&self.dialer, &self.endpoint).await?;
        let sent = connection.send(&out, body).await;
        let mut answer = sent.ok().context("the backend did not answer")?;
        headers::strip_response(answer.headers_mut());
        Ok(answer.map(|incoming| Body::page(Relayed(incoming))))
    }
}

impl Serve for Bare {
    async fn serve(&self, _: IpAddr, _: bool, request: Request<ClientBody>) -> Response<Body> {
        self.forward(request).await.unwrap_or_else(|_| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        })
    }

    fn sweep(&self) {
        self.pool.sweep();
    }
}

struct Relayed(backend::Incoming);

impl HttpBody for Relayed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.get_mut().0.poll_content(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
