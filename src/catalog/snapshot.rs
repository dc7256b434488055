//! What the data plane reads instead of the store: every event with its
//! resources, opened. Replaced whole when the revision has moved on.

use std::collections::HashMap;
use std::sync::Arc;

use super::event::{self, Event};
use super::seal::Vault;
use super::{Result, Unreadable, change};
use crate::db::Db;

#[derive(Debug, Default)]
pub struct Snapshot {
    /// At least all changes up to this one are in it.
    pub revision: i64,
    pub events: HashMap<String, Arc<Event>>,
    /// What is missing, because it cannot be read.
    pub unreadable: Vec<Unreadable>,
}

impl Snapshot {
    pub async fn load(db: &Db, vault: &Vault) -> Result<Self> {
        // Read before the rows: a change in between is then seen again at the
        // next poll, never missed.
        let revision = change::revision(db).await?;
        let loaded = event::load(&mut *db.pool().acquire().await?, vault, None, None).await?;
        let events = loaded.read.into_iter();
        let events = events.map(|event| (event.id.clone(), Arc::new(event))).collect();
        Ok(Self { revision, events, unreadable: loaded.unreadable })
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
