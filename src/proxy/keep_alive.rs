//! A comment line into event streams that are silent for long, so that
//! middleboxes do not cut them.
//!
//! It may stand only between two events, so the stream's bytes are watched for
//! event boundaries, across chunks. This is the one exception to untouched bytes.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use tokio::time::{Instant, Sleep};

const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// Where in an event stream the last byte left us. Lines end in LF, CR or CRLF
/// (WHATWG HTML §9.2.5); an empty line ends an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// Nothing of an event has begun.
    #[default]
    Between,
    /// As above, and an LF would still belong to the line end.
    BetweenCr,
    /// At the start of a line of an event.
    LineStart,
    /// As above, and an LF would still belong to the line end.
    LineStartCr,
    InLine,
}

impl Boundary {
    /// Where the next byte leaves us.
    fn next(self, byte: u8) -> Self {
        use Boundary::*;
        match (self, byte) {
            (BetweenCr, b'\n') => Between,
            (LineStartCr, b'\n') => LineStart,
            (InLine, b'\n') => LineStart,
            (InLine, b'\r') => LineStartCr,
            (_, b'\n') => Between,
            (_, b'\r') => BetweenCr,
            _ => InLine,
        }
    }

    /// Reads a chunk.
    pub fn read(&mut self, chunk: &[u8]) {
        // What came before the last line end but two cannot matter: four bytes
        // that end a chunk fix the state wherever they are not all line ends.
        let mut rest = chunk;
        if let Some(at) = chunk.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')) {
            *self = Boundary::InLine;
            rest = &chunk[at + 1..];
        }
        for byte in rest {
            *self = self.next(*byte);
        }
    }

    /// Whether a comment may be put here. After a lone CR it may not: the LF of
    /// the same line end may be still to come.
    pub fn is_between_events(self) -> bool {
        self == Boundary::Between
    }
}

/// Watches one stream.
pub struct KeepAlive {
    boundary: Boundary,
    silence: Duration,
    last: Instant,
    due: Pin<Box<Sleep>>,
}

impl KeepAlive {
    /// A watch for an answer with these headers, where it is a plain event
    /// stream of open length. Zero `silence`: none.
    pub fn for_answer(headers: &HeaderMap, silence: Duration) -> Option<Self> {
        let is_event_stream = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|media| media.trim().eq_ignore_ascii_case("text/event-stream"));
        let is_plain = headers
            .get(CONTENT_ENCODING)
            .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
        let is_watched = is_event_stream
            && is_plain
            && !headers.contains_key(CONTENT_LENGTH)
            && !silence.is_zero();
        is_watched.then(|| Self {
            boundary: Boundary::default(),
            silence,
            last: Instant::now(),
            due: Box::pin(tokio::time::sleep(silence)),
        })
    }

    pub fn saw(&mut self, chunk: &[u8]) {
        self.boundary.read(chunk);
        self.last = Instant::now();
    }

    /// Ready with a comment when the stream was silent for long enough.
    pub fn poll_comment(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        // The timer is moved only when it fires: events cost it nothing.
        while self.due.as_mut().poll(cx).is_ready() {
            let due = self.last + self.silence;
            if due > Instant::now() {
                self.due.as_mut().reset(due);
                continue;
            }
            self.last = Instant::now();
            self.due.as_mut().reset(self.last + self.silence);
            if self.boundary.is_between_events() {
                return Poll::Ready(COMMENT);
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http::HeaderValue;

    use super::*;

    fn between(stream: &[u8]) -> bool {
        let mut boundary = Boundary::default();
        boundary.read(stream);
        boundary.is_between_events()
    }

    #[test]
    fn comments_stand_between_events_only() {
        for stream in ["", "data: x\n\n", "data: x\r\n\r\n", ": ping\n\n", "a\n\n\n", "\n"] {
            assert!(between(stream.as_bytes()), "{stream:?}");
        }
        for stream in ["data: x", "data: x\n", "data: x\r\n", "data: x\r\n\r", "a\r\r", "\n\nd"] {
            assert!(!between(stream.as_bytes()), "{stream:?}");
        }
    }

    #[test]
    fn chunking_makes_no_difference() {
        let stream =
            b"id: 1\r\ndata: a\r\n\r\ndata: b\n\ndata: c\r\rdata: \xc3\xa9\n\n\r\n: x\r\n\r\n";
        for end in 0..=stream.len() {
            for cut in 0..=end {
                let mut boundary = Boundary::default();
                boundary.read(&stream[..cut]);
                boundary.read(&stream[cut..end]);
                let mut bytewise = Boundary::default();
                for byte in &stream[..end] {
                    bytewise = bytewise.next(*byte);
                }
                assert_eq!(boundary, bytewise, "cut at {cut} of {end}");
            }
        }
    }

    fn watched(silence: Duration) -> KeepAlive {
        let event_stream = HeaderValue::from_static("text/event-stream");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, event_stream)]);
        KeepAlive::for_answer(&headers, silence).expect("an event stream")
    }

    /// Whether a comment is due after this time.
    async fn is_due(keep_alive: &mut KeepAlive, after: Duration) -> bool {
        tokio::time::advance(after).await;
        poll_fn(|cx| Poll::Ready(keep_alive.poll_comment(cx).is_ready())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_speaks_gets_none() {
        let (silence, part) = (Duration::from_millis(400), Duration::from_millis(100));
        let mut keep_alive = watched(silence);
        for _ in 0..10 {
            keep_alive.saw(b"data: x\n\n");
            assert!(!is_due(&mut keep_alive, part).await);
        }
        assert!(!is_due(&mut keep_alive, silence - 2 * part).await);
        assert!(is_due(&mut keep_alive, part).await, "it has been silent for long enough");
        assert!(!is_due(&mut keep_alive, silence - part).await);
        assert!(is_due(&mut keep_alive, part).await, "and again");
    }
}
