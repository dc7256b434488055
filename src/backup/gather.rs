//! All that an owner has, read from the catalog.

use std::collections::HashSet;
use std::sync::Arc;

use super::Error;
use super::archive::{
    Archive, AttendeeCopy, EventCopy, FORMAT, MAX_ATTENDEES, MAX_EVENTS, MAX_RESOURCES, MAX_USAGE,
    ResourceCopy, UsageCopy,
};
use crate::catalog::attendee::backup as attendees;
use crate::catalog::event;
use crate::catalog::resource;
use crate::catalog::seal::Vault;
use crate::catalog::usage::backup as figures;
use crate::catalog::{Noun, Rows, Unreadable};
use crate::clock::{self, DAY_MS, HOUR_MS, MINUTE_MS};
use crate::db::Db;

/// Reads everything; figures where they are asked for, by the minute as far as that
/// is not more than a file takes, else by the hour or the day.
///
/// # Errors
/// [`Error::TooMuch`] says what to do.
pub async fn gather(
    db: &Db,
    vault: &Arc<Vault>,
    owner_id: &str,
    with_figures: bool,
    now_ms: i64,
) -> Result<Archive, Error> {
    // Events first: what they name is still there when the rest is read, or was
    // unlinked meanwhile. Whoever joins in between is in the next backup.
    let Rows { read: events, mut unreadable } = event::all(db, vault, owner_id).await?;
    let Rows { read: resources, unreadable: others } = resource::all(db, vault, owner_id).await?;
    unreadable.retain(|row| row.noun == Noun::Event);
    unreadable.extend(others);
    if events.len() > MAX_EVENTS || resources.len() > MAX_RESOURCES {
        let most = format!("{MAX_EVENTS} events and {MAX_RESOURCES} resources");
        return Err(Error::TooMuch(format!("takes at most {most}; {OTHER_WAY}")));
    }
    if attendees::count(db, owner_id).await? as usize > MAX_ATTENDEES {
        return Err(Error::TooMuch(format!(
            "takes at most {MAX_ATTENDEES} attendees; {OTHER_WAY}"
        )));
    }
    let today = clock::day_of(now_ms);
    let attendees = attendees::all(db, vault, owner_id, today).await?;
    let mut archive = Archive {
        format: FORMAT,
        source: format!("AI Proxy {}", env!("CARGO_PKG_VERSION")),
        made_at: now_ms,
        resources: resources.iter().map(ResourceCopy::from).collect(),
        events: events.iter().map(EventCopy::from).collect(),
        attendees: attendees.into_iter().map(|record| AttendeeCopy::of(record, today)).collect(),
        usage: if with_figures { figures(db, owner_id).await? } else { Vec::new() },
        notes: unreadable.iter().map(missing).collect(),
    };
    let resources: HashSet<&str> = archive.resources.iter().map(|copy| &*copy.id).collect();
    for event in &mut archive.events {
        event.fields.resources.retain(|id| resources.contains(&**id));
    }
    let events: HashSet<&str> = archive.events.iter().map(|copy| &*copy.id).collect();
    archive.attendees.retain(|copy| events.contains(&*copy.event));
    archive.usage.retain(|copy| events.contains(&*copy.event));
    Ok(archive)
}

/// One row that cannot be read must not keep the rest out of a backup.
fn missing(row: &Unreadable) -> String {
    let Unreadable { noun, name, .. } = row;
    format!("The {noun} \"{name}\" is not in this file: it could not be read when it was made.")
}

const OTHER_WAY: &str = "the operator can copy the whole database instead";

async fn figures(db: &Db, owner_id: &str) -> Result<Vec<UsageCopy>, Error> {
    let limit = u32::try_from(MAX_USAGE + 1).unwrap_or(u32::MAX);
    for grain in [MINUTE_MS, HOUR_MS, DAY_MS] {
        let sums = figures::sums(db, owner_id, grain, limit).await?;
        if sums.len() <= MAX_USAGE {
            return Ok(sums.into_iter().map(UsageCopy::from).collect());
        }
    }
    let reason = format!("takes at most {MAX_USAGE} rows of figures; leave them out");
    Err(Error::TooMuch(reason))
}
