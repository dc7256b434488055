//! 32-byte digests by which rows are found without storing what was digested.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// A SHA-256 or HMAC-SHA-256 value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// SHA-256 of `bytes`: for what cannot be guessed, such as session ids.
    pub fn sha256(bytes: &[u8]) -> Self {
        let mut value = [0; 32];
        value.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(value)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads what [`hex`](Self::hex) wrote.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let mut value = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 2 * value.len() {
            return None;
        }
        for (byte, pair) in value.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) =
                (char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?);
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(Self(value))
    }

    /// 64 lower-case hexadecimal digits, as stored.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}…)", hex(&self.0[..4]))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_was_written() {
        let digest = Digest::sha256(b"x");
        assert_eq!(Digest::from_hex(&digest.hex()), Some(digest));
        for other in ["", "0", &"g".repeat(64), &"0".repeat(66)] {
            assert_eq!(Digest::from_hex(other), None, "{other}");
        }
    }
}
