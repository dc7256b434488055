//! What restoring an archive would do to this store: which ids and names are free,
//! and what happens where they are not. Drawn to be shown, and drawn again inside the
//! transaction: only what was shown is done.

use std::collections::{HashMap, HashSet};

use sqlx::AnyConnection;

use super::archive::{Archive, AttendeeCopy, ResourceCopy};
use crate::catalog::audit::Actor;
use crate::catalog::event::{self, Standing};
use crate::catalog::limits::NAME;
use crate::catalog::resource::{self, Endpoint, Resource};
use crate::catalog::seal::Vault;
use crate::catalog::{Digest, Result, Rows, attendee};

/// What becomes of each entry of an archive, in its order.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub resources: Vec<ResourceFate>,
    pub events: Vec<EventFate>,
    /// Attendees, by their place in the archive, who get a new key.
    pub new_keys: HashSet<usize>,
    /// The same for those whose card does not come back, because another one here has its code.
    pub lost_cards: HashSet<usize>,
    /// Events, by their place in the archive, whose personal data was removed here and is in the
    /// archive still.
    pub names_back: HashSet<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceFate {
    /// Made as it is.
    Made,
    /// Made under this deployment name: the other is that of another backend.
    Renamed(String),
    /// The owner has it: the same deployment name for the same endpoint. It stays as it
    /// is, and events are linked to it.
    Present { id: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFate {
    /// Made under its own id.
    Kept,
    /// Made under a new id: the owner has an event with its own.
    Copied,
    /// Made under a new id: the event that the owner had with its own was deleted, and
    /// its rows are still being removed.
    Purging,
    /// Made under a new id: its own is, or was, another owner's.
    Taken,
}

impl Plan {
    /// Compares the archive with the store.
    pub async fn draw(
        connection: &mut AnyConnection,
        vault: &Vault,
        by: &Actor,
        archive: &Archive,
    ) -> Result<Self> {
        let which = resource::Which { owner_id: Some(&by.owner_id), ..Default::default() };
        let present = resource::load(connection, vault, which).await?;
        let resources = fates(&present, &archive.resources);
        let mut events = Vec::with_capacity(archive.events.len());
        for copy in &archive.events {
            events.push(match event::standing(connection, &by.owner_id, &copy.id).await? {
                Standing::Free => EventFate::Kept,
                Standing::Present => EventFate::Copied,
                Standing::Purging => EventFate::Purging,
                Standing::Foreign => EventFate::Taken,
            });
        }
        let keys = archive.attendees.iter().map(|copy| copy.api_key.as_ref());
        let new_keys = attendee::backup::not_free(connection, vault, keys).await?;
        let codes = archive.attendees.iter().map(AttendeeCopy::card_code);
        let lost_cards = attendee::backup::cards_taken(connection, vault, codes).await?;
        let mut names_back = HashSet::new();
        for (at, copy) in archive.events.iter().enumerate() {
            let mut people = archive.attendees.iter().filter(|one| one.event == copy.id);
            if people.any(|one| !one.is_anonymous())
                && event::forget::was_done(connection, &by.owner_id, &copy.id).await?
            {
                names_back.insert(at);
            }
        }
        Ok(Self { resources, events, new_keys, lost_cards, names_back })
    }

    /// By which a plan is told from another.
    pub fn mark(&self) -> String {
        let sets = [&self.new_keys, &self.lost_cards, &self.names_back];
        let sets = sets.map(|places| {
            let mut places: Vec<_> = places.iter().collect();
            places.sort_unstable();
            places
        });
        let text = format!("{:?} {:?} {sets:?}", self.resources, self.events);
        Digest::sha256(text.as_bytes()).hex()
    }
}

fn fates(present: &Rows<Resource>, copies: &[ResourceCopy]) -> Vec<ResourceFate> {
    let by_name: HashMap<&str, &Resource> =
        present.read.iter().map(|resource| (&*resource.deployment, resource)).collect();
    // Nobody knows whether one that cannot be read has the same endpoint.
    let unreadable: HashSet<&str> = present.unreadable.iter().map(|row| &*row.name).collect();
    let mut taken: HashSet<String> =
        by_name.keys().chain(&unreadable).map(|name| (*name).to_owned()).collect();
    taken.extend(copies.iter().map(|copy| copy.deployment.trim().to_owned()));
    let mut fate = |copy: &ResourceCopy| {
        match by_name.get(copy.deployment.trim()) {
            Some(namesake) if is_same(namesake, copy) => {
                return ResourceFate::Present { id: namesake.id.clone() };
            }
            None if !unreadable.contains(copy.deployment.trim()) => return ResourceFate::Made,
            _ => {}
        }
        let name = free_name(copy.deployment.trim(), &taken);
        taken.insert(name.clone());
        ResourceFate::Renamed(name)
    };
    copies.iter().map(&mut fate).collect()
}

/// Whether both lead to the same place, whatever their keys are by now.
fn is_same(present: &Resource, copy: &ResourceCopy) -> bool {
    let endpoint = Endpoint::parse(&copy.endpoint);
    present.kind.as_str() == copy.kind && endpoint.is_ok_and(|there| there == present.endpoint)
}

/// The first of `name-2`, `name-3`, … that is free.
fn free_name(name: &str, taken: &HashSet<String>) -> String {
    let numbered = |number: u32| {
        let ending = format!("-{number}");
        // Deployment names are ASCII.
        let kept = name.len().min(NAME - ending.len());
        format!("{}{ending}", &name[..kept])
    };
    (2..).map(numbered).find(|name| !taken.contains(name)).unwrap_or_default()
}
