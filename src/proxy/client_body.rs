//! A request's body as the connection hands it over. The reader of the connection wraps its
//! own body in it, so that the data plane names the body of no HTTP library. Dropped before
//! its end, it leaves the rest to the connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request's body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the request body has malformed chunks")]
    Malformed,
    #[error("the client broke off")]
    BrokeOff,
}

/// The connection's own reader of a body.
type Source = dyn HttpBody<Data = Bytes, Error = ReadError> + Send + Sync + Unpin;

/// A body on its way in.
pub struct ClientBody {
    /// `None` where there is no body. Boxed: requests are moved from stage to
    /// stage, most of them without a body that is still on its way.
    source: Option<Box<Source>>,
}

impl ClientBody {
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error = ReadError> + Send + Sync + Unpin + 'static,
    {
        if body.is_end_stream() {
            return Self { source: None };
        }
        Self { source: Some(Box::new(body)) }
    }
}

impl HttpBody for ClientBody {
    type Data = Bytes;
    type Error = ReadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
        match &mut self.source {
            Some(source) => Pin::new(source).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let ended = || SizeHint::with_exact(0);
        self.source.as_ref().map_or_else(ended, HttpBody::size_hint)
    }
}
