//! What the client is given: the proxy's own words, a backend's answer, or a page.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use super::client_body::BoxError;
use super::relay::Relay;

/// The body of a response.
pub enum Body {
    /// Our own words, or nothing.
    Full(Option<Bytes>),
    /// The backend's, as they come.
    Relay(Box<Relay>),
    /// What is served besides calls.
    Page(Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>),
}

impl Body {
    pub fn empty() -> Self {
        Body::Full(None)
    }

    pub fn page<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Body::Page(Box::pin(body.map_err(Into::into)))
    }

    pub fn full(bytes: Bytes) -> Self {
        Body::Full(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Body::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Body::Relay(relay) => Pin::new(&mut **relay).poll_frame(cx),
            Body::Page(page) => page.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Full(bytes) => bytes.is_none(),
            Body::Relay(relay) => relay.is_end_stream(),
            Body::Page(page) => page.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Body::Relay(relay) => relay.size_hint(),
            Body::Page(page) => page.size_hint(),
        }
    }
}
