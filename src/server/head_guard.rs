//! Watches a client's connection before the HTTP parser: for requests that two
//! readers could frame differently, for clients that never get to the end of a
//! head, and for clients that leave. To see that at once, what a client sends
//! after its request is held back, within a bound, until that is answered. Closes
//! the connection so that a cut answer never looks whole, and an answer is not
//! lost to a client that is still sending.

use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::linger::{Allowance, LingerLimits};
use super::progress::Progress;
use crate::http1::RequestTracker;

/// Bytes of further requests that are held back while one is served. If a client has
/// sent more, its leaving is not noticed.
const MOST_HELD: usize = 32 * 1024;

/// Bytes that are read at once of what is held back or dropped.
const PIECE: usize = 16 * 1024;

/// The beginning of the interim answer that asks a client for its body.
const CONTINUE: &[u8] = b"HTTP/1.1 100";

/// What carries a client's connection.
pub(super) trait Carrier: AsyncRead + AsyncWrite + Unpin {
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
pub(super) struct HeadGuard<S: Carrier> {
    stream: S,
    progress: Arc<Progress>,
    requests: RequestTracker,
    /// Bytes that came after the request that is being served.
    held: Vec<u8>,
    peer: IpAddr,
    linger_limits: Arc<LingerLimits>,
    /// The allowance for reading and dropping a body that nobody wants.
    allowance: Option<Box<Allowance>>,
    is_shut: bool,
}

impl<S: Carrier> HeadGuard<S> {
    pub(super) fn new(
        stream: S,
        progress: Arc<Progress>,
        peer: IpAddr,
        linger_limits: Arc<LingerLimits>,
    ) -> Self {
        Self {
            stream,
            progress,
            requests: RequestTracker::default(),
            held: Vec::new(),
            peer,
            linger_limits,
            allowance: None,
            is_shut: false,
        }
    }

    /// While a request is served: holds back what comes after it, and is ready
    /// with nothing when the client leaves.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.held.len() < MOST_HELD {
            let mut space = [const { MaybeUninit::uninit() }; PIECE];
            let mut piece = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut piece) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => {
                    self.held.extend_from_slice(piece.filled());
                }
                left => return left,
            }
        }
        if !self.held.is_empty() {
            self.progress.wake_when_served(cx.waker());
        }
        Poll::Pending
    }

    /// Reads on within the request, or begins the next one.
    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.held.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        } else {
            let length = self.held.len().min(buf.remaining());
            buf.put_slice(&self.held[..length]);
            self.held.drain(..length);
        }
        let came = &buf.filled()[before..];
        let taken = self.requests.read(came, |is_ambiguous| self.progress.head(is_ambiguous));
        if taken < came.len() {
            self.held.splice(..0, came[taken..].iter().copied());
            buf.set_filled(before + taken);
        }
        self.progress.is_in(self.requests.is_in_head(), self.requests.is_in_body());
        Poll::Ready(Ok(()))
    }

    /// The allowance that is left; nothing where too many connections linger already.
    fn allowance(&mut self) -> &mut Allowance {
        let begin = || Box::new(self.linger_limits.allowance(self.peer));
        self.allowance.get_or_insert_with(begin)
    }

    /// Reads and drops what has come of a body that nobody reads. An error once
    /// the client has left, or has sent more than anybody would bear.
    fn drop_unread(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            let mut space = [const { MaybeUninit::uninit() }; PIECE];
            let mut piece = ReadBuf::uninit(&mut space);
            match self.poll_dropped(cx, &mut piece) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
    }

    /// Whether another piece was dropped; else the client has ended, or may
    /// send no more.
    fn poll_dropped(
        &mut self,
        cx: &mut Context<'_>,
        piece: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        if !self.allowance().is_granted() {
            return Poll::Pending;
        }
        ready!(Pin::new(&mut self.stream).poll_read(cx, piece))?;
        let came = piece.filled();
        // What follows the body is not answered any more.
        let _ = self.requests.read(came, |_| {});
        Poll::Ready(Ok(!came.is_empty() && self.allowance().takes(came.len())))
    }

    /// After our end of the connection is shut: waits, within bounds, for the
    /// client's, since closing before would destroy what it has yet to read.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_expected = self.requests.is_unfinished() || !self.held.is_empty();
        if !is_expected || !self.allowance().is_granted() {
            return Poll::Ready(());
        }
        self.progress.lingers();
        loop {
            if self.allowance().poll_over(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut space = [const { MaybeUninit::uninit() }; PIECE];
            let mut piece = ReadBuf::uninit(&mut space);
            if !matches!(ready!(self.poll_dropped(cx, &mut piece)), Ok(true)) {
                return Poll::Ready(());
            }
        }
    }

    /// Notes that the client is asked for its body.
    fn wrote(&mut self, bytes: &[u8]) {
        if self.requests.awaits_continue() && bytes.starts_with(CONTINUE) {
            self.requests.continued();
        }
    }
}

impl<S: Carrier> Drop for HeadGuard<S> {
    fn drop(&mut self) {
        if self.progress.must_reset()
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
        if this.allowance.is_some() {
            // Some of the body is dropped already: the parser would lose the thread.
            return Poll::Pending;
        }
        if this.requests.is_between() && this.progress.is_serving() {
            return this.watch(cx);
        }
        this.read(cx, buf)
    }
}

impl<S: Carrier> AsyncWrite for HeadGuard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.wrote(buf);
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let may_be_unread = this.requests.is_in_body() || this.allowance.is_some();
        if may_be_unread && !this.is_shut && this.progress.is_unread() {
            this.drop_unread(cx)?;
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_shut {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.is_shut = true;
        }
        this.poll_linger(cx).map(Ok)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(first) = bufs.first() {
            this.wrote(first);
        }
        Pin::new(&mut this.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
