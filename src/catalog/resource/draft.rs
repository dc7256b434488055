//! What an organiser entered for a resource, and the rules it must meet.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};

use super::{Auth, Credential, Endpoint, Resource, ResourceType};
use crate::catalog::limits::NAME;
use crate::catalog::validate::{invalid, line, optional_line};
use crate::catalog::{Error, Result};

pub const MAX_KEY: usize = 4096;

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

/// What is stored, as a form to change some of it.
impl From<&Resource> for Draft {
    fn from(resource: &Resource) -> Self {
        Self {
            id: Some(resource.id.clone()),
            deployment: resource.deployment.to_string(),
            name: resource.name.clone(),
            kind: resource.kind,
            endpoint: resource.endpoint.as_written().to_string(),
            auth: resource.auth.clone(),
            key: KeyChange::Keep,
            region: resource.region.clone(),
            active: resource.active,
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

    /// All fields that do not meet the rules, for a form that shows them at once.
    pub fn problems(&self, stored: Option<&Resource>) -> Vec<Error> {
        let endpoint = self.valid_endpoint();
        let key = match &endpoint {
            Ok(endpoint) => self.check_key().and(self.key_at(endpoint, stored).map(drop)),
            Err(_) => self.check_key(),
        };
        let checked = [
            self.valid_name().map(drop),
            self.valid_deployment().map(drop),
            endpoint.map(drop),
            key,
            self.valid_region().map(drop),
        ];
        checked.into_iter().filter_map(Result::err).collect()
    }

    /// Where this draft would be called once saved over `stored`, and the header that
    /// would carry the key.
    ///
    /// # Errors
    /// The endpoint or the key does not meet the rules; the other fields do not matter.
    pub fn call(&self, stored: Option<&Resource>) -> Result<(Endpoint, Option<Credential>)> {
        let endpoint = self.valid_endpoint()?;
        self.check_key()?;
        let key = self.key_at(&endpoint, stored)?;
        Ok((endpoint, key.and_then(|key| self.auth.header(&key))))
    }

    pub(super) fn validate(&self) -> Result<Valid<'_>> {
        let deployment = self.valid_deployment()?;
        let name = self.valid_name()?;
        let name = if name.is_empty() { deployment.clone() } else { name };
        let endpoint = self.valid_endpoint()?;
        self.check_key()?;
        let region = self.valid_region()?;
        Ok(Valid { draft: self, deployment, name, endpoint, region })
    }

    fn valid_deployment(&self) -> Result<String> {
        let deployment = line("deployment", &self.deployment, NAME)?;
        if !is_deployment(&deployment) {
            let reason = "may hold letters, digits, '.', '_' and '-' only";
            return Err(invalid("deployment", reason));
        }
        Ok(deployment)
    }

    fn valid_name(&self) -> Result<String> {
        optional_line("name", &self.name, NAME)
    }

    fn valid_region(&self) -> Result<String> {
        optional_line("region", &self.region, NAME)
    }

    fn valid_endpoint(&self) -> Result<Endpoint> {
        let endpoint =
            Endpoint::parse(&self.endpoint).map_err(|reason| invalid("endpoint", reason))?;
        if self.kind.needs_api_version() && !endpoint.sets("api-version") {
            return Err(invalid(
                "endpoint",
                format!("must carry api-version=… for {}", self.kind.label()),
            ));
        }
        Ok(endpoint)
    }

    fn check_key(&self) -> Result<()> {
        match &self.key {
            KeyChange::Set(key) => check_key(key.expose_secret()),
            KeyChange::Keep | KeyChange::Remove => Ok(()),
        }
    }

    /// The key that the resource has once this draft is saved over `stored`.
    ///
    /// # Errors
    /// The stored key is not sent to an origin that it was not entered for; the endpoint
    /// does not meet the rules.
    pub fn key_after(&self, stored: Option<&Resource>) -> Result<Option<SecretString>> {
        self.key_at(&self.valid_endpoint()?, stored)
    }

    pub(super) fn key_at(
        &self,
        endpoint: &Endpoint,
        stored: Option<&Resource>,
    ) -> Result<Option<SecretString>> {
        match (&self.key, stored) {
            (KeyChange::Set(key), _) => Ok(Some(key.clone())),
            (KeyChange::Remove, _) | (KeyChange::Keep, None) => Ok(None),
            (KeyChange::Keep, Some(stored)) => {
                if stored.key.is_some() && !stored.endpoint.same_origin(endpoint) {
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

/// Whether a text can be a deployment name, which stands in paths.
pub fn is_deployment(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=NAME).contains(&text.len()) && text.bytes().all(allowed) && text != "." && text != ".."
}
