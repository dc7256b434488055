//! A transport whose requests go through the data plane, as those of an attendee's client do: for
//! pre-flights, and for what attendees try on their page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::catalog::resource::Resource;
use crate::net::client::{ClientError, in_time};
use crate::probe::{Failure, ProbeAnswer, ProbeTarget, Transport, read};
use crate::proxy::client_body::BoxError;
use crate::proxy::synthetic::Synthetic;
use crate::proxy::worker::Worker;
use crate::proxy::{API_KEY, REQUEST_ID, endpoint_path, serve_inside};

/// How long an answer may take: nobody waits as long for a list of tools as for a
/// tool at work.
const PATIENCE: Duration = Duration::from_secs(15);

const PREFLIGHT: &str = concat!("ai-proxy/", env!("CARGO_PKG_VERSION"), " (pre-flight)");
const PAGE: &str = concat!("ai-proxy/", env!("CARGO_PKG_VERSION"), " (attendee's page)");

/// Who calls.
pub(crate) enum Who {
    Synthetic(Arc<Synthetic>),
    /// The attendee with this API key: admitted, counted and refused like their client.
    Attendee(SecretString),
}

pub(crate) struct ThroughProxy {
    worker: Arc<Worker>,
    who: Who,
    uri: Uri,
    target: ProbeTarget,
    sent: AtomicU32,
}

impl ThroughProxy {
    /// To the URL that attendees are handed for `resource`.
    ///
    /// # Errors
    /// Resources of its type have no such URL.
    pub(crate) fn new(worker: Arc<Worker>, who: Who, resource: &Resource) -> Result<Self, Failure> {
        let path = resource.kind.client_path(&resource.deployment);
        let uri = path.and_then(|path| path.parse().ok()).ok_or(ClientError::BadUrl)?;
        let target = direct(&worker, resource);
        Ok(Self { worker, who, uri, target, sent: AtomicU32::new(0) })
    }
}

/// The server that stands behind it, at the URL that the data plane makes.
fn direct(worker: &Worker, resource: &Resource) -> ProbeTarget {
    let config = &worker.plane.config;
    let endpoint = &resource.endpoint;
    let mut url = endpoint.url.clone();
    url.set_path(&endpoint_path::join(&endpoint.path, None, "/mcp", None));
    ProbeTarget {
        url,
        credential: resource.credential(),
        policy: config.endpoint_policy,
        connect_timeout: config.connect_timeout.0,
        answer_timeout: PATIENCE.min(config.backend_timeout.0),
    }
}

impl Transport for ThroughProxy {
    fn target(&self) -> &ProbeTarget {
        &self.target
    }

    async fn ask(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Option<&Value>,
    ) -> Result<ProbeAnswer, Failure> {
        let started = Instant::now();
        let id = body.and_then(|body| body.get("id")).cloned();
        let mut request =
            Request::new(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default());
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let agent = match self.who {
            Who::Synthetic(_) => PREFLIGHT,
            Who::Attendee(_) => PAGE,
        };
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(agent));
        let synthetic = match &self.who {
            Who::Synthetic(synthetic) => {
                // By this the calls are told apart in the log, and in that of the backend.
                let n = self.sent.fetch_add(1, Ordering::Relaxed);
                if let Ok(id) = HeaderValue::try_from(format!("{}-{n}", synthetic.id)) {
                    request.headers_mut().insert(REQUEST_ID, id);
                }
                Some(synthetic)
            }
            Who::Attendee(key) => {
                if let Ok(mut key) = HeaderValue::try_from(key.expose_secret()) {
                    key.set_sensitive(true);
                    request.headers_mut().insert(API_KEY, key);
                }
                None
            }
        };
        let exchange = async {
            let answered = serve_inside(&self.worker, synthetic, request).await;
            let response = answered
                .map_err(|error| Failure::Proxy { status: error.status(), code: error.code() })?;
            let (head, body) = response.into_parts();
            let (content, bytes) = read(&head.headers, body, id.as_ref(), broken).await?;
            Ok(ProbeAnswer {
                status: head.status,
                headers: head.headers,
                content,
                bytes,
                // Kept and sent by the data plane.
                affinity: None,
                connected_in: Duration::ZERO,
                answered_in: started.elapsed(),
            })
        };
        in_time(PATIENCE, "the answer", exchange).await?
    }
}

fn broken(_: &BoxError) -> Failure {
    ClientError::Broken { reason: "the other side closed it in the middle" }.into()
}
