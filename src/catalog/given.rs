//! Fields that a change may leave out, and for which `null` is a value: it removes what
//! is stored.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// Reads such a field, for `#[serde(default, deserialize_with)]`: `None` where it is left out.
///
/// # Errors
/// Those of `from`.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Such a field that holds a secret.
pub(crate) type Given = Option<Option<SecretString>>;
