//! What the data plane reads instead of the store: every event with its
//! resources, opened. Replaced whole when the revision has moved on.

use std::collections::HashMap;
use std::sync::Arc;

use super::event::{self, Event};
use super::seal::Vault;
use super::session_mark::{self, Mark};
use super::{Digest, Result, Unreadable, change};
use crate::db::Db;

#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// At least all changes up to this one are in it.
    pub revision: i64,
    pub events: HashMap<String, Arc<Event>>,
    /// By the resource's id.
    pub session_marks: HashMap<String, Mark>,
    /// Rows that are missing because they cannot be read.
    pub unreadable: Vec<Unreadable>,
}

impl Snapshot {
    pub async fn load(db: &Db, vault: &Vault) -> Result<Self> {
        // Read before the rows: a change in between is then seen again at the
        // next poll, never missed.
        let revision = change::revision(db).await?;
        let mut connection = db.pool().acquire().await?;
        let loaded = event::load(&mut connection, vault, None, None).await?;
        let session_marks = session_mark::all(&mut connection).await?;
        let events = loaded.read.into_iter();
        let events = events.map(|event| (event.id.clone(), Arc::new(event))).collect();
        Ok(Self { revision, events, session_marks, unreadable: loaded.unreadable })
    }

    /// Whether the resource's server is known to give everybody the session `id`.
    pub fn is_constant(&self, resource_id: &str, id: Digest) -> bool {
        self.session_marks.get(resource_id).is_some_and(|mark| mark.constant == Some(id))
    }

    /// Logs the rows that could not be read and that `before` did not report.
    pub fn report_unreadable(&self, before: &Self) {
        for row in self.unreadable.iter().filter(|row| !before.unreadable.contains(row)) {
            let Unreadable { noun, id, owner_id, reason, .. } = row;
            tracing::error!(
                %noun, id, owner_id, reason,
                "a stored row cannot be read and is left out; its owner's list says what to do"
            );
        }
    }
}
