//! Some fields of a resource, as a call of the API brings them. The type and the way to
//! send the key are text here; they are parsed when the changes are applied to a draft.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::draft::{Draft, KeyChange};
use crate::catalog::Result;
use crate::catalog::given::{Given, given};
use crate::catalog::secret::exposed_if_given;
use crate::catalog::validate::invalid;

/// Changes to a resource. A field that is left out keeps its value, and so does one that is
/// `null`, save for `key`.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResourceFields)]
pub struct Changes {
    /// Its name in the URLs that attendees use. You can have one resource of each name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Shown to owners only; the deployment name if it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is. Attendees can call MCP servers only, so far.
    #[serde(rename = "type")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The endpoint URL, in its normal form, without user name, password or fragment. That of a
    /// `foundry-toolkit` must set `api-version` in its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How the key is sent: `api-key`, `bearer`, `none` or `header:<Name>`. Headers that frame or
    /// route a message cannot carry it, in whichever case they are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// The backend key; `null` removes it. It is never shown again. It must be sent again if the
    /// endpoint moves to another scheme, host or port.
    #[serde(default, deserialize_with = "given", serialize_with = "exposed_if_given")]
    #[schema(value_type = Option<String>, write_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Given,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
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
