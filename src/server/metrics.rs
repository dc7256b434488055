//! `/metrics` for Prometheus, on a socket of its own that attendees don't reach.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

use crate::catalog::usage::BUCKETS_MS;

/// How often the recorder adds up what it was given. Until then it keeps each
/// value, also where nobody asks for the page.
const UPKEEP: Duration = Duration::from_secs(5);

/// The process has one recorder, however many proxies a test starts in it.
static RECORDER: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();

fn recorder() -> anyhow::Result<PrometheusHandle> {
    RECORDER
        .get_or_init(|| {
            let matcher = Matcher::Full("ai_proxy_backend_seconds".into());
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(matcher, &bounds())
                .and_then(PrometheusBuilder::install_recorder)
                .map_err(|error| error.to_string())?;
            describe();
            Ok(recorder)
        })
        .clone()
        .map_err(|error| anyhow!("metrics cannot be recorded: {error}"))
}

/// Upper bounds of the histogram of backend times, in seconds: those by which
/// the workers have counted them.
fn bounds() -> [f64; BUCKETS_MS.len()] {
    BUCKETS_MS.map(|ms| Duration::from_millis(ms).as_secs_f64())
}

fn describe() {
    metrics::describe_counter!(
        "ai_proxy_requests_total",
        "Requests answered, by route, status and resource; status 499: the client left first."
    );
    metrics::describe_histogram!(
        "ai_proxy_backend_seconds",
        "Seconds until a backend's response headers, by resource."
    );
    metrics::describe_gauge!("ai_proxy_open_requests", "Requests and streams open now.");
    metrics::describe_gauge!("ai_proxy_leased_requests", "Requests leased and not yet spent.");
}

/// Binds the socket; the future serves it for ever.
pub(super) async fn listen(
    address: SocketAddr,
) -> anyhow::Result<(SocketAddr, impl Future<Output = ()> + Send)> {
    let recorder = recorder()?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another --metrics-listen"))?;
    Ok((listener.local_addr()?, serve(listener, recorder)))
}

async fn serve(listener: TcpListener, recorder: PrometheusHandle) {
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = upkeep.tick() => {
                recorder.run_upkeep();
                continue;
            }
        };
        let Ok((stream, _)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        let recorder = recorder.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let page = page(request.uri().path(), &recorder);
            async { Ok::<_, Infallible>(page) }
        });
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

fn page(path: &str, recorder: &PrometheusHandle) -> Response<Full<Bytes>> {
    if path != "/metrics" {
        let mut response = Response::new(Full::from("Only /metrics is served here.\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let mut response = Response::new(Full::from(recorder.render()));
    let exposition = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, exposition);
    response
}
