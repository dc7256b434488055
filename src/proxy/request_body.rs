//! What the client sends: read ahead a little, so that it can be judged and sent again, and
//! streamed beyond that.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::client_body::{BoxError, ClientBody, ReadError};

/// How much of a request is read before it is forwarded, in bytes: enough for
/// nearly every JSON-RPC message.
pub const READ_AHEAD: usize = 64 * 1024;

/// A request's body: what was read ahead of it, and the rest still to come.
pub struct RequestBody {
    ahead: Bytes,
    /// Further chunks, to be joined with it.
    gathered: BytesMut,
    rest: Option<ClientBody>,
    /// Bytes that may still come after those read ahead.
    allowance: u64,
    limit: u64,
    /// Where somebody runs a clock that the client's own time must not count for.
    waiting: Option<WaitFlag>,
}

/// Whether a body is waiting for its client; the other half of what
/// [`RequestBody::waiting`] returns.
struct WaitFlag(Arc<AtomicBool>);

impl WaitFlag {
    fn set(&self, is_waiting: bool) {
        self.0.store(is_waiting, Ordering::Relaxed);
    }
}

impl Drop for WaitFlag {
    /// A body that is gone waits for nobody.
    fn drop(&mut self) {
        self.set(false);
    }
}

impl RequestBody {
    pub fn new(incoming: ClientBody, limit: u64) -> Self {
        let rest = Some(incoming).filter(|body| !body.is_end_stream());
        Self { rest, allowance: limit, limit, ..Self::empty() }
    }

    /// Refuses a body whose declared length is over the limit, unread.
    pub fn check_length(&self) -> Result<(), ReadError> {
        match &self.rest {
            Some(rest) if rest.size_hint().lower() > self.limit => {
                Err(ReadError::TooLarge(self.limit))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is any content. A declared length says so at once; without one,
    /// the first byte or the end is waited for.
    pub async fn has_content(&mut self) -> Result<bool, ReadError> {
        loop {
            if !self.ahead().is_empty() {
                return Ok(true);
            }
            let Some(rest) = &self.rest else { return Ok(false) };
            if rest.size_hint().lower() > 0 {
                return Ok(true);
            }
            self.read_frame().await?;
        }
    }

    /// Whether the client is yet to be asked for it, if it waits for that.
    pub fn is_untouched(&self) -> bool {
        self.rest.is_some() && self.ahead.is_empty() && self.gathered.is_empty()
    }

    /// Reads until the body's end or until [`READ_AHEAD`] bytes are here. May be
    /// dropped and called again: nothing that was read is lost.
    pub async fn read_ahead(&mut self) -> Result<(), ReadError> {
        while self.rest.is_some() && self.ahead.len() + self.gathered.len() < READ_AHEAD {
            self.read_frame().await?;
        }
        Ok(())
    }

    /// Reads one frame of the rest, if there is a rest.
    async fn read_frame(&mut self) -> Result<(), ReadError> {
        let Some(rest) = &mut self.rest else { return Ok(()) };
        let frame = match std::future::poll_fn(|cx| Pin::new(&mut *rest).poll_frame(cx)).await {
            None => {
                self.rest = None;
                return Ok(());
            }
            Some(frame) => frame?,
        };
        if rest.is_end_stream() {
            self.rest = None;
        }
        let Ok(data) = frame.into_data() else { return Ok(()) };
        let left = self.allowance.checked_sub(data.len() as u64);
        self.allowance = left.ok_or(ReadError::TooLarge(self.limit))?;
        // The common case, one chunk, is not copied.
        if self.ahead.is_empty() && self.gathered.is_empty() {
            self.ahead = data;
        } else {
            self.gathered.extend_from_slice(&data);
        }
        Ok(())
    }

    /// What was read ahead.
    pub fn ahead(&mut self) -> &Bytes {
        if !self.gathered.is_empty() {
            let mut whole = BytesMut::with_capacity(self.ahead.len() + self.gathered.len());
            whole.extend_from_slice(&self.ahead);
            whole.extend_from_slice(&std::mem::take(&mut self.gathered));
            self.ahead = whole.freeze();
        }
        &self.ahead
    }

    /// Moves out what was read ahead, leaving the rest.
    pub fn take_ahead(&mut self) -> Bytes {
        self.ahead();
        std::mem::take(&mut self.ahead)
    }

    /// Moves the body out, leaving none.
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::empty())
    }

    /// A body that was never on the wire.
    pub fn whole(ahead: Bytes) -> Self {
        Self { ahead, ..Self::empty() }
    }

    /// No body at all.
    pub fn empty() -> Self {
        Self {
            ahead: Bytes::new(),
            gathered: BytesMut::new(),
            rest: None,
            allowance: 0,
            limit: 0,
            waiting: None,
        }
    }

    /// Says from now on whether the body waits for its client; `None` where all of it
    /// is here.
    pub fn waiting(&mut self) -> Option<Arc<AtomicBool>> {
        self.rest.as_ref()?;
        let waiting = Arc::<AtomicBool>::default();
        self.waiting = Some(WaitFlag(waiting.clone()));
        Some(waiting)
    }

    /// Whether all of the body was read ahead, so that it can be sent again. A
    /// longer one is not, also where its last chunk happened to be here already:
    /// what becomes of a request must not depend on how it was cut.
    pub fn is_complete(&self) -> bool {
        self.rest.is_none() && self.ahead.len() + self.gathered.len() <= READ_AHEAD
    }

    /// The same body once more, where it [is complete](Self::is_complete).
    pub fn again(&mut self) -> Option<Self> {
        self.is_complete().then(|| Self { ahead: self.ahead().clone(), ..Self::empty() })
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let ahead = self.take_ahead();
        if !ahead.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(ahead))));
        }
        loop {
            let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
            let polled = Pin::new(rest).poll_frame(cx);
            if let Some(waiting) = &self.waiting {
                waiting.set(polled.is_pending());
            }
            let Poll::Ready(frame) = polled else { return Poll::Pending };
            match frame {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(error.into())));
                }
                Some(Ok(frame)) => {
                    // Trailers are hop-by-hop here: no MCP peer sends them.
                    let Ok(data) = frame.into_data() else { continue };
                    match self.allowance.checked_sub(data.len() as u64) {
                        Some(left) => self.allowance = left,
                        None => {
                            return Poll::Ready(Some(Err(ReadError::TooLarge(self.limit).into())));
                        }
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty()
            && self.gathered.is_empty()
            && self.rest.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = (self.ahead.len() + self.gathered.len()) as u64;
        let Some(rest) = &self.rest else { return SizeHint::with_exact(ahead) };
        let rest = rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(ahead + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(ahead + upper);
        }
        hint
    }
}
