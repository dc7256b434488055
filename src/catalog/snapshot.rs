//! What the data plane reads instead of the store: every event with its
//! resources, opened. Replaced whole when the revision has moved on.

use std::collections::HashMap;
use std::sync::Arc;

use super::event::{self, Event};
use super::seal::Vault;
use super::session_mark::{self, Mark};
use super::{Digest, Result, change};
use crate::db::Db;

#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// At least all changes up to this one are in it.
    pub revision: i64,
    pub events: HashMap<String, Arc<Event>>,
    /// By the resource's id.
    pub session_marks: HashMap<String, Mark>,
}

impl Snapshot {
    pub async fn load(db: &Db, vault: &Vault) -> Result<Self> {
        // Read before the rows: a change in between is then seen again at the
        // next poll, never missed.
        let revision = change::revision(db).await?;
        let mut connection = db.pool().acquire().await?;
        let events = event::load(&mut connection, vault, None, None).await?;
        let session_marks = session_mark::all(&mut connection).await?;
        let events = events.into_iter().map(|event| (event.id.clone(), Arc::new(event))).collect();
        Ok(Self { revision, events, session_marks })
    }

    /// Whether the resource's server is known to give everybody the session `id`.
    pub fn is_constant(&self, resource_id: &str, id: Digest) -> bool {
        self.session_marks.get(resource_id).is_some_and(|mark| mark.constant == Some(id))
    }
}
