//! Where the body of an answer ends, and which of the bytes are its content
//! (RFC 9112 §6, §7.1).

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{StatusCode, Version};

/// Most bytes of one line around a chunk, or of all trailers.
const LINE: usize = 16 * 1024;

/// How the end is known.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyDecoder {
    /// So many bytes are left.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

/// What the bytes at hand lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Content(Bytes),
    /// More bytes must come.
    More,
    End,
}

/// Nobody can say where the message ends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backend's answer is not framed as RFC 9112 has it")]
pub struct Malformed;

impl BodyDecoder {
    /// As the head of an answer, to a request that is not HEAD, tells it.
    ///
    /// # Errors
    /// The end could be seen in two places: there is a Content-Length beside a
    /// Transfer-Encoding (RFC 9112 §6.3), lengths differ, or a coding is unknown.
    pub fn of(
        status: StatusCode,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, Malformed> {
        // An interim answer is passed over, whatever it says.
        if status.is_informational() {
            return Ok(BodyDecoder::Length(0));
        }
        if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
            return Err(Malformed);
        }
        if [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status) {
            return Ok(BodyDecoder::Length(0));
        }
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        if let Some(coding) = codings.next() {
            // Another coding would have to be undone, or passed on by name.
            let is_chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
            let is_plain = codings.next().is_none() && version == Version::HTTP_11;
            return match is_chunked && is_plain {
                true => Ok(BodyDecoder::Chunked(Chunks::default())),
                false => Err(Malformed),
            };
        }
        let mut length = None;
        for value in headers.get_all(CONTENT_LENGTH) {
            for member in value.as_bytes().split(|byte| *byte == b',') {
                let member = decimal(member.trim_ascii()).ok_or(Malformed)?;
                if length.replace(member).is_some_and(|other| other != member) {
                    return Err(Malformed);
                }
            }
        }
        Ok(length.map_or(BodyDecoder::UntilClose, BodyDecoder::Length))
    }

    /// Takes from `bytes` what is next.
    pub fn read(&mut self, bytes: &mut Bytes) -> Result<Step, Malformed> {
        match self {
            BodyDecoder::Length(0) => Ok(Step::End),
            BodyDecoder::Length(left) => Ok(content(bytes, left)),
            BodyDecoder::UntilClose => Ok(content(bytes, &mut { u64::MAX })),
            BodyDecoder::Chunked(chunks) => chunks.read(bytes),
        }
    }

    /// Passes over what stands between contents, so that an end that is at hand
    /// is known at once.
    pub fn settle(&mut self, bytes: &mut Bytes) -> Result<(), Malformed> {
        match self {
            BodyDecoder::Chunked(chunks) => chunks.skip_to_content(bytes),
            _ => Ok(()),
        }
    }

    /// The backend has closed; whether that ends the body as it should.
    pub fn close(&mut self) -> bool {
        let is_end = *self == BodyDecoder::UntilClose;
        if is_end {
            *self = BodyDecoder::Length(0);
        }
        is_end
    }

    pub fn has_ended(&self) -> bool {
        match self {
            BodyDecoder::Length(left) => *left == 0,
            BodyDecoder::Chunked(chunks) => chunks.at == At::End,
            BodyDecoder::UntilClose => false,
        }
    }
}

fn content(bytes: &mut Bytes, left: &mut u64) -> Step {
    if bytes.is_empty() {
        return Step::More;
    }
    let length = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= length as u64;
    Step::Content(bytes.split_to(length))
}

/// Digits alone: `+5` is no length.
fn decimal(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A chunked body, followed byte by byte.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    at: At,
    /// Of the chunk: as read so far, then what is left of it.
    size: u64,
    /// Bytes of the line, or of the trailers, so far.
    line: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// The size's first digit.
    #[default]
    Start,
    Size,
    /// White space behind it.
    AfterSize,
    Extension,
    SizeLf,
    Content,
    ContentCr,
    ContentLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    End,
    Malformed,
}

impl Chunks {
    fn read(&mut self, bytes: &mut Bytes) -> Result<Step, Malformed> {
        self.skip_to_content(bytes)?;
        match self.at {
            At::End => Ok(Step::End),
            At::Content => {
                let step = content(bytes, &mut self.size);
                if self.size == 0 {
                    self.at = At::ContentCr;
                }
                Ok(step)
            }
            _ => Ok(Step::More),
        }
    }

    fn skip_to_content(&mut self, bytes: &mut Bytes) -> Result<(), Malformed> {
        let mut read = 0;
        while !matches!(self.at, At::Content | At::End | At::Malformed) && read < bytes.len() {
            self.at = self.next(bytes[read]);
            read += 1;
        }
        bytes.advance(read);
        if self.at == At::Malformed { Err(Malformed) } else { Ok(()) }
    }

