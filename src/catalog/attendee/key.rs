//! The API key of an attendee: how one is made, and where it is sealed.

use secrecy::SecretString;

use crate::catalog::Result;
use crate::catalog::owner::token;
use crate::catalog::seal::Place;
use crate::catalog::validate::invalid;

pub(in crate::catalog) const TABLE: &str = "attendee";
pub(in crate::catalog) const API_KEY: &str = "api_key_sealed";

pub(super) fn place(id: &str) -> Place<'_> {
    Place { table: TABLE, row: id, column: API_KEY }
}

/// A new key: no character of it could be taken for another by a shell, a CSV file or a
/// person.
pub(super) fn new_api_key() -> Result<SecretString> {
    token::random()
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
