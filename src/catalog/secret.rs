//! Writes secrets into texts that are secret as a whole: a backup, which is sealed, and
//! a call to another proxy's API.

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

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
