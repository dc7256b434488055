//! Where each request of a client's connection begins and ends, read from its bytes before
//! the HTTP parser gets them.
//!
//! The parser accepts, quite legally, what somebody before us may have read
//! differently: bare line feeds, a Content-Length beside a Transfer-Encoding
//! (RFC 9112 §2.2, §6.3, §11.2). To refuse that, the heads must be found exactly,
//! pipelined ones too, hence bodies are followed to their ends. Whatever is not
//! plain loses the thread, and nothing that comes after it is vouched for.

use super::chunks::Chunks;
use super::length::{BodyLength, LengthFields};
use super::policy::Policy;

/// How much of a line is kept: enough for the fields that frame a message.
const KEPT: usize = 64;

/// Follows the requests of one connection.
pub struct RequestTracker {
    at: At,
    line: PartialLine,
    fields: LengthFields,
    is_ambiguous: bool,
    /// The client holds its body back until it is asked for it.
    awaits_continue: bool,
}

/// What the next byte belongs to.
#[derive(Debug, PartialEq, Eq)]
enum At {
    /// Nothing yet: empty lines may precede a request line (RFC 9112 §2.2).
    Between,
    Head,
    /// A body of which this many bytes remain.
    Body(u64),
    Chunks(Chunks),
    /// The framing is lost; nothing after this is vouched for.
    Lost,
}

/// The beginning of a line of which the end has not come.
#[derive(Default)]
struct PartialLine {
    start: Vec<u8>,
    length: usize,
    last: u8,
}

/// A line without its end.
struct HeadLine<'b> {
    /// Its first bytes.
    start: &'b [u8],
    is_cut: bool,
    is_empty: bool,
    has_bare_lf: bool,
}

impl PartialLine {
    fn add(&mut self, part: &[u8]) {
        let room = KEPT - self.start.len();
        self.start.extend_from_slice(&part[..part.len().min(room)]);
        self.length += part.len();
        self.last = part.last().copied().unwrap_or(self.last);
    }

    fn line(&self) -> HeadLine<'_> {
        HeadLine::new(&self.start, self.length, self.last)
    }
}

impl<'b> HeadLine<'b> {
    fn new(start: &'b [u8], length: usize, last: u8) -> Self {
        let ends_in_cr = length > 0 && last == b'\r';
        Self {
            start: &start[..start.len().min(KEPT)],
            is_cut: length > KEPT,
            is_empty: length == usize::from(ends_in_cr),
            has_bare_lf: !ends_in_cr,
        }
    }
}

impl Default for RequestTracker {
    fn default() -> Self {
        Self {
            at: At::Between,
            line: PartialLine::default(),
            fields: LengthFields::new(Policy::Client),
            is_ambiguous: false,
            awaits_continue: false,
        }
    }
}

impl RequestTracker {
    /// Whether bytes of a head have come whose end has not.
    pub fn is_in_head(&self) -> bool {
        self.at == At::Head || (self.at == At::Between && self.line.length > 0)
    }

    /// Whether a head has come whole and its body has not.
    pub fn is_in_body(&self) -> bool {
        matches!(self.at, At::Body(_) | At::Chunks(_))
    }

    /// Whether all that has come is whole requests.
    pub fn is_between(&self) -> bool {
        self.at == At::Between
    }

    /// Whether more of what has begun may be on its way: nobody knows that of
    /// a request that is not plain, and a client that waits to be asked for its
    /// body sends none.
    pub fn is_unfinished(&self) -> bool {
        !self.awaits_continue && (self.at == At::Lost || self.is_in_head() || self.is_in_body())
    }

    /// Whether the client waits to be asked for its body (RFC 9110 §10.1.1).
    pub fn awaits_continue(&self) -> bool {
        self.awaits_continue
    }

    /// The client was asked for its body.
    pub fn continued(&mut self) {
        self.awaits_continue = false;
    }

