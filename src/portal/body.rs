//! Reads a request's body as it arrives: up to its route's limit, and within a time limit.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::{BoxError, RequestExt};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError};
use tokio::time::{Instant, Sleep, sleep_until};

/// A body has this long to arrive, and a second more for each [`BYTES_A_SECOND`] that have arrived:
/// a trickle is cut off, and a large file gets through a slow line.
const ALLOWANCE: Duration = Duration::from_secs(10);
const BYTES_A_SECOND: u32 = 32 * 1024;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    TooLarge,
    /// It did not arrive in time.
    Late,
    /// It ended early, or is not framed as it says.
    Broken,
}

impl Unread {
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<LengthLimitError>() {
                return Unread::TooLarge;
            }
            if error.is::<Late>() {
                return Unread::Late;
            }
            cause = error.source();
        }
        Unread::Broken
    }
}

/// Reads a body as far as the route's limit.
pub async fn read(request: Request) -> Result<Bytes, Unread> {
    gather(request.into_limited_body()).await
}

/// Reads a body whole.
///
/// # Errors
/// It is too large, late or broken.
pub async fn gather<B>(mut body: B) -> Result<Bytes, Unread>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    // Copied: chunks of a byte each would hold the buffers that they lie in.
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(chunk) = frame.map_err(|error| Unread::of(&*error.into()))?.into_data() {
            read.extend_from_slice(&chunk);
        }
    }
    Ok(read.into())
}

#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
struct Late;

/// A body that fails once it is late. Its time begins when it is first polled.
pub struct Timed {
    body: Body,
    clock: Option<Pin<Box<Sleep>>>,
    deadline: Option<Instant>,
}

impl Timed {
    pub fn new(body: Body) -> Self {
        Self { body, clock: None, deadline: None }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let deadline = *this.deadline.get_or_insert_with(|| Instant::now() + ALLOWANCE);
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let more = Duration::from_secs(bytes as u64) / BYTES_A_SECOND;
                this.deadline = Some(deadline + more);
            }
            return Poll::Ready(frame);
        }
        let clock = this.clock.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if clock.deadline() != deadline {
            clock.as_mut().reset(deadline);
        }
        ready!(clock.as_mut().poll(cx));
        Poll::Ready(Some(Err(axum::Error::new(Late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt};

    use super::*;

    /// A body that sends a chunk each so many milliseconds.
    fn dripping(chunks: usize, bytes: usize, pause_ms: u64) -> Request {
        let drip = stream::iter(0..chunks).then(move |_| async move {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            Ok::<_, std::convert::Infallible>(vec![b'x'; bytes])
        });
        Request::new(Body::new(Timed::new(Body::from_stream(drip))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_its_time_and_more_as_it_arrives() {
        let began = Instant::now();
        assert_eq!(read(dripping(100_000, 1, 900)).await, Err(Unread::Late));
        assert!(began.elapsed() < ALLOWANCE + Duration::from_secs(1), "{:?}", began.elapsed());
        let began = Instant::now();
        // Longer than the allowance by far, at twice the speed that is asked for.
        let large = read(dripping(1600, 1024, 1000 / 64)).await.unwrap();
        assert!(large.len() == 1600 * 1024 && began.elapsed() > 2 * ALLOWANCE);
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_of_its_route_is_too_large() {
        let request = dripping(3, 1024 * 1024, 0);
        assert_eq!(read(request).await, Err(Unread::TooLarge));
    }
}
