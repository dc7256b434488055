//! Where a workshop file is applied: the store on this machine, or another
//! proxy. What follows from the file is the same in both.

use std::collections::HashMap;

use serde::Deserialize;

use super::remote::Remote;
use crate::catalog::event::{self, Event};
use crate::catalog::{Error, Saved, resource};
use crate::cli::store::Catalog;

pub enum Target {
    Here(Box<Catalog>),
    There(Remote),
}

/// What an update needs to know of an event that is there already.
#[derive(Deserialize)]
pub struct Stored {
    pub id: String,
    pub name: String,
    pub start: String,
    pub end: String,
    pub burst: u32,
    pub max_open_requests: u32,
    pub shared_code_limit: u32,
    pub registration: String,
}

impl From<Event> for Stored {
    fn from(event: Event) -> Self {
        Self {
            id: event.id,
            name: event.name,
            start: event.start_local,
            end: event.end_local,
            burst: event.burst,
            max_open_requests: event.max_open_requests,
            shared_code_limit: event.shared_code_limit,
            registration: event.registration.as_str().to_owned(),
        }
    }
}

/// Why something was not read or saved.
pub enum Refusal {
    Invalid { field: String, reason: String },
    Conflict(String),
    Other(anyhow::Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { field, reason } => Refusal::Invalid { field: field.into(), reason },
            Error::Conflict { reason } => Refusal::Conflict(reason),
            error => Refusal::Other(error.into()),
        }
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Refusal::Other(error)
    }
}

/// Where a refusal is about no entry of the file.
impl From<Refusal> for anyhow::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid { field, reason } => anyhow::anyhow!("{field}: {reason}"),
            Refusal::Conflict(reason) => anyhow::anyhow!(reason),
            Refusal::Other(error) => error,
        }
    }
}

impl Target {
    /// Resource ids by deployment name.
    pub async fn resources(&self) -> Result<HashMap<String, String>, Refusal> {
        match self {
            Target::Here(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                let stored = resource::all(db, vault, &by.owner_id).await?;
                let read = stored.read.into_iter().map(|one| (one.deployment.to_string(), one.id));
                // Saved over, one that cannot be read is mended.
                let unreadable = stored.unreadable.into_iter().map(|row| (row.name, row.id));
                Ok(read.chain(unreadable).collect())
            }
            Target::There(remote) => Ok(remote.resources().await?.into_iter().collect()),
        }
    }

    pub async fn events(&self) -> Result<Vec<Stored>, Refusal> {
        match self {
            Target::Here(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                let stored = event::list(db, vault, &by.owner_id).await?;
                Ok(stored.into_iter().map(Stored::from).collect())
            }
            Target::There(remote) => remote.events().await,
        }
    }

    pub async fn save_resource(&self, draft: &resource::Draft) -> Result<Saved, Refusal> {
        match self {
            Target::Here(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                Ok(resource::save(db, vault, by, draft).await?)
            }
            Target::There(remote) => remote.save_resource(draft).await,
        }
    }

    /// `is_new`: there was no such event when the file was looked at.
    pub async fn save_event(&self, draft: &event::Draft, is_new: bool) -> Result<Saved, Refusal> {
        match self {
            Target::Here(catalog) => {
                let Catalog { db, vault, by } = &**catalog;
                Ok(event::save(db, vault, by, draft).await?)
            }
            Target::There(remote) => remote.save_event(draft, is_new).await,
        }
    }
}
