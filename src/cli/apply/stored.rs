//! What a plan needs to know of an event that is there already.

use serde::Deserialize;

use crate::catalog::event::{Draft, Event};

/// An event, from the store or from the answer of another proxy's API.
#[derive(Deserialize)]
pub(super) struct StoredEvent {
    pub id: String,
    /// Without `active`, which a workshop file always says.
    #[serde(flatten)]
    pub fields: Draft,
}

impl From<&Event> for StoredEvent {
    fn from(event: &Event) -> Self {
        Self { id: event.id.clone(), fields: Draft::from(event) }
    }
}
