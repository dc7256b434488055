//! Where a workshop file is applied: the store on this machine, or another
//! proxy. What follows from the file is the same in both.

use super::error::ApplyError;
use super::remote::Remote;
use super::stored::{StoredEvent, StoredResource};
use crate::catalog::{Saved, event, resource};
use crate::cli::store::Catalog;

pub(super) enum Destination {
    Store(Box<Catalog>),
    Server(Remote),
}

impl Destination {
    pub(super) async fn resources(&self) -> Result<Vec<StoredResource>, ApplyError> {
        match self {
            Destination::Store(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                let stored = resource::all(db, vault, &by.owner_id).await?;
                let read = stored.read.into_iter().map(|one| StoredResource {
                    id: one.id,
                    deployment: one.deployment.to_string(),
                    active: one.active,
                });
                // Saved over, one that cannot be read is mended, and begins as a new one does.
                let unreadable = stored.unreadable.into_iter().map(|row| StoredResource {
                    id: row.id,
                    deployment: row.name,
                    active: true,
                });
                Ok(read.chain(unreadable).collect())
            }
            Destination::Server(remote) => remote.resources().await,
        }
    }

    pub(super) async fn events(&self) -> Result<Vec<StoredEvent>, ApplyError> {
        match self {
            Destination::Store(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                let stored = event::list(db, vault, &by.owner_id).await?;
                Ok(stored.iter().map(StoredEvent::from).collect())
            }
            Destination::Server(remote) => remote.events().await,
        }
    }

    pub(super) async fn save_resource(&self, draft: &resource::Draft) -> Result<Saved, ApplyError> {
        match self {
            Destination::Store(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                Ok(resource::save(db, vault, by, draft).await?)
            }
            Destination::Server(remote) => remote.save_resource(draft).await,
        }
    }

    /// `is_new`: there was no such event when the file was looked at.
    pub(super) async fn save_event(
        &self,
        draft: &event::Draft,
        is_new: bool,
    ) -> Result<Saved, ApplyError> {
        match self {
            Destination::Store(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                Ok(event::save(db, vault, by, draft).await?)
            }
            Destination::Server(remote) => remote.save_event(draft, is_new).await,
        }
    }
}
