//! Events as an archive holds them.

use serde::{Deserialize, Serialize};

use crate::catalog::Result;
use crate::catalog::event::{Draft, Event};
use crate::catalog::validate::instant;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventCopy {
    pub id: String,
    /// Its resources by their ids in the archive.
    #[serde(flatten)]
    pub fields: Draft,
    /// It takes no new attendees for now.
    pub registration_stopped: bool,
    /// UTC milliseconds; none: a draft.
    pub first_active_at: Option<i64>,
    pub active: bool,
}

impl From<&Event> for EventCopy {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id.clone(),
            fields: Draft::from(event),
            registration_stopped: event.is_registration_stopped,
            first_active_at: event.first_active_at,
            active: event.active,
        }
    }
}

impl EventCopy {
    /// Whether the fields by themselves meet the rules.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) for the first that does not.
    pub fn check(&self) -> Result<()> {
        self.draft(Some(self.id.clone()), Vec::new()).check()?;
        self.first_active_at.map_or(Ok(()), |at| instant("first_active_at", at))
    }

    /// As a draft that creates it, with these links.
    pub fn draft(&self, id: Option<String>, resources: Vec<String>) -> Draft {
        Draft { id, resources, active: self.active, ..self.fields.clone() }
    }
}
