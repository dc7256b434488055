//! How long a body is, as the fields of its head say. This is the only place, for both legs,
//! that decides when a message has two lengths, which two readers could understand
//! differently (RFC 9112 §6.3, §11.2).

use super::policy::Policy;

/// The length of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    Bytes(u64),
    Chunked,
}

/// Nobody can say where the message ends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is not framed as RFC 9112 has it")]
pub(crate) struct Malformed;

/// What the fields of one head say of the body's length, taken one after the other.
pub(super) struct LengthFields {
    policy: Policy,
    length: Option<u64>,
    has_length: bool,
    has_coding: bool,
    is_malformed: bool,
}

impl LengthFields {
    pub(super) fn new(policy: Policy) -> Self {
        Self { policy, length: None, has_length: false, has_coding: false, is_malformed: false }
    }

    /// Takes the value of a Content-Length. Where the policy allows it, that may be a list.
    pub(super) fn content_length(&mut self, value: &[u8]) {
        let is_first = !std::mem::replace(&mut self.has_length, true);
        if self.policy.allows_repeated_length() {
            value.split(|byte| *byte == b',').for_each(|member| self.length(member));
        } else {
            self.is_malformed |= !is_first;
            self.length(value);
        }
    }

    fn length(&mut self, digits: &[u8]) {
        match decimal(digits.trim_ascii()) {
            Some(length) => {
                let other = self.length.replace(length);
                self.is_malformed |= other.is_some_and(|other| other != length);
            }
            None => self.is_malformed = true,
        }
    }

    /// Takes the value of a Transfer-Encoding. Only `chunked` is accepted: any other coding
    /// would have to be undone, or passed on by name.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) {
        let is_repeated = std::mem::replace(&mut self.has_coding, true);
        let is_chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
        self.is_malformed |= is_repeated || !is_chunked;
    }

    /// Whether there are fields of both kinds, so that a body could end in two places.
    pub(super) fn are_both(&self) -> bool {
        self.has_length && self.has_coding
    }

    /// The body's length; `None` where no field says one.
    ///
    /// # Errors
    /// The end could be seen in two places: there is a Content-Length beside a
    /// Transfer-Encoding, a length is repeated or is no plain number, or a coding is not
    /// understood.
    pub(super) fn decide(&self) -> Result<Option<BodyLength>, Malformed> {
        if self.is_malformed || self.are_both() {
            return Err(Malformed);
        }
        let chunked = self.has_coding.then_some(BodyLength::Chunked);
        Ok(chunked.or(self.length.map(BodyLength::Bytes)))
    }
}

/// Digits alone: `+5` is no length.
fn decimal(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}