    /// Reads on, to the end of a request at most, and says how many bytes that
    /// took. `head` is told of a head that ends here, and whether two readers
    /// could frame its request differently.
    pub fn read(&mut self, all: &[u8], mut head: impl FnMut(bool)) -> usize {
        let mut bytes = all;
        while !bytes.is_empty() {
            let was_between = self.is_between();
            match &mut self.at {
                At::Lost => return all.len(),
                At::Body(_) | At::Chunks(_) => bytes = self.skip_body(bytes),
                At::Between | At::Head => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        self.line.add(bytes);
                        return all.len();
                    };
                    let (part, rest) = (&bytes[..end], &bytes[end + 1..]);
                    let mut line = std::mem::take(&mut self.line);
                    if line.length == 0 {
                        let last = part.last().copied().unwrap_or_default();
                        self.take(&HeadLine::new(part, part.len(), last), &mut head);
                    } else {
                        line.add(part);
                        self.take(&line.line(), &mut head);
                    }
                    bytes = rest;
                }
            }
            if self.is_between() && !was_between {
                break;
            }
        }
        all.len() - bytes.len()
    }

    /// Passes over what `bytes` hold of a body, and returns the rest of them.
    fn skip_body<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        self.awaits_continue = false;
        let (taken, has_ended) = match &mut self.at {
            At::Body(left) => {
                let taken =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                (taken, *left == 0)
            }
            At::Chunks(chunks) => match chunks.skip(bytes) {
                Ok(taken) => (taken, chunks.has_ended()),
                Err(_) => {
                    self.at = At::Lost;
                    return bytes;
                }
            },
            At::Between | At::Head | At::Lost => return bytes,
        };
        if has_ended {
            self.at = At::Between;
        }
        &bytes[taken..]
    }

    /// Takes a line of a head, or an empty one before it.
    fn take(&mut self, line: &HeadLine<'_>, head: &mut impl FnMut(bool)) {
        if !line.is_empty {
            self.at = At::Head;
            self.is_ambiguous |= line.has_bare_lf;
            self.note(line);
        } else if self.at == At::Head {
            self.end_head(line, head);
        }
    }

    fn end_head(&mut self, line: &HeadLine<'_>, head: &mut impl FnMut(bool)) {
        let fields = std::mem::replace(&mut self.fields, LengthFields::new(Policy::Client));
        let length = fields.decide();
        let is_ambiguous = self.is_ambiguous || line.has_bare_lf || length.is_err();
        self.at = match length {
            _ if is_ambiguous => At::Lost,
            Ok(Some(BodyLength::Chunked)) => At::Chunks(Chunks::new(Policy::Client)),
            Ok(Some(BodyLength::Bytes(length))) if length > 0 => At::Body(length),
            _ => At::Between,
        };
        self.awaits_continue &= self.is_in_body();
        head(is_ambiguous);
    }

    /// Notes what a field says of the body.
    fn note(&mut self, line: &HeadLine<'_>) {
        let Some(colon) = memchr::memchr(b':', line.start) else { return };
        let (name, value) =
            (line.start[..colon].trim_ascii(), line.start[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            self.is_ambiguous |= line.is_cut;
            self.fields.content_length(value);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_ambiguous |= line.is_cut;
            self.fields.transfer_encoding(value);
        } else if name.eq_ignore_ascii_case(b"expect") {
            self.awaits_continue = value.eq_ignore_ascii_case(b"100-continue");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found of the heads in `stream`, however it is cut.
    fn heads(stream: &str) -> Vec<bool> {
        let bytes = stream.as_bytes();
        let mut found = Vec::new();
        for cut in 0..=bytes.len() {
            let (mut requests, mut heads) = (RequestTracker::default(), Vec::new());
            for mut part in [&bytes[..cut], &bytes[cut..]] {
                while !part.is_empty() {
                    let taken = requests.read(part, |is_ambiguous| heads.push(is_ambiguous));
                    assert!(taken > 0, "{stream:?} is not read to its end");
                    part = &part[taken..];
                }
            }
            found.push(heads);
        }
        found.dedup();
        assert_eq!(found.len(), 1, "{stream:?} is read differently when it is cut");
        found.remove(0)
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn plain_requests_are_followed_to_their_ends() {
        assert_eq!(heads(GET), [false]);
        assert_eq!(heads("GET / HTTP/1.1\r\nHost: x\r\n"), [false; 0]);
        assert_eq!(heads(&GET.repeat(3)), [false; 3]);
        assert_eq!(heads(&format!("\r\n\n{GET}\r\n{GET}")), [false; 2]);
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n{GET}", "x".repeat(200));
        assert_eq!(heads(&long), [false; 2]);
        let sized = format!("POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n\r\n\r\n{{}}\n{GET}");
        assert_eq!(heads(&sized), [false; 2]);
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n";
        let chunks = "2;x=\"y\"\r\n\r\n\r\nA \r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n";
        assert_eq!(heads(&format!("{chunked}{chunks}{GET}")), [false; 2]);
    }

    #[test]
    fn each_request_is_read_to_its_end_and_no_further() {
        let sized = "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        for first in [GET, sized, chunked] {
            for next in ["x", "\r\n", GET] {
                let taken =
                    RequestTracker::default().read(format!("{first}{next}").as_bytes(), |_| {});
                assert_eq!(taken, first.len(), "{first:?} before {next:?}");
            }
        }
    }

    #[test]
    fn more_is_expected_of_what_has_begun_unless_the_client_waits_to_be_asked() {
        let is_unfinished = |sent: &str| {
            let mut requests = RequestTracker::default();
            requests.read(sent.as_bytes(), |_| {});
            requests.is_unfinished()
        };
        let head = "POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        assert!(!is_unfinished("") && !is_unfinished(GET) && !is_unfinished(head));
        assert!(is_unfinished("GET / HTTP/1.1\r\n"));
        assert!(is_unfinished(&format!("{head}{{")), "it did not wait");
        assert!(is_unfinished(&head.replace("Expect", "X")));
        assert!(is_unfinished("GET / HTTP/1.1\n\n"), "nobody knows");
    }

    #[test]
    fn what_may_be_framed_in_two_ways_is_ambiguous_and_the_last_that_is_judged() {
        for field in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: \r\n",
            "Content-Length:                                                       1\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
            "X: y\n",
        ] {
            let request = format!("POST / HTTP/1.1\r\n{field}\r\n");
            assert_eq!(heads(&format!("{request}{GET}")), [true], "{field:?}");
            assert_eq!(heads(&format!("{GET}{request}{GET}")), [false, true], "{field:?}");
        }
        assert_eq!(heads("GET / HTTP/1.1\nHost: x\r\n\r\n"), [true]);
        assert_eq!(heads("GET / HTTP/1.1\r\nHost: x\r\n\n"), [true]);
    }

    #[test]
    fn after_a_body_that_is_not_plain_nothing_is_vouched_for() {
        for chunks in [
            "5\nhello\r\n0\r\n\r\n",
            "x\r\n",
            "-1\r\n",
            "\r\n",
            "0\r\nX: 1\n\r\n",
            "ffffffffffffffff\r\n",
        ] {
            let chunked = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
            assert_eq!(heads(&format!("{chunked}{GET}")), [false], "{chunks:?}");
        }
    }
}
