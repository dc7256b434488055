//! The backend's answer on its way to the client: every chunk as it comes, and
//! what hangs on its end.
//!
//! A relay holds what the call holds (its place among the open requests, its
//! record, its connection) and lets go of it at the answer's end or when the
//! client leaves, which also aborts the backend's side.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Method;
use http_body::{Frame, SizeHint};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::attendee::live::{Endings, OpenRequest};
use super::backend::Incoming;
use super::client_body::BoxError;
use super::keep_alive::KeepAlive;
use super::meter::Meter;

/// Bytes of an answer that are passed on after its end was called, if they are here already.
const LAST: usize = 64 * 1024;

/// The attendee, the event or the process came to its end.
#[derive(Debug, thiserror::Error)]
#[error("the stream was ended by the proxy")]
struct Ended;

pub struct Relay {
    incoming: Incoming,
    keep_alive: Option<KeepAlive>,
    endings: Arc<Endings>,
    method: Method,
    /// Waits for the ending; made when there is first something to wait for.
    signal: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Why the answer broke off, until the client has what came before.
    broken: Option<BoxError>,
    /// Bytes that may still be passed on once it is to end.
    last: usize,
    meter: Meter,
    _open: OpenRequest,
}

impl Relay {
    pub fn new(
        incoming: Incoming,
        keep_alive: Option<KeepAlive>,
        endings: Arc<Endings>,
        method: Method,
        meter: Meter,
        open: OpenRequest,
    ) -> Self {
        Self {
            incoming,
            keep_alive,
            endings,
            method,
            signal: None,
            broken: None,
            last: LAST,
            meter,
            _open: open,
        }
    }

    /// How the client sees our end of it: of a GET stream as if the backend had
    /// finished; other answers are cut, as they must not look whole.
    fn end(&self) -> Option<Result<Frame<Bytes>, BoxError>> {
        (self.method != Method::GET).then(|| Err(Ended.into()))
    }

    /// What is here of an answer that is to end: a short one still reaches its client whole, some of
    /// which wait on for one that is cut.
    fn here_already(&mut self, cx: &mut Context<'_>) -> Option<Result<Frame<Bytes>, BoxError>> {
        if self.method == Method::GET || self.broken.is_some() {
            return self.end();
        }
        match self.incoming.poll_content(cx) {
            Poll::Ready(None) => None,
            Poll::Ready(Some(Ok(data))) if data.len() <= self.last => {
                self.last -= data.len();
                Some(Ok(Frame::data(data)))
            }
            _ => self.end(),
        }
    }

    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.endings.of(&self.method).is_over() {
            return Poll::Ready(self.here_already(cx));
        }
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match self.incoming.poll_content(cx) {
            Poll::Ready(Some(Ok(data))) => {
                if let Some(keep_alive) = &mut self.keep_alive {
                    keep_alive.saw(&data);
                }
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Poll::Ready(Some(Err(error))) => {
                self.meter.failed();
                // The server drops what it has not flushed when it is told, and
                // flushes when it has to wait.
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        let ending = self.endings.of(&self.method);
        let signal = self.signal.get_or_insert_with(|| Box::pin(ending.ended_owned()));
        if signal.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.end());
        }
        match &mut self.keep_alive {
            Some(keep_alive) => {
                keep_alive.poll_comment(cx).map(|comment| Some(Ok(Frame::data(comment))))
            }
            None => Poll::Pending,
        }
    }

    pub fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
