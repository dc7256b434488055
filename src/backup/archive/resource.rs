//! Resources as an archive holds them.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::catalog::Result;
use crate::catalog::resource::{Draft, KeyChange, Resource};
use crate::catalog::secret::exposed;
use crate::catalog::validate::invalid;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceCopy {
    pub id: String,
    pub deployment: String,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub endpoint: String,
    pub auth: String,
    #[serde(serialize_with = "exposed")]
    pub key: Option<SecretString>,
    pub region: String,
    pub active: bool,
}

impl From<&Resource> for ResourceCopy {
    fn from(resource: &Resource) -> Self {
        Self {
            id: resource.id.clone(),
            deployment: resource.deployment.to_string(),
            name: resource.name.clone(),
            kind: resource.kind.as_str().to_owned(),
            endpoint: resource.endpoint.as_written(),
            auth: resource.auth.to_string(),
            key: resource.key.clone(),
            region: resource.region.clone(),
            active: resource.active,
        }
    }
}

impl ResourceCopy {
    /// As a draft that creates it.
    pub fn draft(&self) -> Result<Draft> {
        Ok(Draft {
            id: None,
            deployment: self.deployment.clone(),
            name: self.name.clone(),
            kind: self.kind.parse().map_err(|reason: String| invalid("type", reason))?,
            endpoint: self.endpoint.clone(),
            auth: self.auth.parse().map_err(|reason: String| invalid("auth", reason))?,
            key: self.key.clone().map_or(KeyChange::Keep, KeyChange::Set),
            region: self.region.clone(),
            active: self.active,
        })
    }
}
