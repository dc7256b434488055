//! Passwords: which ones are taken, and argon2id with the parameters that
//! OWASP's password storage guide gives (19 MiB, two passes, one lane).
//!
//! Hashing is slow on purpose, so it runs on threads of its own, two at a time for
//! strangers and one for those who are known here, whom strangers must not keep waiting;
//! whoever cannot get a turn is asked to come back.

use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Characters that a new password must have at least.
const MIN_LENGTH: usize = 12;

/// Bytes that a password may have at most: hashing more is work for nothing.
const MAX_BYTES: usize = 1024;

/// The 3,000 commonest passwords that are long enough, one on each line, after a header.
const COMMON: &str = include_str!("password/common.txt");

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

const STRANGERS_AT_ONCE: usize = 2;
const KNOWN_AT_ONCE: usize = 1;
const PATIENCE: Duration = Duration::from_secs(5);

/// More people are signing in than this machine can hash for.
#[derive(Debug, thiserror::Error)]
#[error("Too many people are signing in at once; try again in a moment")]
pub struct Busy;

/// Why a new password is not taken, as what follows "Password …".
pub(crate) fn refuse(password: &SecretString, name: &str) -> Option<String> {
    let password = password.expose_secret();
    if password.chars().count() < MIN_LENGTH {
        return Some(format!("must have at least {MIN_LENGTH} characters"));
    }
    if password.len() > MAX_BYTES {
        return Some(format!("must have at most {MAX_BYTES} bytes"));
    }
    let mut distinct: Vec<char> = password.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 4 || password.trim().eq_ignore_ascii_case(name.trim()) {
        return Some("is too easy to guess".to_owned());
    }
    refuse_common(password)
}

/// Why a new secret that people choose is not taken, where it is a common password. Capitals and
/// spaces around it make no difference: whoever guesses tries those as well.
pub(crate) fn refuse_common(password: &str) -> Option<String> {
    let mut line = Zeroizing::new(String::with_capacity(password.len() * 2));
    line.push('\n');
    line.extend(password.trim().chars().flat_map(char::to_lowercase));
    line.push('\n');
    // Some microseconds, where the hash that follows takes thousands.
    let is_common = memmem::find(COMMON.as_bytes(), line.as_bytes()).is_some();
    let reason = "is one of the 3,000 commonest passwords; choose another, for example four words \
                  that have nothing to do with each other";
    is_common.then(|| reason.to_owned())
}

/// Who asks for a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Stranger,
    /// A browser in which the owner has signed in before.
    Known,
}

/// Hashes and compares.
pub(super) struct Hasher {
    strangers: Semaphore,
    known: Semaphore,
    /// Compared with where there is no such owner, so that the answer takes as
    /// long as for one who exists.
    decoy: String,
}

impl Default for Hasher {
    fn default() -> Self {
        let decoy = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA\
                     $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        Self {
            strangers: Semaphore::new(STRANGERS_AT_ONCE),
            known: Semaphore::new(KNOWN_AT_ONCE),
            decoy: decoy.to_owned(),
        }
    }
}

impl Hasher {
    /// The hash to store, in PHC form, with a salt of its own. Only those who have shown who
    /// they are, or a one-time link, get so far.
    pub(super) async fn hash(&self, password: &SecretString) -> Result<String, Busy> {
        let password = password.clone();
        in_turn(&self.known, move || {
            let password = password.expose_secret().as_bytes();
            argon2().hash_password(password).map(|hash| hash.to_string()).map_err(|_| Busy)
        })
        .await?
    }

    /// Whether `password` is what `hash` was made of. Takes as long without one.
    pub(super) async fn is_right(
        &self,
        password: &SecretString,
        hash: Option<&str>,
        asker: Asker,
    ) -> Result<bool, Busy> {
        let password = password.clone();
        let is_known = hash.is_some();
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        let turns = match asker {
            Asker::Stranger => &self.strangers,
            Asker::Known => &self.known,
        };
        let matches = in_turn(turns, move || {
            let password = password.expose_secret().as_bytes();
            password.len() <= MAX_BYTES
                && PasswordHash::new(&hash)
                    .is_ok_and(|hash| argon2().verify_password(password, &hash).is_ok())
        })
        .await?;
        Ok(matches && is_known)
    }
}

async fn in_turn<T, F>(turns: &Semaphore, work: F) -> Result<T, Busy>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let turn = tokio::time::timeout(PATIENCE, turns.acquire()).await;
    let _turn = turn.map_err(|_| Busy)?.map_err(|_| Busy)?;
    tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
}

/// Whether `hash` was made with other parameters than today's.
pub(super) fn is_outdated(hash: &str) -> bool {
    let current = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
    !hash.starts_with(&current)
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let hasher = Hasher::default();
        let password = SecretString::from("correct horse battery");
        let hash = hasher.hash(&password).await.unwrap();
        assert!(!is_outdated(&hash), "{hash}");
        for asker in [Asker::Stranger, Asker::Known] {
            assert!(hasher.is_right(&password, Some(&hash), asker).await.unwrap());
            assert!(!hasher.is_right(&"another horse".into(), Some(&hash), asker).await.unwrap());
            assert!(!hasher.is_right(&password, None, asker).await.unwrap());
            assert!(!hasher.is_right(&password, Some("not a hash"), asker).await.unwrap());
        }
        assert!(PasswordHash::new(&hasher.decoy).is_ok());
    }

    #[tokio::test]
    async fn strangers_who_have_all_their_turns_keep_nobody_known_waiting() {
        let hasher = Hasher::default();
        let _all = hasher.strangers.acquire_many(2).await.unwrap();
        let password = SecretString::from("a password");
        let compared = hasher.is_right(&password, None, Asker::Known);
        assert!(tokio::time::timeout(PATIENCE, compared).await.is_ok());
    }

    #[test]
    fn short_and_simple_passwords_are_refused() {
        let refused = |password: &str| refuse(&password.into(), "Ada Lovelace").is_some();
        for bad in ["", "elevenchars", "aaaaaaaaaaaaaaaa", "ada lovelace", &"ab1 ".repeat(300)] {
            assert!(refused(bad), "{bad}");
        }
        assert!(!refused("twelve chars"));
    }

    #[test]
    fn common_passwords_are_refused_in_capitals_as_well() {
        let refused = |password: &str| refuse(&password.into(), "Ada").unwrap_or_default();
        for bad in ["password1234", "Password1234", " QWERTY123456 ", "administrator"] {
            assert!(refused(bad).contains("commonest"), "{bad}");
        }
        for good in ["password1234x", "xpassword1234", "Permission is hereby granted"] {
            assert_eq!(refused(good), "", "{good}");
        }
    }

    #[test]
    fn the_list_has_passwords_alone_that_nothing_else_refuses() {
        let listed: Vec<_> = COMMON.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(listed.len(), 3000);
        assert!(listed.is_sorted_by(|one, next| one < next));
        for password in listed {
            assert_eq!((password, password), (password.trim(), &*password.to_lowercase()));
            let reason = refuse(&password.into(), "Ada").unwrap_or_default();
            assert!(reason.contains("commonest"), "{password}: {reason}");
        }
    }
}
