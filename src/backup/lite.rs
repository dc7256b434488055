//! Backups of azure-ai-proxy-lite.
//!
//! The file is `0x01 | salt 16 | nonce 12 | tag 16 | AES-256-GCM`, its key PBKDF2 with
//! HMAC-SHA-256, 600,000 rounds; in it is JSON (`read`). What that program
//! allowed and this one does not is left out and said, and does not keep the rest from
//! coming back.

mod read;
mod windows_zones;
mod zone;

use std::num::NonZeroU32;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use zeroize::Zeroizing;

pub(crate) use self::read::read;
use super::Error;

const VERSION: u8 = 1;
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("it is not zero");
const SALT: usize = 16;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Whether this can be such a file. It has no better mark than its first byte.
pub(crate) fn is_lite(file: &[u8]) -> bool {
    file.first() == Some(&VERSION) && file.len() >= 1 + SALT + NONCE + TAG
}

/// The JSON in such a file.
///
/// # Errors
/// [`Error::Sealed`] where the passphrase is another one or a byte differs.
pub(crate) fn open(file: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let parts = file.split_at_checked(1).and_then(|(_, rest)| {
        let (salt, rest) = rest.split_at_checked(SALT)?;
        let (nonce, rest) = rest.split_at_checked(NONCE)?;
        let (tag, body) = rest.split_at_checked(TAG)?;
        Some((salt, nonce, tag, body))
    });
    let (salt, nonce, tag, body) = parts.ok_or(Error::Sealed)?;
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, salt, passphrase, &mut *key);
    let key = RandomizedNonceKey::new(&AES_256_GCM, &*key).map_err(|_| Error::Failed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Sealed)?;
    let mut text = Zeroizing::new([body, tag].concat());
    let length =
        key.open_in_place(nonce, Aad::empty(), &mut text).map_err(|_| Error::Sealed)?.len();
    text.truncate(length);
    Ok(text)
}
