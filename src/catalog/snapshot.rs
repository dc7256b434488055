//! What the data plane reads instead of the store: every event with its
//! resources, opened. Replaced whole when the revision has moved on.

use std::collections::HashMap;
use std::sync::Arc;

use super::event::{self, Event};
use super::seal::Vault;
use super::{Result, change};
use crate::db::Db;

#[derive(Debug, Default)]
pub struct Snapshot {
    /// At least all changes up to this one are in it.
    pub revision: i64,
    pub events: HashMap<String, Arc<Event>>,
}

impl Snapshot {
    pub async fn load(db: &Db, vault: &Vault) -> Result<Self> {
        // Read before the rows: a change in between is then seen again at the
        // next poll, never missed.
        let revision = change::revision(db).await?;
        let events = event::load(&mut *db.pool().acquire().await?, vault, None, None).await?;
        let events = events.into_iter().map(|event| (event.id.clone(), Arc::new(event))).collect();
        Ok(Self { revision, events })
    }
}
