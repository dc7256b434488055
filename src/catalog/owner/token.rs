//! Random tokens: of one-time links, of programs, of signed-in browsers, and of sign-ins
//! under way at Microsoft. Only their digests are stored.
//!
//! A token cannot be guessed, so its SHA-256 is what is stored and looked for: the time
//! that a look-up takes reveals nothing about a token that would be valid.

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::catalog::digest::hex;
use crate::catalog::{Digest, Result, seal};

/// A new token: 64 hexadecimal digits.
///
/// # Errors
/// [`Error::Seal`](crate::catalog::Error::Seal): the system has no random numbers.
pub(crate) fn random() -> Result<SecretString> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| seal::Error::Failed)?;
    Ok(hex(&*bytes).into())
}

/// The digest by which the row of a token is found.
pub(in crate::catalog) fn digest(token: &str) -> String {
    Digest::sha256(token.as_bytes()).hex()
}
