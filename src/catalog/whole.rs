//! Whole numbers of a call. JSON makes no difference between `60` and `60.0`, and some programs
//! write the second.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

/// A number that is not negative and has no fraction.
struct Whole(u32);

/// Reads such a number, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// Those of `from`, and where it is none.
pub(crate) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    Whole::deserialize(from).map(u32::from)
}

/// As [`whole`], for a number that may be `null`.
///
/// # Errors
/// As of [`whole`].
pub(crate) fn whole_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    Ok(Option::<Whole>::deserialize(from)?.map(u32::from))
}

/// As [`whole_or_null`], where `null` is a value and differs from a number that is left out.
///
/// # Errors
/// As of [`whole`].
pub(crate) fn given_whole<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<u32>>, D::Error> {
    whole_or_null(from).map(Some)
}

impl From<Whole> for u32 {
    fn from(Whole(number): Whole) -> Self {
        number
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a positive whole number")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole, E> {
        let fits = u32::try_from(number).map(Whole);
        fits.map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Whole, E> {
        // A cast never wraps; what it changed was no such number.
        let whole = number as u32;
        if f64::from(whole) == number {
            return Ok(Whole(whole));
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
        let read = |text| serde_json::from_str::<Whole>(text).ok().map(u32::from);
        for (text, number) in [("60", 60), ("60.0", 60), ("6e1", 60), ("0", 0), ("-0.0", 0)] {
            assert_eq!(read(text), Some(number), "{text}");
        }
        assert_eq!(read("4294967295.0"), Some(u32::MAX));
        for text in
            ["60.5", "-1", "-1.0", "4294967296", "4294967296.0", "1e99", "\"60\"", "null", "true"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
