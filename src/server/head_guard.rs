//! Watches the heads of requests as they come in, before the HTTP parser: for
//! framing that two readers could take in two ways, and for clients that never
//! get to a head's end.
//!
//! hyper drops a Content-Length that stands beside a Transfer-Encoding and
//! accepts bare line feeds. Both are legal to accept, but what comes so was made
//! to be read differently by somebody; the data plane refuses it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a connection may lie idle between two requests.
const IDLE: Duration = Duration::from_secs(75);

/// What a connection is doing, in the high bits of [`Progress::state`]; the low
/// ones hold since when, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing of a head has come; true of a new connection too.
    Idle = 0,
    /// Part of a head has come.
    Head = 1,
    /// A request is being served.
    Serving = 2,
}

const PHASE_SHIFT: u32 = 60;

/// What the guard, the service and the watch of one connection share.
pub struct Progress {
    state: AtomicU64,
    is_ambiguous: AtomicBool,
    has_served: AtomicBool,
    opened: Instant,
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    /// It lies idle: close it when nothing is under way.
    Idle,
    /// Its head does not come to an end.
    Stalled,
}

impl Progress {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU64::new(0),
            is_ambiguous: AtomicBool::new(false),
            has_served: AtomicBool::new(false),
            opened: Instant::now(),
        })
    }

    fn enter(&self, phase: Phase) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        let since = since & ((1 << PHASE_SHIFT) - 1);
        self.state.store((phase as u64) << PHASE_SHIFT | since, Ordering::Release);
    }

    fn phase(&self) -> (Phase, Duration) {
        let state = self.state.load(Ordering::Acquire);
        let phase = match state >> PHASE_SHIFT {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Serving,
        };
        let since = Duration::from_millis(state & ((1 << PHASE_SHIFT) - 1));
        (phase, self.opened.elapsed().saturating_sub(since))
    }

    /// Whether the head that was just parsed was ambiguous.
    pub fn take_ambiguous(&self) -> bool {
        self.is_ambiguous.swap(false, Ordering::AcqRel)
    }

    /// A response was sent, or given up.
    pub fn served(&self) {
        self.has_served.store(true, Ordering::Release);
        self.enter(Phase::Idle);
    }

    /// Judges the connection by how long a head may take.
    pub fn verdict(&self, header_timeout: Duration) -> Verdict {
        let is_new = !self.has_served.load(Ordering::Acquire);
        match self.phase() {
            (Phase::Head, time) if time >= header_timeout => Verdict::Stalled,
            (Phase::Idle, time) if is_new && time >= header_timeout => Verdict::Stalled,
            (Phase::Idle, time) if time >= IDLE => Verdict::Idle,
            _ => Verdict::Keep,
        }
    }
}

/// Reads a head line by line, across reads.
#[derive(Default)]
struct Scan {
    /// The beginning of the line that is not yet at its end.
    line: Vec<u8>,
    has_length: bool,
    has_encoding: bool,
    has_bare_lf: bool,
}

/// As much of a line as tells its name.
const NAME: usize = 32;

impl Scan {
    /// Reads on; `true` at the head's end.
    fn read(&mut self, mut bytes: &[u8]) -> bool {
        while let Some(at) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..at], &bytes[at + 1..]);
            bytes = rest;
            let ends_in_cr = line.last().or(self.line.last()) == Some(&b'\r');
            self.has_bare_lf |= !ends_in_cr;
            let is_empty = self.line.len() + line.len() <= usize::from(ends_in_cr);
            if self.line.is_empty() {
                self.note(line);
            } else {
                self.keep(line);
                let line = std::mem::take(&mut self.line);
                self.note(&line);
            }
            if is_empty {
                return true;
            }
        }
        self.keep(bytes);
        false
    }

    fn keep(&mut self, part: &[u8]) {
        // The last byte is kept as well: it may be the CR before an LF.
        let room = NAME.saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        if part.len() > room
            && let Some(last) = part.last()
        {
            self.line.truncate(NAME);
            self.line.push(*last);
        }
    }

    fn note(&mut self, line: &[u8]) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii_end();
        self.has_length |= name.eq_ignore_ascii_case(b"content-length");
        self.has_encoding |= name.eq_ignore_ascii_case(b"transfer-encoding");
    }

    fn is_ambiguous(&self) -> bool {
        self.has_bare_lf || (self.has_length && self.has_encoding)
    }
}

/// A client's connection with its heads watched.
pub struct HeadGuard<S> {
    stream: S,
    progress: Arc<Progress>,
    scan: Scan,
}

impl<S> HeadGuard<S> {
    pub fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream, progress, scan: Scan::default() }
    }

    fn saw(&mut self, bytes: &[u8]) {
        match self.progress.phase().0 {
            Phase::Serving => return,
            Phase::Head => {}
            Phase::Idle => self.scan = Scan::default(),
        }
        if self.scan.read(bytes) {
            self.progress.is_ambiguous.store(self.scan.is_ambiguous(), Ordering::Release);
            self.progress.enter(Phase::Serving);
        } else if self.progress.phase().0 == Phase::Idle {
            self.progress.enter(Phase::Head);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadGuard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        if !read.is_empty() {
            this.saw(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadGuard<S> {
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

    /// Whether the head is found to end, and to be ambiguous, however it is cut.
    fn judge(head: &str) -> Option<bool> {
        let bytes = head.as_bytes();
        let mut verdicts = Vec::new();
        for cut in 0..=bytes.len() {
            let mut scan = Scan::default();
            let ended = scan.read(&bytes[..cut]) || scan.read(&bytes[cut..]);
            verdicts.push(ended.then(|| scan.is_ambiguous()));
        }
        verdicts.dedup();
        assert_eq!(verdicts.len(), 1, "{head:?} is judged differently when it is cut");
        verdicts[0]
    }

    #[test]
    fn heads_are_judged_the_same_however_they_arrive() {
        let long = format!("GET / HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(100));
        assert_eq!(judge(&long), Some(false));
        assert_eq!(judge("GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n"), Some(false));
        assert_eq!(judge("GET / HTTP/1.1\r\nHost: x\r\n"), None);
        let both = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length: 1\r\n\r\n";
        assert_eq!(judge(both), Some(true));
        assert_eq!(judge("GET / HTTP/1.1\nHost: x\r\n\r\n"), Some(true));
        assert_eq!(judge("GET / HTTP/1.1\r\nHost: x\n\n"), Some(true));
    }

    #[test]
    fn a_new_connection_must_send_a_head_in_time() {
        let progress = Progress::new();
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Stalled);
        progress.enter(Phase::Serving);
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Keep);
        progress.served();
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Keep, "kept alive");
        progress.enter(Phase::Head);
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Stalled);
    }
}
