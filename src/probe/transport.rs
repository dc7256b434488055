//! How the requests of a conversation reach the server: directly ([`ProbeTarget`], in `exchange`) or
//! by another route, such as through the data plane.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::failure::Failure;
use crate::net::EndpointPolicy;

/// What is to be asked, and as whom.
#[derive(Clone)]
pub struct ProbeTarget {
    /// The endpoint URL of the resource, as registered.
    pub url: Url,
    /// The header that carries the backend key.
    pub credential: Option<(HeaderName, HeaderValue)>,
    /// Which addresses may be connected to.
    pub policy: EndpointPolicy,
    /// How long connecting may take, to each address.
    pub connect_timeout: Duration,
    /// How long each answer may take.
    pub answer_timeout: Duration,
}

impl ProbeTarget {
    /// A backend's text as it may be shown: one line, short, without the backend key.
    pub(super) fn plain(&self, text: &str) -> String {
        let secret = self.credential.as_ref().and_then(|(_, value)| value.to_str().ok());
        let secret = secret.map(|value| value.strip_prefix("Bearer ").unwrap_or(value));
        let text = match secret.filter(|secret| !secret.is_empty()) {
            Some(secret) => text.replace(secret, "…"),
            None => text.to_owned(),
        };
        text.chars().filter(|c| !c.is_control()).take(200).collect()
    }
}

/// How the requests of a conversation reach the server.
pub trait Transport: Sync {
    /// Whom they are for in the end; what is said of a failure is in its terms.
    fn target(&self) -> &ProbeTarget;

    /// Sends one request and reads its answer, as far as a JSON-RPC response to `body`.
    ///
    /// # Errors
    /// Why there is no answer.
    fn ask(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Option<&Value>,
    ) -> impl Future<Output = Result<ProbeAnswer, Failure>> + Send;
}

/// What came back.
pub struct ProbeAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub content: Content,
    /// Bytes of the body that were read for it.
    pub bytes: usize,
    /// The cookies that a load balancer set on it, and on redirects before it.
    pub affinity: Option<HeaderValue>,
    /// Until the connection stood, and from then until the content was read.
    pub connected_in: Duration,
    pub answered_in: Duration,
}

/// The body, as far as it means something here.
pub enum Content {
    /// A JSON-RPC response with the id that was asked for.
    Message(Value),
    /// An event stream of the older transport, which begins by naming its POST address.
    SseEndpoint,
    /// Something else, for people: "a web page", "no body".
    Other(&'static str),
}
