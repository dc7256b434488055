//! The head of an answer, found among the bytes of a backend and read.
//!
//! Interim answers (1xx) before it are passed over. What may come before the
//! answer's own head is bounded, so that nobody is kept reading by a backend
//! that never comes to it.

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{Response, StatusCode, Version};
use httparse::ParserConfig;
use hyper::ext::ReasonPhrase;

use super::body::{BodyDecoder, has_no_body};
use super::length::Malformed;

const MAX_HEADERS: usize = 256;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

const START: &[u8] = b"HTTP/1.";

/// Room for the headers that the proxy adds, so that the table need not grow.
const ADDED: usize = 6;

/// Bytes of one head at most.
const MAX_HEAD: usize = 256 * 1024;

/// Bytes from the request to the end of the answer's head at most.
const BEFORE_ANSWER: usize = 1024 * 1024;

/// An answer whose head has come.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub response: Response<()>,
    pub body: BodyDecoder,
    /// Whether the connection may serve another request after this one.
    pub keeps_alive: bool,
    /// How long the backend says that it keeps an idle connection open.
    pub announced: Option<Duration>,
    /// What came behind the head.
    pub rest: Bytes,
}

/// Gathers bytes until there is a head among them.
#[derive(Default)]
pub(crate) struct ResponseHeadReader {
    gathered: Vec<u8>,
    /// So many of them hold no end of a head.
    searched: usize,
    seen: usize,
    /// An interim answer announced a body, which it may not have.
    has_misframed_interim: bool,
}

impl ResponseHeadReader {
    /// Whether not a byte has come.
    pub(crate) fn is_untouched(&self) -> bool {
        self.seen == 0
    }

    /// Whether a head has begun whose end has not come.
    pub(crate) fn is_in_head(&self) -> bool {
        !self.gathered.is_empty()
    }

    /// Takes further bytes; `None` until the head is complete.
    pub(crate) fn read(&mut self, piece: Bytes) -> Result<Option<ResponseHead>, Malformed> {
        self.seen += piece.len();
        if self.seen > BEFORE_ANSWER {
            return Err(Malformed);
        }
        let mut bytes = piece;
        if !self.gathered.is_empty() {
            self.gathered.extend_from_slice(&bytes);
            bytes = std::mem::take(&mut self.gathered).into();
        }
        loop {
            if self.searched < START.len() {
                skip_empty_lines(&mut bytes);
                if !is_http(&bytes) {
                    return Err(Malformed);
                }
            }
            let Some(end) = head_end(&bytes, self.searched) else { break };
            self.searched = 0;
            let head = bytes.split_to(end);
            let mut found = parse(&head, bytes)?;
            match found.response.status() {
                StatusCode::SWITCHING_PROTOCOLS => return Err(Malformed),
                status if status.is_informational() => {
                    self.has_misframed_interim |= is_framed(found.response.headers());
                    bytes = found.rest;
                }
                _ => {
                    found.keeps_alive &= !self.has_misframed_interim;
                    return Ok(Some(found));
                }
            }
        }
        if bytes.len() > MAX_HEAD {
            return Err(Malformed);
        }
        // An end may lie across this piece and the next.
        self.searched = bytes.len().saturating_sub(2);
        self.gathered = bytes.into();
        Ok(None)
    }
}

/// RFC 9112 §2.2 has servers skip them; clients find them as well.
fn skip_empty_lines(bytes: &mut Bytes) {
    loop {
        match **bytes {
            [b'\n', ..] => bytes.advance(1),
            [b'\r', b'\n', ..] => bytes.advance(2),
            _ => return,
        }
    }
}

/// Whether it may become a head: who speaks another protocol may wait for us.
fn is_http(bytes: &[u8]) -> bool {
    let length = bytes.len().min(START.len());
    bytes[..length] == START[..length] || bytes == b"\r"
}

/// Where the head ends: behind its first empty line.
fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &bytes[from..]).find_map(|at| {
        let next = from + at + 1;
        match bytes[next..] {
            [b'\n', ..] => Some(next + 1),
            [b'\r', b'\n', ..] => Some(next + 2),
            _ => None,
        }
    })
}

/// Reads a complete head. Values share its bytes.
fn parse(head: &Bytes, rest: Bytes) -> Result<ResponseHead, Malformed> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let end = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, head, &mut lines)
        .map_err(|_| Malformed)?;
    if end != httparse::Status::Complete(head.len()) {
        return Err(Malformed);
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed)?;
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + ADDED);
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed)?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value));
        headers.append(name, value.map_err(|_| Malformed)?);
    }
    let body = BodyDecoder::of(status, version, &headers)?;
    // Whatever a status that has no body announces one with, its reader and its writer
    // may differ about where the next answer begins.
    let keeps_alive = body != BodyDecoder::UntilClose
        && keeps_alive(version, &headers)
        && !(has_no_body(status) && is_framed(&headers));
    let announced = if keeps_alive { announced(&headers) } else { None };
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let reason = parsed.reason.unwrap_or_default();
    if status.canonical_reason() != Some(reason)
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    Ok(ResponseHead { response, body, keeps_alive, announced, rest })
}

fn is_framed(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

/// `timeout` of `Keep-Alive`, which is whole seconds (RFC 2068 §19.7.1.1, and what
/// servers send today).
fn announced(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    value.split(',').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse().ok()?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        is_timeout.then(|| Duration::from_secs(seconds))
    })
}

