//! Writing an archive into the store, all or nothing.
//!
//! Events are made hidden in one transaction, filled in many small ones, between which
//! others can write, and shown in one. Of a restore that is broken off, `purge` removes
//! the hidden events; only resources that it had made may stay.

use std::collections::HashMap;

use super::Error;
use super::archive::Archive;
use super::plan::{EventFate, Plan, ResourceFate};
use crate::catalog::attendee::backup::{self as attendees, RestoreEntry, RestoredCard};
use crate::catalog::audit::{self, Action, Actor};
use crate::catalog::event::purge;
use crate::catalog::seal::Vault;
use crate::catalog::usage::backup as figures;
use crate::catalog::{self, Noun, change, event, new_id, resource};
use crate::clock::{Clock, day_of};
use crate::db::{Db, Tx};

/// How long a restore may take; then what it has written is removed.
const HIDDEN_MS: i64 = 15 * 60_000;

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub resources: usize,
    pub events: usize,
    /// Of these, under a new id.
    pub new_ids: usize,
    pub attendees: usize,
    /// Of these, with a new key.
    pub new_keys: usize,
    pub usage: usize,
}

/// The time from which hidden events may be removed, by this clock.
struct Deadline<'a> {
    clock: &'a Clock,
    /// UTC milliseconds.
    at: i64,
}

/// Does what the plan with this mark says. `None`: the store has changed since that was
/// shown, so another plan holds; nothing is written.
pub async fn restore(
    db: &Db,
    vault: &Vault,
    clock: &Clock,
    by: &Actor,
    archive: &Archive,
    mark: &str,
) -> Result<Option<Done>, Error> {
    let mut tx = change::write(db).await?;
    let plan = Plan::draw(&mut tx, vault, by, archive).await?;
    if plan.mark() != mark {
        return Ok(None);
    }
    let deadline = Deadline { clock, at: clock.now_ms() + HIDDEN_MS };
    let resources = restore_resources(&mut tx, vault, by, archive, &plan).await?;
    let events = restore_events(&mut tx, vault, by, archive, &plan, &resources).await?;
    for event_id in events.values() {
        purge::hide(&mut tx, event_id, deadline.at).await?;
    }
    tx.commit().await.map_err(catalog::Error::from)?;

    let mut ids = Ids { resources, events, attendees: HashMap::new() };
    match fill_and_reveal(db, vault, by, archive, &plan, &mut ids, &deadline).await {
        Ok(done) => Ok(Some(done)),
        Err(error) => {
            if let Err(error) = take_back(db, clock, by, archive, &plan, &ids).await {
                tracing::warn!(%error, "a failed restore is undone later");
            }
            Err(error)
        }
    }
}

/// Fills the hidden events in small transactions, and shows them all in one.
async fn fill_and_reveal<'a>(
    db: &Db,
    vault: &Vault,
    by: &Actor,
    archive: &'a Archive,
    plan: &Plan,
    ids: &mut Ids<'a>,
    deadline: &Deadline<'_>,
) -> Result<Done, Error> {
    ids.attendees =
        restore_attendees(db, vault, archive, plan, &ids.events, day_of(deadline.clock.now_ms()))
            .await?;
    let usage = restore_usage(db, archive, ids).await?;
    let is_new = |fate: &&ResourceFate| !matches!(fate, ResourceFate::Present { .. });
    let done = Done {
        resources: plan.resources.iter().filter(is_new).count(),
        events: archive.events.len(),
        new_ids: plan.events.iter().filter(|fate| **fate != EventFate::Kept).count(),
        attendees: archive.attendees.len(),
        new_keys: plan.new_keys.len(),
        usage,
    };
    let detail = format!(
        "events: {}, new resources: {}, attendees: {}",
        done.events, done.resources, done.attendees
    );
    let mut tx = change::write(db).await?;
    let now_ms = deadline.clock.now_ms();
    for event_id in ids.events.values() {
        purge::reveal(&mut tx, event_id, deadline.at, now_ms).await?;
    }
    let by = &Actor { at: now_ms, ..by.clone() };
    audit::record(&mut tx, by, Action::Restored, Noun::Owner, &by.owner_id, &detail).await?;
    tx.commit().await.map_err(catalog::Error::from)?;
    Ok(done)
}

/// Undoes a restore that failed: marks its events to be removed, and deletes its new
/// resources.
async fn take_back(
    db: &Db,
    clock: &Clock,
    by: &Actor,
    archive: &Archive,
    plan: &Plan,
    ids: &Ids<'_>,
) -> catalog::Result<()> {
    let mut tx = change::write(db).await?;
    for event_id in ids.events.values() {
        purge::mark(&mut tx, event_id, clock.now_ms()).await?;
    }
    tx.commit().await?;
    for (copy, fate) in archive.resources.iter().zip(&plan.resources) {
        let made = !matches!(fate, ResourceFate::Present { .. });
        if let Some(id) = ids.resources.get(&*copy.id).filter(|_| made) {
            resource::delete(db, by, id).await?;
        }
    }
    Ok(())
}

