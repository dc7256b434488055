//! How much a backend may send before its answer begins.
//!
//! hyper bounds the one head that it hands out, but reads interim answers (1xx)
//! and empty lines before it for as long as they come, without a pause: a backend
//! that sends nothing else would hold up everybody on its worker thread.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes from the request to the end of the answer's head. What of the body
/// comes along with the head is counted too, so this is well above any head.
const BEFORE_ANSWER: u64 = 1024 * 1024;

/// What the backend may still send, shared by the connection and its user.
#[derive(Clone)]
pub struct Allowance(Arc<AtomicU64>);

impl Default for Allowance {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(BEFORE_ANSWER)))
    }
}

impl Allowance {
    /// A request goes out: an answer must begin before long.
    pub fn asked(&self) {
        self.0.store(BEFORE_ANSWER, Ordering::Relaxed);
    }

    /// The answer has begun, and its body may be of any length.
    pub fn answered(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    fn take(&self, n: u64) -> io::Result<()> {
        let left = self.0.load(Ordering::Relaxed);
        if left == u64::MAX {
            return Ok(());
        }
        // An `answered` in between is lost on neither side: the reader and the
        // user of a connection are tasks of one thread.
        let left = left.checked_sub(n).ok_or(io::ErrorKind::InvalidData)?;
        self.0.store(left, Ordering::Relaxed);
        Ok(())
    }
}

/// A connection to a backend on which the allowance is kept.
pub struct HeadLimit<S> {
    stream: S,
    allowance: Allowance,
}

impl<S> HeadLimit<S> {
    pub fn new(stream: S, allowance: Allowance) -> Self {
        Self { stream, allowance }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadLimit<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        Poll::Ready(this.allowance.take((buf.filled().len() - before) as u64))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadLimit<S> {
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
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn only_what_comes_before_the_answer_is_bounded() {
        let allowance = Allowance::default();
        let mut limited = HeadLimit::new(tokio::io::repeat(b'x'), allowance.clone());
        let mut block = vec![0; 1024 * 1024];
        limited.read_exact(&mut block).await.unwrap();
        assert_eq!(limited.read_u8().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        allowance.answered();
        for _ in 0..3 {
            limited.read_exact(&mut block).await.unwrap();
        }
        allowance.asked();
        limited.read_exact(&mut block).await.unwrap();
        assert!(limited.read_u8().await.is_err());
    }
}
