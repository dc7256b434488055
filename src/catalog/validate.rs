//! Rules that fields of several nouns share. Lengths are in characters.

use std::ops::RangeInclusive;

use super::{Error, Result};

/// Milliseconds of the last instant that a calendar can hold.
const LAST_MS: i64 = 253_402_207_200_000;

/// The refusal of a field's value; `reason` follows the field's name in a sentence.
pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Error {
    Error::Invalid { field, reason: reason.into() }
}

/// One line of text, trimmed: required, at most `max` long.
pub(super) fn line(field: &'static str, text: &str, max: usize) -> Result<String> {
    let text = optional_line(field, text, max)?;
    if text.is_empty() {
        return Err(invalid(field, "is required"));
    }
    Ok(text)
}

/// One line of text, trimmed: may be empty.
pub(super) fn optional_line(field: &'static str, text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > max {
        return Err(invalid(field, format!("has more than {max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(field, "holds a line break or control character"));
    }
    Ok(text.to_owned())
}

/// The typed text in quotes, cut to a length that a message can hold.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 64;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}

pub(crate) fn number(field: &'static str, value: u32, range: RangeInclusive<u32>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(invalid(field, format!("must be from {} to {}", range.start(), range.end())))
}

/// An instant out of a file, in UTC milliseconds.
pub(crate) fn instant(field: &'static str, at: i64) -> Result<()> {
    if (0..=LAST_MS).contains(&at) {
        return Ok(());
    }
    Err(invalid(field, "is no instant since 1970"))
}
