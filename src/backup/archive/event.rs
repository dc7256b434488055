//! Events as an archive holds them.

use serde::{Deserialize, Serialize};

use crate::catalog::event::{Draft, Event};

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventCopy {
    pub id: String,
    /// Its resources by their ids in the archive.
    #[serde(flatten)]
    pub fields: Draft,
    /// It takes no new attendees for now.
    pub registration_stopped: bool,
    pub active: bool,
}

impl From<&Event> for EventCopy {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id.clone(),
            fields: Draft::from(event),
            registration_stopped: event.is_registration_stopped,
            active: event.active,
        }
    }
}

impl EventCopy {
    /// As a draft that creates it, with these links.
    pub fn draft(&self, id: Option<String>, resources: Vec<String>) -> Draft {
        Draft { id, resources, active: self.active, ..self.fields.clone() }
    }
}
