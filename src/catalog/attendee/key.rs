//! The API key of an attendee: what a new one looks like, which spellings of it are the
//! same, and where it is sealed.
//!
//! New keys are [`PREFIX`] and 32 characters that people can type ([`typed`]), 160 bits.
//! The prefix tells scanners for leaked secrets what they have found. Keys of other forms
//! are opaque: those that earlier releases made have 64 hexadecimal digits, and others come
//! with backups.

use std::borrow::Cow;

use secrecy::SecretString;

use super::typed;
use crate::catalog::seal::{Place, Vault};
use crate::catalog::validate::invalid;
use crate::catalog::{Digest, Result};

pub(in crate::catalog) const TABLE: &str = "attendee";
pub(in crate::catalog) const API_KEY: &str = "api_key_sealed";

/// How new keys begin.
const PREFIX: &str = "aik_";

/// Characters of a new key after its prefix.
const LENGTH: usize = 32;

pub(super) fn place(id: &str) -> Place<'_> {
    Place { table: TABLE, row: id, column: API_KEY }
}

/// A new key.
///
/// # Errors
/// [`Error::Seal`](crate::catalog::Error::Seal): the system has no random numbers.
pub(super) fn new_api_key() -> Result<SecretString> {
    let characters = typed::random::<LENGTH>()?;
    let mut key = String::with_capacity(PREFIX.len() + LENGTH);
    key.push_str(PREFIX);
    key.extend(characters.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
    Ok(key.into())
}

/// The spelling that stands for all spellings of a key. For keys of today's form it is the
/// one in which they are made, whatever their case and with O for 0 and I or L for 1. Any
/// other key has no other spelling. A key that is spelled so already costs no allocation.
pub fn normal(key: &str) -> Cow<'_, str> {
    let (Some(prefix), Some(rest)) = (key.get(..PREFIX.len()), key.get(PREFIX.len()..)) else {
        return Cow::Borrowed(key);
    };
    if rest.len() != LENGTH || !is_prefix(prefix) || is_normal(key) {
        return Cow::Borrowed(key);
    }
    let meant = |typed| typed::meant(typed).map(|meant| meant.to_ascii_lowercase());
    match rest.chars().map(meant).collect::<Option<String>>() {
        Some(rest) => Cow::Owned(format!("{PREFIX}{rest}")),
        None => Cow::Borrowed(key),
    }
}

/// Whether this is the prefix in any spelling: its i is as easily misread as those after it.
fn is_prefix(typed: &str) -> bool {
    let is_meant = |(typed, letter)| typed::meant(typed) == typed::meant(letter);
    typed.ends_with('_') && typed.chars().zip(PREFIX.chars()).all(is_meant)
}

fn is_normal(key: &str) -> bool {
    let is_kept = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z') && !b"ilou".contains(&byte);
    key.strip_prefix(PREFIX).is_some_and(|rest| rest.bytes().all(is_kept))
}

/// The digest by which the attendee of a key is found, the same for all its spellings.
pub(in crate::catalog) fn digest(vault: &Vault, key: &str) -> Digest {
    vault.digest(&normal(key))
}

/// The digests under which a key's attendee may be found: that one and, for rows that `rekey` has not
/// reached, that under the old master key.
pub(super) fn digests(vault: &Vault, key: &str) -> Vec<Digest> {
    let normal = normal(key);
    std::iter::once(vault.digest(&normal)).chain(vault.old_digest(&normal)).collect()
}

/// What can be sent in a header, cannot be guessed, and is not taken for a
/// shared code.
///
/// # Errors
/// [`Error::Invalid`](crate::catalog::Error::Invalid).
pub fn check_api_key(key: &str) -> Result<()> {
    let is_sendable = key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    if !(16..=512).contains(&key.len()) || !is_sendable {
        return Err(invalid("api_key", "must have 16 to 512 visible characters, without an @"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    const KEY: &str = "aik_0123456789abcdefghjkmnpqrstvwxyz";

    #[test]
    fn every_spelling_of_a_key_is_one_key() {
        for spelling in [
            KEY,
            "AIK_0123456789ABCDEFGHJKMNPQRSTVWXYZ",
            "aik_OI23456789abcdefghjkmnpqrstvwxyz",
            "Alk_ol23456789abcdefghjkmnpqrstvwxyz",
            "a1K_oL23456789abcDEFghjkmnpqrstvwxyz",
        ] {
            assert_eq!(normal(spelling), KEY, "{spelling}");
        }
        assert!(matches!(normal(KEY), Cow::Borrowed(_)), "the common one costs nothing");
    }

    #[test]
    fn keys_of_another_form_stay_unchanged() {
        for other in [
            "aik_0123456789abcdefghjkmnpqrstvwxy",
            "aik_0123456789abcdefghjkmnpqrstvwxyzO",
            "aik_U123456789abcdefghjkmnpqrstvwxyz",
            "aik-O123456789abcdefghjkmnpqrstvwxyz",
            "aip_O123456789abcdefghjkmnpqrstvwxyz",
            "xaik_O123456789abcdefghjkmnpqrstvwxy",
            "aik_O12345@789abcdefghjkmnpqrstvwxyz",
            "aik_é123456789abcdefghjkmnpqrstvwxy",
            &"0Oo1Ll".repeat(12),
            "AIK_",
            "x",
            "",
        ] {
            assert!(matches!(normal(other), Cow::Borrowed(same) if same == other), "{other}");
        }
    }

    #[test]
    fn a_new_key_is_one_that_scanners_find_and_a_backup_takes() {
        let (key, other) = (new_api_key().unwrap(), new_api_key().unwrap());
        let key = key.expose_secret();
        assert!(is_normal(key) && key.len() == PREFIX.len() + LENGTH, "{key}");
        assert!(check_api_key(key).is_ok());
        assert_ne!(key, other.expose_secret());
    }

    proptest! {
        #[test]
        fn what_people_make_of_a_key_is_the_key(
            key in "aik_[0-9a-hjkmnp-tv-z]{32}",
            spelled in prop::collection::vec(0..3usize, 36),
        ) {
            let typed: String = key
                .chars()
                .zip(spelled)
                .map(|(character, way)| match (character, way) {
                    ('0', 1) => 'o',
                    ('0', 2) => 'O',
                    ('1' | 'i', 1) => 'l',
                    ('1', 2) => 'I',
                    (other, 0) => other,
                    (other, _) => other.to_ascii_uppercase(),
                })
                .collect();
            prop_assert_eq!(&*normal(&typed), &key);
        }

        /// Otherwise a stored key would be found by another text than its own.
        #[test]
        fn a_normal_key_stays_as_it_is(sent in "([aA][iIlL1][kK]_[0-9A-Za-z]{31,33}|\\PC{0,40})") {
            let once = normal(&sent).into_owned();
            prop_assert_eq!(&*normal(&once), &once);
        }
    }
}
