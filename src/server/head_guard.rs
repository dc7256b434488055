//! Watches a client's connection before the HTTP parser: for requests that two
//! readers could frame differently, and for clients that never get to the end
//! of a head. Closes it so that a cut answer never looks whole.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::framing::Framing;

/// How long a connection may lie idle between two requests.
const IDLE: Duration = Duration::from_secs(75);

/// What the guard, the service and the watch of one connection share.
pub struct Progress(Mutex<State>);

struct State {
    /// Heads that have come whole.
    heads: u64,
    /// Which of them, counted from 0, is not plain; nothing after it is judged.
    ambiguous: Option<u64>,
    /// Requests that are or were served, and those it is done with.
    begun: u64,
    served: u64,
    is_in_head: bool,
    /// An answer broke off that only a reset can tell from a whole one.
    must_reset: bool,
    /// When the last request was done with, or the head that is coming in began.
    since: Instant,
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    /// It lies idle: close it when nothing is under way.
    Idle,
    /// Its head does not come to an end, or it did not close when it was asked to.
    Stalled,
}

/// A request that is being served, until it is dropped.
pub struct Serving {
    /// Two readers could frame it differently, or nobody saw its head.
    pub is_ambiguous: bool,
    progress: Arc<Progress>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut state = self.progress.0.lock();
        state.served += 1;
        state.since = Instant::now();
    }
}

impl Serving {
    /// Its answer broke off, and it had no framing but the connection's end: a
    /// reset is to end that, for whatever reads it as HTTP/1.0.
    pub fn broke_off(&self) {
        self.progress.0.lock().must_reset = true;
    }
}

impl Progress {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            heads: 0,
            ambiguous: None,
            begun: 0,
            served: 0,
            is_in_head: false,
            must_reset: false,
            since: Instant::now(),
        })))
    }

    fn head(&self, is_ambiguous: bool) {
        let mut state = self.0.lock();
        if is_ambiguous && state.ambiguous.is_none() {
            state.ambiguous = Some(state.heads);
        }
        state.heads += 1;
    }

    fn is_in_head(&self, is_in_head: bool) {
        let mut state = self.0.lock();
        if is_in_head && !state.is_in_head {
            state.since = Instant::now();
        }
        state.is_in_head = is_in_head;
    }

    /// The next request in the order of their heads is to be served.
    pub fn begin(self: &Arc<Self>) -> Serving {
        let mut state = self.0.lock();
        let number = state.begun;
        state.begun += 1;
        let is_plain = number < state.heads && state.ambiguous.is_none_or(|first| number < first);
        Serving { is_ambiguous: !is_plain, progress: self.clone() }
    }

    /// As [`begin`](Self::begin), where the protocol frames requests (HTTP/2).
    pub fn begin_framed(self: &Arc<Self>) -> Serving {
        self.head(false);
        self.begin()
    }

    /// Judges the connection by how long a head may take.
    pub fn verdict(&self, header_timeout: Duration) -> Verdict {
        let state = self.0.lock();
        let time = state.since.elapsed();
        let is_waited_for = state.is_in_head || state.served == 0 || state.served != state.heads;
        if state.served < state.begun {
            Verdict::Keep
        } else if (is_waited_for && time >= header_timeout) || time >= 2 * IDLE {
            Verdict::Stalled
        } else if time >= IDLE {
            Verdict::Idle
        } else {
            Verdict::Keep
        }
    }
}

/// What carries a client's connection.
pub trait Carrier: AsyncRead + AsyncWrite + Unpin {
    fn socket(&self) -> SockRef<'_>;
}

impl Carrier for TcpStream {
    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

impl Carrier for TlsStream<TcpStream> {
    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self.get_ref().0)
    }
}

/// A client's connection with its requests watched.
pub struct HeadGuard<S: Carrier> {
    stream: S,
    progress: Arc<Progress>,
    framing: Framing,
}

impl<S: Carrier> HeadGuard<S> {
    pub fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream, progress, framing: Framing::default() }
    }
}

impl<S: Carrier> Drop for HeadGuard<S> {
    fn drop(&mut self) {
        if self.progress.0.lock().must_reset
            && let Err(reason) = self.stream.socket().set_linger(Some(Duration::ZERO))
        {
            tracing::debug!(%reason, "a connection could not be reset");
        }
    }
}

impl<S: Carrier> AsyncRead for HeadGuard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        this.framing.read(&buf.filled()[before..], |is_ambiguous| this.progress.head(is_ambiguous));
        this.progress.is_in_head(this.framing.is_in_head());
        Poll::Ready(Ok(()))
    }
}

impl<S: Carrier> AsyncWrite for HeadGuard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_must_send_its_heads_in_time() {
        let progress = Progress::new();
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Stalled, "nothing comes");
        progress.head(false);
        let serving = progress.begin();
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Keep, "it is being served");
        drop(serving);
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Keep, "kept alive");
        progress.is_in_head(true);
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Stalled, "a head does not end");
    }

    #[test]
    fn a_head_that_the_parser_does_not_take_is_not_waited_for() {
        let progress = Progress::new();
        progress.head(false);
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Stalled);
    }

    #[test]
    fn only_requests_before_the_first_ambiguous_one_are_plain() {
        let progress = Progress::new();
        for is_ambiguous in [false, true, false] {
            progress.head(is_ambiguous);
        }
        let judged = [(); 4].map(|()| progress.begin().is_ambiguous);
        assert_eq!(judged, [false, true, true, true]);
    }
}
