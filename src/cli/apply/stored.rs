//! What a plan needs to know of resources and events that are there already.

use serde::Deserialize;

use crate::catalog::event::{Draft, Event};

/// A resource, from the store or from the answer of another proxy's API.
#[derive(Deserialize)]
pub(super) struct StoredResource {
    pub id: String,
    pub deployment: String,
    pub active: bool,
}

/// An event, from the store or from the answer of another proxy's API.
#[derive(Deserialize)]
pub(super) struct StoredEvent {
    pub id: String,
    pub active: bool,
    /// Without `active`, which answers of the API have beside them.
    #[serde(flatten)]
    pub fields: Draft,
}

impl From<&Event> for StoredEvent {
    fn from(event: &Event) -> Self {
        Self { id: event.id.clone(), active: event.active, fields: Draft::from(event) }
    }
}
