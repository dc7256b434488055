//! Wraps a request's body, as hyper reads it from a client's connection, in the data plane's
//! [`ClientBody`]. Dropped before its end, it leaves the rest to the connection: the client
//! may still be sending, and would lose the answer if the connection were closed meanwhile.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::proxy::client_body::{ClientBody, ReadError};

/// Takes the rest of a body that nobody reads to its end.
pub(super) trait Leftover: Send + Sync {
    fn leave(&self, rest: Incoming);
}

/// A body on its way in.
struct HyperBody<L: Leftover> {
    /// `None` at its end.
    incoming: Option<Incoming>,
    leftover: Arc<L>,
}

/// The body that a client sends, of which `leftover` takes what nobody reads.
pub(super) fn client_body<L: Leftover + 'static>(
    incoming: Incoming,
    leftover: Arc<L>,
) -> ClientBody {
    ClientBody::new(HyperBody { incoming: Some(incoming), leftover })
}

/// What the client did where hyper could not read on.
fn read_error(error: &hyper::Error) -> ReadError {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)) {
            return ReadError::Malformed;
        }
        cause = error.source();
    }
    ReadError::BrokeOff
}

impl<L: Leftover> Drop for HyperBody<L> {
    fn drop(&mut self) {
        if let Some(rest) = self.incoming.take().filter(|rest| !rest.is_end_stream()) {
            self.leftover.leave(rest);
        }
    }
}

impl<L: Leftover> HttpBody for HyperBody<L> {
    type Data = Bytes;
    type Error = ReadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.incoming = None;
        }
        polled.map_err(|error| read_error(&error))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let ended = || SizeHint::with_exact(0);
        self.incoming.as_ref().map_or_else(ended, HttpBody::size_hint)
    }
}