/// Rows here by the ids that they had in the archive.
struct Ids<'a> {
    resources: HashMap<&'a str, String>,
    events: HashMap<&'a str, String>,
    attendees: HashMap<&'a str, String>,
}

async fn restore_resources<'a>(
    tx: &mut Tx,
    vault: &Vault,
    by: &Actor,
    archive: &'a Archive,
    plan: &Plan,
) -> Result<HashMap<&'a str, String>, Error> {
    let mut ids = HashMap::new();
    for (copy, fate) in archive.resources.iter().zip(&plan.resources) {
        let mut draft = copy.draft()?;
        let id = match fate {
            ResourceFate::Present { id } => id.clone(),
            ResourceFate::Made => resource::save_in(tx, vault, by, &draft).await?.id,
            ResourceFate::Renamed(name) => {
                draft.deployment.clone_from(name);
                resource::save_in(tx, vault, by, &draft).await?.id
            }
        };
        ids.insert(&*copy.id, id);
    }
    Ok(ids)
}

async fn restore_events<'a>(
    tx: &mut Tx,
    vault: &Vault,
    by: &Actor,
    archive: &'a Archive,
    plan: &Plan,
    resources: &HashMap<&str, String>,
) -> Result<HashMap<&'a str, String>, Error> {
    let mut ids = HashMap::new();
    for (copy, fate) in archive.events.iter().zip(&plan.events) {
        // The id is nobody's: under the catalog's lock that was seen just now, so this
        // makes an event and changes none.
        let id = (*fate == EventFate::Kept).then(|| copy.id.clone());
        let links =
            copy.fields.resources.iter().filter_map(|id| resources.get(&**id).cloned()).collect();
        let draft = copy.draft(id, links);
        let saved = event::restore_in(tx, vault, by, &draft, copy.first_active_at).await?;
        if copy.registration_stopped {
            event::control::stop_registration_in(tx, &saved.id, by.at).await?;
        }
        ids.insert(&*copy.id, saved.id);
    }
    Ok(ids)
}

async fn restore_attendees<'a>(
    db: &Db,
    vault: &Vault,
    archive: &'a Archive,
    plan: &Plan,
    events: &HashMap<&str, String>,
    today: u32,
) -> Result<HashMap<&'a str, String>, Error> {
    let (mut ids, mut rows) = (HashMap::new(), Vec::with_capacity(archive.attendees.len()));
    for (at, copy) in archive.attendees.iter().enumerate() {
        let Some(event_id) = events.get(&*copy.event) else { continue };
        let key = copy.api_key.clone().filter(|_| !plan.new_keys.contains(&at));
        let new = attendees::renewed(vault, event_id, copy.attendee(), key)?;
        ids.insert(&*copy.id, new.attendee.id.clone());
        let used = copy.used.filter(|used| used.day == today).map_or(0, |used| used.requests);
        let card = copy.card.as_ref().filter(|_| !plan.lost_cards.contains(&at));
        let card = card.map(|card| RestoredCard::new(vault, &new.attendee.id, &card.record()));
        rows.push(RestoreEntry { new, used, card: card.transpose()? });
    }
    attendees::restore(db, &rows, today).await?;
    Ok(ids)
}

/// Figures of attendees and resources that were gone already stay together, as those of
/// somebody who is not there.
async fn restore_usage(db: &Db, archive: &Archive, ids: &Ids<'_>) -> Result<usize, Error> {
    let mut gone: HashMap<&str, String> = HashMap::new();
    for usage in &archive.usage {
        for (id, known) in [(&usage.attendee, &ids.attendees), (&usage.resource, &ids.resources)] {
            if !id.is_empty() && !known.contains_key(&**id) {
                gone.entry(id).or_insert_with(new_id);
            }
        }
    }
    let here = |known: &'_ HashMap<&str, String>, id: &str| -> String {
        known.get(id).or_else(|| gone.get(id)).cloned().unwrap_or_default()
    };
    let mut whose = Vec::with_capacity(archive.usage.len());
    for usage in &archive.usage {
        whose.push((here(&ids.attendees, &usage.attendee), here(&ids.resources, &usage.resource)));
    }
    let rows = archive.usage.iter().zip(&whose).filter_map(|(copy, (attendee_id, resource_id))| {
        let event_id = ids.events.get(&*copy.event)?;
        Some((copy.to_row(event_id, attendee_id, resource_id), copy.figures()))
    });
    figures::restore(db, rows).await?;
    Ok(archive.usage.len())
}
