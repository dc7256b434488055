//! Secrets among the settings. They come from a variable or a file and have no flag, because flags are
//! visible in process lists.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use secrecy::SecretString;

/// The client secret, from the variable of this name and value or the file of this flag; `None` where
/// neither is given.
///
/// # Errors
/// One sentence for the operator: both are given, or the file holds none.
pub(super) fn client_secret(
    variable: (&str, Option<String>),
    file: (&str, Option<&Path>),
) -> anyhow::Result<Option<SecretString>> {
    match (variable.1.filter(|secret| !secret.trim().is_empty()), file.1) {
        (Some(_), Some(_)) => bail!("{} and {} are both given", variable.0, file.0),
        (Some(secret), None) => Ok(Some(SecretString::from(secret.trim()))),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file);
            let text = text.with_context(|| format!("{} cannot be read", file.display()))?;
            ensure!(!text.trim().is_empty(), "{} holds no client secret", file.display());
            Ok(Some(SecretString::from(text.trim())))
        }
        (None, None) => Ok(None),
    }
}
