//! What a plan needs to know of resources and events that are there already.

use serde::Deserialize;

use crate::catalog::event::{Draft, Event};

/// A resource, from the store or from the answer of another proxy's API.
#[derive(Deserialize)]
pub(super) struct StoredResource {
    pub id: String,
    pub deployment: String,
}

/// An event, from the store or from the answer of another proxy's API.
#[derive(Deserialize)]
pub(super) struct StoredEvent {
    pub id: String,
    /// Without `active`: whether it is on does not matter here.
    #[serde(flatten)]
    pub fields: Draft,
}

impl From<&Event> for StoredEvent {
    fn from(event: &Event) -> Self {
        Self { id: event.id.clone(), fields: Draft::from(event) }
    }
}
