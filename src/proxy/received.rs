//! A request's body as the connection hands it over. Whoever lets go of it
//! before its end leaves the rest to the connection: the client may still be
//! sending, and would lose an answer to a connection that is closed meanwhile.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

/// Takes the rest of a body that nobody reads to its end.
pub trait Leftover: Send + Sync {
    fn leave(&self, rest: Incoming);
}

/// A body on its way in.
pub struct Received {
    /// `None` at its end.
    incoming: Option<Incoming>,
    leftover: Arc<dyn Leftover>,
}

impl Received {
    pub fn new(incoming: Incoming, leftover: Arc<dyn Leftover>) -> Self {
        Self { incoming: Some(incoming), leftover }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some(rest) = self.incoming.take().filter(|rest| !rest.is_end_stream()) {
            self.leftover.leave(rest);
        }
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.incoming = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let ended = || SizeHint::with_exact(0);
        self.incoming.as_ref().map_or_else(ended, HttpBody::size_hint)
    }
}
