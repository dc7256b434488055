//! What an organiser entered for a resource, and the rules it must meet.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};

use super::{Auth, Endpoint, Resource, ResourceType};
use crate::catalog::Result;
use crate::catalog::validate::{invalid, line, optional_line};

const MAX_KEY: usize = 4096;

/// What becomes of the stored key; it is never shown to be sent back.
#[derive(Clone, Debug, Default)]
pub enum KeyChange {
    /// As an empty field does. A new resource has none then.
    #[default]
    Keep,
    Set(SecretString),
    Remove,
}

/// The fields of a resource as entered. `default()` is what a new one starts as.
#[derive(Clone)]
pub struct Draft {
    /// The resource to update; `None` makes a new one.
    pub id: Option<String>,
    pub deployment: String,
    /// Empty: the deployment name.
    pub name: String,
    pub kind: ResourceType,
    pub endpoint: String,
    pub auth: Auth,
    pub key: KeyChange,
    pub region: String,
    pub active: bool,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            id: None,
            deployment: String::new(),
            name: String::new(),
            kind: ResourceType::default(),
            endpoint: String::new(),
            auth: Auth::default(),
            key: KeyChange::default(),
            region: String::new(),
            active: true,
        }
    }
}

pub(super) struct Valid<'a> {
    draft: &'a Draft,
    pub deployment: String,
    pub name: String,
    pub endpoint: Endpoint,
    pub region: String,
}

impl Draft {
    /// Whether the fields by themselves meet the rules; saving checks them again, against
    /// the store as well.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) for the first that does not.
    pub fn check(&self) -> Result<()> {
        self.validate().map(drop)
    }

    pub(super) fn validate(&self) -> Result<Valid<'_>> {
        let deployment = line("deployment", &self.deployment, 64)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !deployment.chars().all(allowed) || deployment == "." || deployment == ".." {
            let reason = "may hold letters, digits, '.', '_' and '-' only";
            return Err(invalid("deployment", reason));
        }
        let name = optional_line("name", &self.name, 64)?;
        let name = if name.is_empty() { deployment.clone() } else { name };
        let endpoint =
            Endpoint::parse(&self.endpoint).map_err(|reason| invalid("endpoint", reason))?;
        if self.kind == ResourceType::FoundryToolkit && !endpoint.sets("api-version") {
            return Err(invalid("endpoint", "must carry api-version=… for Foundry Toolkit"));
        }
        if let KeyChange::Set(key) = &self.key {
            check_key(key.expose_secret())?;
        }
        let region = optional_line("region", &self.region, 64)?;
        Ok(Valid { draft: self, deployment, name, endpoint, region })
    }

    /// The key that the resource has once this draft is saved.
    ///
    /// # Errors
    /// The stored key is not sent to an origin that it was not entered for.
    pub(super) fn key_after(
        &self,
        valid: &Valid<'_>,
        stored: Option<&Resource>,
    ) -> Result<Option<SecretString>> {
        match (&self.key, stored) {
            (KeyChange::Set(key), _) => Ok(Some(key.clone())),
            (KeyChange::Remove, _) | (KeyChange::Keep, None) => Ok(None),
            (KeyChange::Keep, Some(stored)) => {
                if stored.key.is_some() && !stored.endpoint.same_origin(&valid.endpoint) {
                    let reason = "must be entered again, because the endpoint is on another \
                        scheme, host or port than the one the stored key belongs to";
                    return Err(invalid("key", reason));
                }
                Ok(stored.key.clone())
            }
        }
    }
}

impl Valid<'_> {
    pub(super) fn is_stored(&self, stored: &Resource, key: Option<&SecretString>) -> bool {
        let same_key = match (&stored.key, key) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                let (a, b) = (a.expose_secret().as_bytes(), b.expose_secret().as_bytes());
                verify_slices_are_equal(a, b).is_ok()
            }
            _ => false,
        };
        same_key
            && self.deployment == *stored.deployment
            && self.name == stored.name
            && self.draft.kind == stored.kind
            && self.endpoint == stored.endpoint
            && self.draft.auth == stored.auth
            && self.region == stored.region
            && self.draft.active == stored.active
    }
}

fn check_key(key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(invalid("key", "is empty"));
    }
    if key.len() > MAX_KEY {
        return Err(invalid("key", format!("has more than {MAX_KEY} characters")));
    }
    let sendable = key.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !sendable || key.trim() != key {
        return Err(invalid(
            "key",
            "must be visible ASCII without a space at its ends, or it cannot stand in a header",
        ));
    }
    Ok(())
}
