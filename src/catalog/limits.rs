//! Limits that fields of several nouns share: saving checks them, pages show them.

use std::ops::RangeInclusive;

/// The range of every cap: requests per day or minute, tokens, people, open requests.
pub(crate) const CAP: RangeInclusive<u32> = 1..=LARGEST_CAP;
pub(crate) const LARGEST_CAP: u32 = 100_000;

/// Maximum number of characters in the name of an event, a resource, an owner or an API token.
pub(crate) const NAME: usize = 64;

/// Maximum number of characters in a person's name or e-mail address.
pub(crate) const PERSON: usize = 128;

/// What a form says about a field whose value is not in [`CAP`].
pub(crate) fn cap_rule() -> String {
    format!("must be a whole number from {} to {}", CAP.start(), CAP.end())
}
