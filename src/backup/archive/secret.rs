//! Secrets in an archive, which is sealed as a whole.

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

/// Writes a secret as it is.
pub fn exposed<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(SecretString::expose_secret).serialize(to)
}
