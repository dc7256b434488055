//! Writes secrets into texts that are secret as a whole: a backup, which is sealed, and
//! a call to another proxy's API.

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

use super::given::Given;

/// Writes the secret, for `#[serde(serialize_with)]`.
///
/// # Errors
/// Those of `to`.
pub(crate) fn exposed<S: Serializer>(
    secret: &Option<SecretString>,
    to: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(SecretString::expose_secret).serialize(to)
}

/// The same for a secret that is always there.
///
/// # Errors
/// Those of `to`.
pub(crate) fn exposed_text<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    secret.expose_secret().serialize(to)
}

/// The same for a secret that may be left out.
///
/// # Errors
/// Those of `to`.
pub(crate) fn exposed_if_given<S: Serializer>(secret: &Given, to: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => exposed(secret, to),
        None => to.serialize_none(),
    }
}
