//! Which side a request is for: the data plane, on this thread, or
//! the portal, on the control runtime.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Request, Response, Version};

use super::connection::Serve;
use crate::oauth;
use crate::portal::Portal;
use crate::proxy;
use crate::proxy::client_body::ClientBody;
use crate::proxy::response_body::Body;
use crate::proxy::route;
use crate::proxy::tally::Family;
use crate::proxy::worker::Worker;

/// What a worker thread serves.
pub(super) struct Dispatch {
    pub worker: Arc<Worker>,
    pub portal: Portal,
    /// Whether MCP clients can sign in.
    pub has_oauth: bool,
    /// What browsers are told about HTTPS; `None` where no client uses it.
    pub strict_transport: Option<HeaderValue>,
}

impl Serve for Dispatch {
    async fn serve(
        &self,
        peer: IpAddr,
        is_ambiguous: bool,
        request: Request<ClientBody>,
    ) -> Response<Body> {
        let strict_transport = self.strict_transport(peer, &request);
        let mut response = if is_ambiguous || self.is_call(request.uri().path()) {
            proxy::serve(&self.worker, peer, is_ambiguous, request).await
        } else {
            // Boxed: what a page needs would weigh on every call.
            Box::pin(self.page(peer, request)).await
        };
        if let Some(value) = strict_transport {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
        }
        response
    }

    fn sweep(&self) {
        self.worker.pool.sweep();
    }
}

impl Dispatch {
    /// Whether the data plane answers at this path. Where clients cannot sign in, it also tells those
    /// that look for it so.
    fn is_call(&self, path: &str) -> bool {
        route::is_of_data_plane(path) && !(self.has_oauth && oauth::is_served(path))
    }

    fn strict_transport(&self, peer: IpAddr, request: &Request<ClientBody>) -> Option<HeaderValue> {
        let value = self.strict_transport.as_ref()?;
        let config = &self.worker.plane.config;
        config.is_https(peer, request.uri(), request.headers()).then(|| value.clone())
    }

    async fn page(&self, peer: IpAddr, mut request: Request<ClientBody>) -> Response<Body> {
        let id = self.worker.request_id(request.headers().get(proxy::REQUEST_ID));
        request.headers_mut().insert(proxy::REQUEST_ID, id.clone());
        let version = request.version();
        let response = self.portal.serve(peer, request).await;
        self.worker.tally.request(Family::Portal, Some(response.status()), None);
        let mut response = response.map(Body::page);
        response.headers_mut().insert(proxy::REQUEST_ID, id);
        if self.worker.plane.is_draining() && version <= Version::HTTP_11 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