    fn next(&mut self, byte: u8) -> At {
        self.line += 1;
        if self.line > LINE {
            return At::Malformed;
        }
        match (self.at, byte) {
            (At::Start | At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = u64::from((byte as char).to_digit(16).unwrap_or_default());
                match self.size.checked_mul(16) {
                    Some(size) => {
                        self.size = size + digit;
                        At::Size
                    }
                    None => At::Malformed,
                }
            }
            (At::Size | At::AfterSize, b' ' | b'\t') => At::AfterSize,
            (At::Size | At::AfterSize, b';') => At::Extension,
            (At::Size | At::AfterSize | At::Extension, b'\r') => At::SizeLf,
            (At::Extension, byte) if byte != b'\n' => At::Extension,
            (At::SizeLf, b'\n') => {
                self.line = 0;
                if self.size == 0 { At::TrailerStart } else { At::Content }
            }
            (At::ContentCr, b'\r') => At::ContentLf,
            (At::ContentLf, b'\n') => {
                self.line = 0;
                At::Start
            }
            (At::TrailerStart, b'\r') => At::EndLf,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::TrailerStart | At::Trailer, byte) if byte != b'\n' => At::Trailer,
            (At::TrailerLf, b'\n') => At::TrailerStart,
            (At::EndLf, b'\n') => At::End,
            _ => At::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content, and what is left of the bytes when the body has ended.
    fn chunked(wire: &'static str) -> Result<Option<(String, usize)>, Malformed> {
        let (mut bytes, mut content) = (Bytes::from_static(wire.as_bytes()), Vec::new());
        let mut decoder = BodyDecoder::Chunked(Chunks::default());
        loop {
            match decoder.read(&mut bytes)? {
                Step::Content(more) => content.extend_from_slice(&more),
                Step::More => return Ok(None),
                Step::End => {
                    return Ok(Some((String::from_utf8(content).unwrap(), bytes.len())));
                }
            }
        }
    }

    #[test]
    fn chunks_are_content_and_what_is_around_them_is_not() {
        let is = |content: &str, left| Ok(Some((content.to_owned(), left)));
        assert_eq!(chunked("0\r\n\r\n"), is("", 0));
        assert_eq!(chunked("3\r\nabc\r\n0\r\n\r\n"), is("abc", 0));
        assert_eq!(
            chunked("A ;x=\"\r\n0123456789\r\n00\r\nT: x\r\nU: y\r\n\r\nHTTP"),
            is("0123456789", 4)
        );
        for cut in ["", "3", "3\r\nab", "3\r\nabc\r\n", "0\r\n", "0\r\n\r", "0\r\nT: x\r\n"] {
            assert_eq!(chunked(cut), Ok(None), "{cut:?}");
        }
        for bad in [
            "\r\n",
            ";\r\n",
            "g\r\n",
            "3\nabc",
            "3\r\nabcd\r\n",
            "3\r\nabc\n",
            "-1\r\n",
            "1 2\r\n",
            "10000000000000000\r\n",
            "0\r\nT: x\n\r\n",
            "0\r\n\n",
            "3;x\ny\r\nabc\r\n",
        ] {
            assert_eq!(chunked(bad), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn lines_without_end_are_not_read_forever() {
        let endless = [
            "0".repeat(LINE),
            format!("1;{}", "x".repeat(LINE)),
            format!("0\r\n{}", "T: x\r\n".repeat(LINE / 6 + 1)),
        ];
        for line in endless {
            let mut decoder = BodyDecoder::Chunked(Chunks::default());
            let mut bytes = Bytes::from(line + "  ");
            assert_eq!(decoder.read(&mut bytes), Err(Malformed));
        }
    }

    fn decoder(
        status: u16,
        version: Version,
        headers: &[(&'static str, &'static str)],
    ) -> Result<BodyDecoder, Malformed> {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<http::HeaderName>().unwrap(), http::HeaderValue::from_static(value))
        });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        BodyDecoder::of(StatusCode::from_u16(status).unwrap(), version, &map)
    }

    #[test]
    fn the_head_tells_where_the_body_ends() {
        use Version as V;
        let chunked = || Ok(BodyDecoder::Chunked(Chunks::default()));
        assert_eq!(decoder(200, V::HTTP_11, &[]), Ok(BodyDecoder::UntilClose));
        assert_eq!(
            decoder(200, V::HTTP_11, &[("content-length", "5")]),
            Ok(BodyDecoder::Length(5))
        );
        assert_eq!(
            decoder(200, V::HTTP_11, &[("content-length", "5, 5")]),
            Ok(BodyDecoder::Length(5))
        );
        assert_eq!(decoder(200, V::HTTP_11, &[("transfer-encoding", "Chunked")]), chunked());
        assert_eq!(
            decoder(204, V::HTTP_11, &[("content-length", "5")]),
            Ok(BodyDecoder::Length(0))
        );
        assert_eq!(
            decoder(304, V::HTTP_11, &[("transfer-encoding", "chunked")]),
            Ok(BodyDecoder::Length(0))
        );
        for bad in ["5, 6", "+5", "-5", "0x5", "", "5,", "99999999999999999999"] {
            assert_eq!(
                decoder(200, V::HTTP_11, &[("content-length", bad)]),
                Err(Malformed),
                "{bad}"
            );
        }
        assert_eq!(
            decoder(200, V::HTTP_11, &[("content-length", "5"), ("content-length", "6")]),
            Err(Malformed)
        );
        for bad in ["gzip, chunked", "chunked, gzip", "identity", "x"] {
            assert_eq!(
                decoder(200, V::HTTP_11, &[("transfer-encoding", bad)]),
                Err(Malformed),
                "{bad}"
            );
        }
        assert_eq!(decoder(200, V::HTTP_10, &[("transfer-encoding", "chunked")]), Err(Malformed));
        let both = [("transfer-encoding", "chunked"), ("content-length", "5")];
        for status in [200, 204, 304, 404] {
            assert_eq!(decoder(status, V::HTTP_11, &both), Err(Malformed), "{status}");
        }
        let twice = [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert_eq!(decoder(200, V::HTTP_11, &twice), Err(Malformed));
    }
}
