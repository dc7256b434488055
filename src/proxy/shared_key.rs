//! Reads keys. An issued key stands for an attendee; one that an attendee makes from a
//! shared code holds event, code and name.
//!
//! All spellings of a key become one text here, before it is digested: otherwise each would
//! take a place in the cache of keys.

use std::borrow::Cow;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::headers::is_graphic;
use crate::catalog::attendee::{name, normal_key};
use crate::catalog::owner::api_token;

/// Most bytes of an issued key, and of a shared-code key before its name.
const MAX_BYTES: usize = 512;

/// Most bytes of a name: its 64 characters percent-encoded, each of four bytes.
const MAX_NAME_BYTES: usize = 64 * 12;

/// Most characters of a shared code.
const MAX_CODE: usize = 64;

/// A key as it was presented.
#[derive(Debug, PartialEq, Eq)]
pub enum Key<'sent> {
    /// The same for all spellings.
    Issued(Cow<'sent, str>),
    Shared(SharedKey<'sent>),
}

/// `{event-id}@{code}/{name}`
#[derive(Debug, PartialEq, Eq)]
pub struct SharedKey<'sent> {
    pub event_id: &'sent str,
    pub code: &'sent str,
    /// As it was sent.
    pub name: &'sent [u8],
    /// The same for all spellings; `None` where the name is no text.
    pub normal: Option<Cow<'sent, str>>,
}

impl<'sent> Key<'sent> {
    /// `None`: it can be no key of ours.
    pub fn read(sent: &'sent [u8]) -> Option<Self> {
        if let Some(shared) = SharedKey::split(sent) {
            return shared.map(Key::Shared);
        }
        let is_key = (2..=MAX_BYTES).contains(&sent.len()) && is_graphic(sent);
        let key = std::str::from_utf8(sent).ok().filter(|_| is_key)?;
        Some(Key::Issued(normal_key(key)))
    }

    /// Whether it looks like a token of the portal's JSON API, which is no key.
    pub fn is_portal_token(&self) -> bool {
        matches!(self, Key::Issued(key) if key.starts_with(api_token::PREFIX))
    }

    /// The text whose digest it is cached under; `None`: it cannot be cached.
    pub fn normal(&self) -> Option<&str> {
        match self {
            Key::Issued(key) => Some(key),
            Key::Shared(shared) => shared.normal.as_deref(),
        }
    }
}

impl<'sent> SharedKey<'sent> {
    /// `None`: not of this form, so it is an issued key. `Some(None)`: of this form, but
    /// holding what it may not.
    fn split(sent: &'sent [u8]) -> Option<Option<Self>> {
        let at = memchr::memchr(b'@', sent)?;
        let slash = at + memchr::memchr(b'/', &sent[at..])?;
        let (before, name) = (&sent[..slash], &sent[slash + 1..]);
        if slash >= MAX_BYTES || name.len() > MAX_NAME_BYTES {
            return Some(None);
        }
        let text = std::str::from_utf8(before).ok();
        let Some(text) = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
        else {
            return Some(None);
        };
        let (event_id, code) = (&text[..at], &text[at + 1..]);
        let normal = name::normal(name).map(|normal| {
            let is_lower = !code.bytes().any(|byte| byte.is_ascii_uppercase());
            match std::str::from_utf8(sent) {
                Ok(whole) if is_lower && matches!(normal, Cow::Borrowed(_)) => Cow::Borrowed(whole),
                _ => Cow::Owned(format!("{event_id}@{}/{normal}", code.to_ascii_lowercase())),
            }
        });
        Some(Some(Self { event_id, code, name, normal }))
    }
}

/// Whether two codes are the same but for the case of their letters, in a time that
/// tells nothing about where they differ.
pub fn is_same_code(right: &str, presented: &str) -> bool {
    let (Some(right), Some(presented)) = (folded(right), folded(presented)) else { return false };
    verify_slices_are_equal(&right, &presented).is_ok()
}

/// In small letters, filled up with zeros, of which no key has any.
fn folded(code: &str) -> Option<[u8; MAX_CODE]> {
    let mut folded = [0; MAX_CODE];
    folded.get_mut(..code.len())?.copy_from_slice(code.as_bytes());
    folded.make_ascii_lowercase();
    Some(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(key: &str) -> SharedKey<'_> {
        match Key::read(key.as_bytes()) {
            Some(Key::Shared(shared)) => shared,
            other => panic!("{key}: {other:?}"),
        }
    }

    #[test]
    fn shared_keys_split_at_the_first_marks() {
        let key = shared("a1b2-c3d4@code5/ada@example.org/x");
        assert_eq!((key.event_id, key.code), ("a1b2-c3d4", "code5"));
        assert_eq!(key.name, b"ada@example.org/x");
        for issued in ["a1b2-c3d4@code5", "code5/name"] {
            assert_eq!(Key::read(issued.as_bytes()), Some(Key::Issued(issued.into())));
        }
    }

    #[test]
    fn spellings_of_an_issued_key_are_one_text_and_never_a_shared_one() {
        let key = "aik_0123456789abcdefghjkmnpqrstvwxyz";
        let read = Key::read(key.as_bytes());
        assert!(
            matches!(read, Some(Key::Issued(Cow::Borrowed(_)))),
            "the common one costs nothing"
        );
        for spelling in [&key.to_uppercase(), "aik_Ol23456789abcdefghjkmnpqrstvwxyz"] {
            assert_eq!(Key::read(spelling.as_bytes()), read, "{spelling}");
        }
        let by_code = shared("AIK_0123@456789abcdef/ghjkmnpqrstvwx");
        assert_eq!((by_code.event_id, by_code.code), ("AIK_0123", "456789abcdef"));
        assert_eq!(by_code.normal.as_deref(), Some("AIK_0123@456789abcdef/ghjkmnpqrstvwx"));
    }

    #[test]
    fn spellings_of_a_key_are_one_text() {
        let plain = shared("a1b2-c3d4@welcome1/ada lovelace");
        assert!(matches!(plain.normal, Some(Cow::Borrowed(_))), "the common one costs nothing");
        for other in
            ["WelCome1/Ada%20Lovelace", "welcome1/  Ada  lovelace", "welcome1/%41da Lovelace"]
        {
            assert_eq!(shared(&format!("a1b2-c3d4@{other}")).normal, plain.normal, "{other}");
        }
        assert_ne!(shared("A1b2-c3d4@welcome1/ada lovelace").normal, plain.normal);
    }

    #[test]
    fn only_the_name_may_hold_more_than_visible_ascii() {
        for bad in ["a b@code5/name", "é@code5/name", "a1b2@c\u{f6}de/name", "x", "a b", "été"] {
            assert_eq!(Key::read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Key::read("x".repeat(513).as_bytes()), None);
        assert!(Key::read("x".repeat(512).as_bytes()).is_some());
        let longest = "%F0%9F%A6%80".repeat(64);
        assert!(shared(&format!("a1b2-c3d4@code5/{longest}")).normal.is_some());
        assert_eq!(Key::read(format!("a1b2-c3d4@code5/{longest}x").as_bytes()), None);
        assert_eq!(Key::read(format!("{}@code5/name", "x".repeat(512)).as_bytes()), None);
    }

    #[test]
    fn codes_are_the_same_in_any_case() {
        assert!(is_same_code("Welcome2026", "wELCOME2026"));
        for other in ["welcome202", "welcome20266", "", "welcome2O26", &"w".repeat(65)] {
            assert!(!is_same_code("Welcome2026", other), "{other}");
        }
    }
}
