//! The API key of an attendee: how one is made, and where it is sealed.

use secrecy::SecretString;

use crate::catalog::Result;
use crate::catalog::digest::hex;
use crate::catalog::seal::{self, Place};
use crate::catalog::validate::invalid;

pub(in crate::catalog) const TABLE: &str = "attendee";
pub(in crate::catalog) const API_KEY: &str = "api_key_sealed";

pub(super) fn place(id: &str) -> Place<'_> {
    Place { table: TABLE, row: id, column: API_KEY }
}

/// 32 random bytes as 64 hexadecimal digits: no character that a shell, a CSV
/// file or a person could take for another.
pub(super) fn new_api_key() -> Result<SecretString> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| seal::Error::Failed)?;
    Ok(hex(&*bytes).into())
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
