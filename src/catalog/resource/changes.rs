//! Some fields of a resource, as a call of the API brings them. The type and the way to
//! send the key are text here; they are parsed when the changes are applied to a draft.

use serde::Deserialize;
use utoipa::ToSchema;

use super::draft::{Draft, KeyChange};
use crate::catalog::Result;
use crate::catalog::given::{Given, given};
use crate::catalog::validate::invalid;

/// The fields of a resource. Creating, what is left out has its default; updating, it
/// stays as it is.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResourceFields)]
pub struct Changes {
    /// What clients name it by, a segment of URLs; unique per owner. Required for a new one.
    pub deployment: Option<String>,
    /// For owners only; the deployment name where it is empty.
    pub name: Option<String>,
    /// `mcp-server`, `foundry-model`, `foundry-toolkit`, `foundry-agent` or
    /// `azure-ai-search`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Required for a new one.
    pub endpoint: Option<String>,
    /// `api-key`, `bearer`, `none` or `header:<Name>`.
    pub auth: Option<String>,
    /// The backend's key; `null` removes it. Never shown again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, write_only)]
    pub key: Given,
    pub region: Option<String>,
    pub active: Option<bool>,
}

impl Changes {
    /// The draft with these changes.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) for an unknown type or way to send
    /// the key.
    pub fn over(self, draft: Draft) -> Result<Draft> {
        let kind = self.kind.map(|kind| kind.parse()).transpose();
        let auth = self.auth.map(|auth| auth.parse()).transpose();
        let wrong = |field| move |rule: String| invalid(field, rule);
        Ok(Draft {
            id: draft.id,
            deployment: self.deployment.unwrap_or(draft.deployment),
            name: self.name.unwrap_or(draft.name),
            kind: kind.map_err(wrong("type"))?.unwrap_or(draft.kind),
            endpoint: self.endpoint.unwrap_or(draft.endpoint),
            auth: auth.map_err(wrong("auth"))?.unwrap_or(draft.auth),
            key: match self.key {
                None => draft.key,
                Some(None) => KeyChange::Remove,
                Some(Some(key)) => KeyChange::Set(key),
            },
            region: self.region.unwrap_or(draft.region),
            active: self.active.unwrap_or(draft.active),
        })
    }
}
