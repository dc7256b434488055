//! The name in a key made from a shared code: how it is sent, shown and told
//! apart. Nobody has proven it.
//!
//! Clients differ in what they can put into a header, so a name may come as
//! UTF-8 or percent-encoded. All spellings of one name must come to the same
//! text, because the daily cap belongs to it.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use unicode_normalization::{UnicodeNormalization, is_nfkc};

/// Fewest and most characters of a name that joins.
pub(super) const LENGTH: std::ops::RangeInclusive<usize> = 2..=64;

/// A name as it is shown: decoded, in Unicode's form NFKC, with single spaces.
/// `None`: it is not UTF-8 or holds control characters.
pub fn shown(sent: &[u8]) -> Option<String> {
    let decoded = percent_decode(sent).decode_utf8().ok()?;
    if decoded.contains(char::is_control) {
        return None;
    }
    let composed: String = decoded.nfkc().collect();
    Some(composed.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A name as people are told apart by it: as shown, in lower case. `None` as for
/// [`shown`].
pub fn normal(sent: &[u8]) -> Option<Cow<'_, str>> {
    if let Ok(text) = std::str::from_utf8(sent)
        && is_normal_ascii(text)
    {
        return Some(Cow::Borrowed(text));
    }
    let lower = shown(sent)?.to_lowercase();
    // Lower case may take letters apart again (İ).
    let lower = if is_nfkc(&lower) { lower } else { lower.nfkc().collect() };
    Some(Cow::Owned(lower))
}

/// Whether the name is normal already and needs no allocation: most clients send it so.
fn is_normal_ascii(text: &str) -> bool {
    let is_kept = |byte: u8| {
        (byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && byte != b'%') || byte == b' '
    };
    text.bytes().all(is_kept)
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_one_name() {
        for (spellings, expected) in [
            (
                &["Ada Lovelace", "ada%20lovelace", " ADA   Lovelace ", "Ada\u{a0}Lovelace"][..],
                "ada lovelace",
            ),
            (&["Zoë Müller", "Zoe\u{308} Mu\u{308}ller", "ZO%C3%8B%20M%c3%bcller"], "zoë müller"),
            (&["李小龍", "%E6%9D%8E%E5%B0%8F%E9%BE%8D"], "李小龍"),
            (&["Ada@Example.org", "ada%40example.org"], "ada@example.org"),
            (&["100%", "100%25"], "100%"),
        ] {
            for sent in spellings {
                assert_eq!(normal(sent.as_bytes()).as_deref(), Some(expected), "{sent}");
            }
        }
        assert_eq!(shown(b"  Zo%C3%AB  M\xc3\xbcller ").as_deref(), Some("Zoë Müller"));
    }

    #[test]
    fn bytes_that_are_no_text_are_no_name() {
        for sent in [&b"Zo\xeb"[..], b"%FF%FE", b"a%00b", b"a\tb", b"a%0Ab", b"a%C2%85b"] {
            assert_eq!(normal(sent), None, "{sent:?}");
        }
    }

    proptest! {
        /// Otherwise a stored name would stand for somebody else.
        #[test]
        fn a_normal_name_stays_as_it_is(sent in any::<String>()) {
            if let Some(once) = normal(sent.as_bytes()) {
                let encoded = percent_encoding::utf8_percent_encode(&once, percent_encoding::NON_ALPHANUMERIC);
                let twice = encoded.to_string();
                let again = normal(twice.as_bytes());
                prop_assert_eq!(again.as_deref(), Some(&*once));
            }
        }
    }
}
