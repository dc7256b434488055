//! The grammar of a chunked body (RFC 9112 §7.1), followed byte by byte: which bytes are
//! content and where the body ends. It keeps no bytes: the caller takes the content from the
//! bytes that it passed in.

use super::length::Malformed;
use super::policy::Policy;

/// A chunked body that is being read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    policy: Policy,
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
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, at: At::default(), size: 0, line: 0 }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.at == At::End
    }

    /// Passes over what is between contents, up to the next content or the body's end. Returns
    /// the number of bytes that it passed over.
    pub(super) fn skip_to_content(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut read = 0;
        while !matches!(self.at, At::Content | At::End | At::Malformed) && read < bytes.len() {
            self.at = self.next(bytes[read]);
            read += 1;
        }
        if self.at == At::Malformed { Err(Malformed) } else { Ok(read) }
    }

    /// Takes as much content as there is in the next `available` bytes. Returns the number of
    /// bytes that it took.
    pub(super) fn take_content(&mut self, available: usize) -> usize {
        if self.at != At::Content {
            return 0;
        }
        let taken = usize::try_from(self.size).map_or(available, |size| size.min(available));
        self.size -= taken as u64;
        if self.size == 0 {
            self.at = At::ContentCr;
        }
        taken
    }

    /// Passes over content and all that is around it, up to the body's end. Returns the number
    /// of bytes that it passed over.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut read = 0;
        loop {
            read += self.skip_to_content(&bytes[read..])?;
            match self.take_content(bytes.len() - read) {
                0 => return Ok(read),
                content => read += content,
            }
        }
    }

    fn next(&mut self, byte: u8) -> At {
        self.line += 1;
        if self.line > self.policy.max_line() {
            return At::Malformed;
        }
        match (self.at, byte) {
            (At::Start | At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = u64::from((byte as char).to_digit(16).unwrap_or_default());
                match self.size.checked_mul(16) {
                    Some(size) if self.line <= self.policy.max_chunk_digits() => {
                        self.size = size + digit;
                        At::Size
                    }
                    _ => At::Malformed,
                }
            }
            (At::Size | At::AfterSize, b' ' | b'\t') => At::AfterSize,
            (At::Size | At::AfterSize, b';') => At::Extension,
            (At::Size | At::AfterSize | At::Extension, b'\r') => At::SizeLf,
            (At::Extension, byte) if byte != b'\n' => At::Extension,
            (At::SizeLf, b'\n') if self.size <= self.policy.max_chunk() => {
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
