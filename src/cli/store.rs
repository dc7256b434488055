//! What commands open: the store, the master key, and whose rows it is about.

use anyhow::bail;
use clap::Args;

use crate::app::open_store;
use crate::catalog::audit::Actor;
use crate::catalog::event::{self, Event};
use crate::catalog::owner;
use crate::catalog::seal::Vault;
use crate::clock;
use crate::config::StoreArgs;
use crate::db::Db;

/// Flags of every command that reads or writes the catalog.
#[derive(Args, Debug)]
pub(super) struct CatalogArgs {
    /// Whose resources and events
    #[arg(long, default_value = owner::LOCAL, value_name = "NAME")]
    owner: String,

    #[command(flatten)]
    store: StoreArgs,
}

/// The open store, seen as one owner.
pub(super) struct Catalog {
    pub db: Db,
    pub vault: Vault,
    pub by: Actor,
}

impl CatalogArgs {
    /// Opens the store for writing: an owner that does not exist is made.
    pub(super) async fn open_or_make_owner(&self) -> anyhow::Result<Catalog> {
        let (db, vault) = open_store(&self.store).await?;
        let now = clock::now_ms();
        let by = owner::local(&db, &self.owner, now).await?.actor(now);
        Ok(Catalog { db, vault, by })
    }

    /// Opens the store for an owner who exists. `None`: nothing has been made on this
    /// store yet by the owner that is meant where none is named.
    pub(super) async fn open(&self) -> anyhow::Result<Option<Catalog>> {
        let (db, vault) = open_store(&self.store).await?;
        match owner::find(&db, self.owner.trim()).await? {
            Some(owner) => Ok(Some(Catalog { db, vault, by: owner.actor(clock::now_ms()) })),
            None if self.owner == owner::LOCAL => Ok(None),
            None => bail!(
                "there is no owner \"{}\"; leave --owner out for \"{}\"",
                self.owner,
                owner::LOCAL
            ),
        }
    }
}

impl Catalog {
    /// The event with this id, else the one with this name.
    pub(super) async fn event(&self, id_or_name: &str) -> anyhow::Result<Event> {
        let mut events = event::list(&self.db, &self.vault, &self.by.owner_id).await?;
        if let Some(at) = events.iter().position(|event| event.id == id_or_name) {
            return Ok(events.swap_remove(at));
        }
        events.retain(|event| event.name == id_or_name);
        if events.len() > 1 {
            let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
            bail!(
                "{} events are called \"{id_or_name}\"; give the id: {}",
                ids.len(),
                ids.join(", ")
            );
        }
        events.pop().ok_or_else(|| no_event(id_or_name))
    }
}

pub(super) fn no_event(id_or_name: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "there is no event \"{id_or_name}\"; `ai-proxy event list` shows those there are"
    )
}