/// RFC 9112 §9.3.
fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let has = |option: &str| {
        let mut options = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        options.any(|named| named.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    };
    match version {
        Version::HTTP_11 => !has("close"),
        _ => has("keep-alive") && !has("close"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same answer in one piece, and byte by byte.
    fn both_ways(wire: &str) -> Result<Option<(u16, BodyDecoder, bool, String)>, Malformed> {
        let told = |head: ResponseHead| {
            let rest = String::from_utf8(head.rest.to_vec()).unwrap();
            (head.response.status().as_u16(), head.body, head.keeps_alive, rest)
        };
        let whole = ResponseHeadReader::default()
            .read(Bytes::copy_from_slice(wire.as_bytes()))
            .map(|head| head.map(told));
        let (mut reader, mut slow) = (ResponseHeadReader::default(), Ok(None));
        for (at, byte) in wire.bytes().enumerate() {
            slow = reader.read(Bytes::copy_from_slice(&[byte])).map(|head| head.map(told));
            match &mut slow {
                Ok(None) => {}
                Ok(Some(head)) => {
                    head.3 = wire[at + 1..].to_owned();
                    break;
                }
                Err(_) => break,
            }
        }
        assert_eq!(whole, slow, "{wire:?}");
        whole
    }

    #[test]
    fn a_head_is_found_and_read() {
        let is = |status, body, keeps_alive, rest: &str| {
            Ok(Some((status, body, keeps_alive, rest.to_owned())))
        };
        let length = BodyDecoder::Length;
        assert_eq!(
            both_ways("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"),
            is(200, length(2), true, "ab")
        );
        assert_eq!(
            both_ways("\r\n\nHTTP/1.1 404\nA: b\nContent-Length: 0\n\n"),
            is(404, length(0), true, "")
        );
        assert_eq!(
            both_ways("HTTP/1.1 200 OK\r\n\r\nx"),
            is(200, BodyDecoder::UntilClose, false, "x")
        );
        assert_eq!(
            both_ways("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
            is(200, length(0), false, "")
        );
        assert_eq!(
            both_ways("HTTP/1.0 200 OK\r\nConnection: x, Keep-Alive\r\nContent-Length: 0\r\n\r\n"),
            is(200, length(0), true, "")
        );
        assert_eq!(
            both_ways("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n"),
            is(200, length(0), false, "")
        );
        assert_eq!(
            both_ways(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 None\r\n\r\n"
            ),
            is(204, length(0), true, "")
        );
    }

    fn head(wire: &'static str) -> ResponseHead {
        ResponseHeadReader::default().read(Bytes::from_static(wire.as_bytes())).unwrap().unwrap()
    }

    #[test]
    fn an_answer_that_announces_what_it_may_not_have_is_the_connections_last() {
        for (wire, keeps_alive) in [
            ("HTTP/1.1 204 x\r\n\r\n", true),
            ("HTTP/1.1 304 x\r\n\r\n", true),
            ("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", false),
            ("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", false),
            ("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", false),
            ("HTTP/1.1 103 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n", true),
            ("HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 x\r\n\r\n", false),
        ] {
            assert_eq!(head(wire).keeps_alive, keeps_alive, "{wire:?}");
        }
    }

    #[test]
    fn what_a_backend_announces_of_idle_connections_is_read() {
        let seconds = |n| Some(Duration::from_secs(n));
        let head = "HTTP/1.1 204 x\r\n";
        for (line, announced) in [
            ("", None),
            ("Keep-Alive: timeout=2\r\n", seconds(2)),
            ("Keep-Alive: max=100, Timeout = 5\r\n", seconds(5)),
            ("Keep-Alive: timeout=x\r\n", None),
            ("Keep-Alive: timeout=-1\r\n", None),
            ("Keep-Alive: 5\r\n", None),
            ("Keep-Alive: timeout=2\r\nConnection: close\r\n", None),
        ] {
            let wire = Bytes::from(format!("{head}{line}\r\n"));
            let head = ResponseHeadReader::default().read(wire).unwrap().unwrap();
            assert_eq!(head.announced, announced, "{line:?}");
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for bad in [
            "HTTP/2",
            "\u{16}\u{3}\u{1}",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 99 x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 101 x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: \u{0}\r\n\r\n",
        ] {
            assert_eq!(both_ways(bad), Err(Malformed), "{bad:?}");
        }
        assert_eq!(both_ways("HTTP/1.1 200 OK\r\nA: b\r\n"), Ok(None));
    }

    #[test]
    fn a_backend_that_never_comes_to_its_answer_is_not_listened_to_forever() {
        let ends = |piece: &'static str| {
            let mut reader = ResponseHeadReader::default();
            (0..BEFORE_ANSWER).find(|_| reader.read(Bytes::from_static(piece.as_bytes())).is_err())
        };
        let interim = "HTTP/1.1 102 Processing\r\n\r\n";
        assert_eq!(ends(interim), Some(BEFORE_ANSWER / interim.len()));
        assert_eq!(ends("\r\n\r\n\r\n"), Some(BEFORE_ANSWER / 6));
        assert!(ends("HTTP/1.1 200 OK\r\nA: b").is_some_and(|n| n <= MAX_HEAD / 21));
    }

    #[test]
    fn an_unusual_reason_is_kept() {
        let reason = |wire: &'static str| {
            let head =
                ResponseHeadReader::default().read(Bytes::from_static(wire.as_bytes())).unwrap();
            let response = head.unwrap().response;
            let reason = response.extensions().get::<ReasonPhrase>();
            reason.map(|reason| String::from_utf8(reason.as_bytes().to_vec()).unwrap())
        };
        assert_eq!(reason("HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(reason("HTTP/1.1 200 Fine\r\n\r\n"), Some("Fine".into()));
    }
}
