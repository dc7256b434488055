//! The body of an answer: where it ends, and which of the bytes are its content
//! (RFC 9112 §6, §7.1).

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{StatusCode, Version};

use super::chunks::Chunks;
use super::length::{BodyLength, LengthFields, Malformed};
use super::policy::Policy;

/// Reads the body of an answer. Its variants are the ways in which the end is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyDecoder {
    /// Exactly this many bytes remain.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

/// What the bytes at hand lead to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Content(Bytes),
    /// More bytes must come.
    More,
    End,
}

impl BodyDecoder {
    /// The decoder for the body of an answer with this head, to a request that is not HEAD.
    ///
    /// # Errors
    /// The end could be seen in two places, or a coding is unknown; see
    /// [`LengthFields::decide`].
    pub(super) fn of(
        status: StatusCode,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, Malformed> {
        // An interim answer is passed over, whatever it says.
        if status.is_informational() {
            return Ok(BodyDecoder::Length(0));
        }
        let mut fields = LengthFields::new(Policy::Backend);
        for coding in headers.get_all(TRANSFER_ENCODING) {
            fields.transfer_encoding(coding.as_bytes());
        }
        for length in headers.get_all(CONTENT_LENGTH) {
            fields.content_length(length.as_bytes());
        }
        if has_no_body(status) && !fields.are_both() {
            return Ok(BodyDecoder::Length(0));
        }
        match fields.decide()? {
            None => Ok(BodyDecoder::UntilClose),
            Some(BodyLength::Bytes(length)) => Ok(BodyDecoder::Length(length)),
            // HTTP/1.0 knows no chunks.
            Some(BodyLength::Chunked) if version != Version::HTTP_11 => Err(Malformed),
            Some(BodyLength::Chunked) => Ok(BodyDecoder::Chunked(Chunks::new(Policy::Backend))),
        }
    }

    /// Takes from `bytes` what is next.
    pub(crate) fn read(&mut self, bytes: &mut Bytes) -> Result<Step, Malformed> {
        match self {
            BodyDecoder::Length(0) => Ok(Step::End),
            BodyDecoder::Length(left) => Ok(content(bytes, left)),
            BodyDecoder::UntilClose => Ok(content(bytes, &mut { u64::MAX })),
            BodyDecoder::Chunked(chunks) => {
                skip_to_content(chunks, bytes)?;
                match chunks.take_content(bytes.len()) {
                    _ if chunks.has_ended() => Ok(Step::End),
                    0 => Ok(Step::More),
                    length => Ok(Step::Content(bytes.split_to(length))),
                }
            }
        }
    }

    /// Passes over what stands between contents, so that an end that is at hand
    /// is known at once.
    pub(crate) fn settle(&mut self, bytes: &mut Bytes) -> Result<(), Malformed> {
        match self {
            BodyDecoder::Chunked(chunks) => skip_to_content(chunks, bytes),
            _ => Ok(()),
        }
    }

    /// The backend has closed; whether that ends the body as it should.
    pub(crate) fn close(&mut self) -> bool {
        let is_end = *self == BodyDecoder::UntilClose;
        if is_end {
            *self = BodyDecoder::Length(0);
        }
        is_end
    }

    pub(crate) fn has_ended(&self) -> bool {
        match self {
            BodyDecoder::Length(left) => *left == 0,
            BodyDecoder::Chunked(chunks) => chunks.has_ended(),
            BodyDecoder::UntilClose => false,
        }
    }
}

fn skip_to_content(chunks: &mut Chunks, bytes: &mut Bytes) -> Result<(), Malformed> {
    bytes.advance(chunks.skip_to_content(bytes)?);
    Ok(())
}

fn content(bytes: &mut Bytes, left: &mut u64) -> Step {
    if bytes.is_empty() {
        return Step::More;
    }
    let length = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= length as u64;
    Step::Content(bytes.split_to(length))
}

/// Whether an answer of this status ends with its head (RFC 9110 §15.3.5, §15.4.5).
pub(super) fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

#[cfg(test)]
mod tests {
    use super::super::policy::MAX_LINE;
    use super::*;

    /// The content, and what is left of the bytes when the body has ended.
    fn chunked(wire: &'static str) -> Result<Option<(String, usize)>, Malformed> {
        let (mut bytes, mut content) = (Bytes::from_static(wire.as_bytes()), Vec::new());
        let mut decoder = BodyDecoder::Chunked(Chunks::new(Policy::Backend));
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
            "0".repeat(MAX_LINE),
            format!("1;{}", "x".repeat(MAX_LINE)),
            format!("0\r\n{}", "T: x\r\n".repeat(MAX_LINE / 6 + 1)),
        ];
        for line in endless {
            let mut decoder = BodyDecoder::Chunked(Chunks::new(Policy::Backend));
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
        let chunked = || Ok(BodyDecoder::Chunked(Chunks::new(Policy::Backend)));
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
