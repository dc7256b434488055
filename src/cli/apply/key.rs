//! Backend keys of a workshop file, fetched from where it says they are.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::cli::workshop::Key;

/// The key that a resource is to have, if any; relative paths are seen from `folder`,
/// where the workshop file is.
///
/// # Errors
/// What is missing, by its name.
pub(super) fn fetch(key: Option<&Key>, folder: &Path) -> Result<Option<SecretString>, String> {
    let (origin, text) = match key {
        None => return Ok(None),
        Some(Key::Literal(key)) if key.expose_secret().is_empty() => return Ok(None),
        Some(Key::Literal(key)) => return Ok(Some(key.clone())),
        Some(Key::Env(name)) => from_environment(name)?,
        Some(Key::File(path)) => from_file(&folder.join(path))?,
    };
    // Editors and `echo` end a file with a line break.
    let key = text.trim_end_matches(['\r', '\n']);
    if key.is_empty() {
        return Err(format!("{origin} is empty; leave key out where the backend needs none"));
    }
    Ok(Some(SecretString::from(key)))
}

type Found = (String, Zeroizing<String>);

fn from_file(path: &Path) -> Result<Found, String> {
    let origin = format!("the file {}", path.display());
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((origin, text.into())),
        Err(error) => Err(format!("{origin} cannot be read: {error}")),
    }
}

#[expect(clippy::disallowed_methods, reason = "which variable it is, the workshop file says")]
fn from_environment(name: &str) -> Result<Found, String> {
    let origin = format!("the environment variable {name}");
    match std::env::var(name) {
        Ok(text) => Ok((origin, text.into())),
        Err(_) => Err(format!("{origin} is not set; set it, or leave key out")),
    }
}
