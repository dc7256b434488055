//! Where a workshop file is applied: the store on this machine, or another
//! proxy. What follows from the file is the same in both. A row that is there already gets only
//! the fields that the file says, by the transaction that reads it, so nothing that was done
//! since the file was looked at is undone with the others.

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
                });
                // Saved over, one that cannot be read is mended.
                let unreadable = stored
                    .unreadable
                    .into_iter()
                    .map(|row| StoredResource { id: row.id, deployment: row.name });
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

    /// Creates a resource, or makes these changes to the one with this id.
    pub(super) async fn save_resource(
        &self,
        id: Option<&str>,
        changes: resource::Changes,
    ) -> Result<Saved, ApplyError> {
        match self {
            Destination::Store(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                let (outcome, resource) = match id {
                    None => {
                        let draft = changes.over(resource::Draft::default())?;
                        resource::create(db, vault, by, &draft).await?
                    }
                    Some(id) => {
                        let over = |_: Option<&_>, stored| changes.over(stored);
                        resource::edit(db, vault, by, id, over).await?
                    }
                };
                Ok(Saved { id: resource.id, outcome })
            }
            Destination::Server(remote) => remote.save_resource(id, &changes).await,
        }
    }

    /// An event that was not there when the file was looked at. Only one that cannot be read has
    /// this id by now, or one that the same file made meanwhile: it is saved over.
    pub(super) async fn create_event(&self, draft: &event::Draft) -> Result<Saved, ApplyError> {
        match self {
            Destination::Store(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                Ok(event::save(db, vault, by, draft).await?)
            }
            Destination::Server(remote) => remote.create_event(draft).await,
        }
    }

    /// Changes what the file says of an event, over whatever else was changed meanwhile.
    pub(super) async fn update_event(
        &self,
        id: &str,
        changes: event::Changes,
    ) -> Result<Saved, ApplyError> {
        match self {
            Destination::Store(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                let over = |_: Option<&_>, stored| Ok::<_, ApplyError>(changes.over(stored));
                let (outcome, event) = event::edit(db, vault, by, id, over).await?;
                Ok(Saved { id: event.id, outcome })
            }
            Destination::Server(remote) => remote.update_event(id, &changes).await,
        }
    }
}
