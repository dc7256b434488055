//! What happens once a second beside the calls: changes of the catalog are
//! taken in, usage is written, idle leases go back, streams of those whose time
//! is over are ended. All of it on the control runtime.

use std::sync::Arc;
use std::time::Duration;

use super::authenticate;
use super::lease::DayCount;
use super::live::Live;
use super::meter::Page;
use super::plane::DataPlane;
use crate::catalog::change::{self, Changes, Noun};
use crate::catalog::event::purge;
use crate::catalog::snapshot::Snapshot;
use crate::catalog::usage::{Batch, UsageKey};
use crate::catalog::{self, attendee, mcp_session, usage};
use crate::clock;

const TICK: Duration = Duration::from_secs(1);

/// How long a lease may lie unused before it goes back, in milliseconds.
const LEASE_IDLE_MS: i64 = 5_000;

/// Ticks between two looks for expired MCP sessions.
const EXPIRY_TICKS: u64 = 600;

/// How much of a second may go into removing the rows of deleted events.
const PURGE_BUDGET: Duration = Duration::from_millis(250);

/// Runs until it is aborted.
pub async fn run(plane: Arc<DataPlane>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut revision = plane.snapshot.load().revision;
    let mut store_answers = true;
    for tick in 0_u64.. {
        ticks.tick().await;
        let done = second(&plane, &mut revision, tick.is_multiple_of(EXPIRY_TICKS)).await;
        match &done {
            Err(error) if store_answers => tracing::warn!(%error, "the store does not answer"),
            Ok(()) if !store_answers => tracing::info!("the store answers again"),
            _ => {}
        }
        store_answers = done.is_ok();
        sweep(&plane);
    }
}

async fn second(
    plane: &Arc<DataPlane>,
    revision: &mut i64,
    look_for_expired: bool,
) -> Result<(), catalog::Error> {
    take_in_changes(plane, revision).await?;
    return_leases(plane, |live, now_ms| now_ms - live.lease.last_taken() >= LEASE_IDLE_MS);
    flush(plane).await?;
    purge::run(&plane.db, clock::now_ms(), PURGE_BUDGET).await?;
    if look_for_expired {
        mcp_session::expire(&plane.db, clock::now_ms()).await?;
        usage::forget_batches(&plane.db, clock::now_ms()).await?;
    }
    Ok(())
}

/// Reads what changed in the catalog since `revision`, and acts on it.
async fn take_in_changes(plane: &Arc<DataPlane>, revision: &mut i64) -> Result<(), catalog::Error> {
    let (to, changes) = match change::since(&plane.db, *revision).await? {
        Changes::None => return Ok(()),
        Changes::Some { revision, changes } => (revision, Some(changes)),
        Changes::Gap { revision } => (revision, None),
    };
    let is_of_attendees = |changes: &Vec<(Noun, String)>| {
        changes.iter().all(|(noun, _)| matches!(noun, Noun::Attendee))
    };
    if !changes.as_ref().is_some_and(is_of_attendees) {
        let snapshot = Snapshot::load(&plane.db, &plane.vault).await?;
        snapshot.report_unreadable(&plane.snapshot.load());
        plane.snapshot.store(Arc::new(snapshot));
    }
    let touched: Vec<Arc<Live>> = match changes {
        // Too far behind to know which: all are read anew.
        None => {
            let lives = plane.lives.all();
            lives.iter().filter_map(|live| plane.lives.row_changed(&live.attendee_id)).collect()
        }
        Some(changes) => changes
            .iter()
            .filter(|(noun, _)| matches!(noun, Noun::Attendee))
            .filter_map(|(_, id)| plane.lives.row_changed(id))
            .collect(),
    };
    for live in touched {
        if !attendee::is_active(&plane.db, &live.attendee_id).await? {
            live.end_all();
        }
    }
    // Caps may have been lowered: nothing is spent that was leased under others.
    return_leases(plane, |_, _| true);
    *revision = to;
    Ok(())
}

/// Ends the streams of events that are over or switched off, and forgets those
/// who are not about any more.
fn sweep(plane: &Arc<DataPlane>) {
    let now_ms = clock::now_ms();
    let snapshot = plane.snapshot.load();
    let (mut open, mut leased) = (0, 0);
    for live in plane.lives.all() {
        open += live.open_requests();
        leased += live.lease.left(clock::day_of(now_ms));
        let event = snapshot.events.get(&*live.event_id);
        let is_open = event.is_some_and(|event| authenticate::is_open(event, now_ms).is_ok());
        if live.open_requests() > 0 && !is_open {
            live.end_all();
        }
    }
    plane.lives.forget_idle();
    plane.throttle.sweep(now_ms);
    for tally in plane.tallies.lock().iter() {
        tally.drain();
    }
    metrics::gauge!("ai_proxy_open_requests").set(open);
    metrics::gauge!("ai_proxy_leased_requests").set(leased);
}

/// Gives back the leases of those whom `wanted` picks, with the next flush.
fn return_leases(plane: &Arc<DataPlane>, wanted: impl Fn(&Live, i64) -> bool) {
    let now_ms = clock::now_ms();
    for live in plane.lives.all() {
        if wanted(&live, now_ms)
            && let Some(rest) = live.lease.surrender()
        {
            live.ledger.lock().give_back(rest);
        }
    }
}

/// Writes what the ledgers hold, in one transaction.
///
/// A batch that could not be written, or of which nobody knows whether it was,
/// is tried again unchanged before the next one: the store takes each once.
pub async fn flush(plane: &Arc<DataPlane>) -> Result<(), catalog::Error> {
    let mut unwritten = plane.unwritten.lock().await;
    if let Some(batch) = &*unwritten {
        usage::flush(&plane.db, batch).await?;
        *unwritten = None;
    }
    let batch = gather(plane);
    if batch.is_empty() {
        return Ok(());
    }
    // Kept before it is written, since this may be dropped on the way: at the
    // end of the process, whose last flush then finds it.
    usage::flush(&plane.db, unwritten.insert(batch)).await?;
    *unwritten = None;
    Ok(())
}

fn gather(plane: &DataPlane) -> Batch {
    let mut batch = Batch::new();
    let now_ms = clock::now_ms();
    for live in plane.lives.all() {
        if let Some(at) = live.take_seen(now_ms) {
            batch.seen.insert(live.attendee_id.clone(), at);
        }
        let page = live.ledger.lock().turn_page();
        add(&mut batch, &live, page);
    }
    batch
}

fn add(batch: &mut Batch, live: &Live, page: Page) {
    let attendee_id = &live.attendee_id;
    for (line, figures) in page.usage {
        let key = UsageKey {
            event_id: live.event_id.clone(),
            attendee_id: attendee_id.clone(),
            resource_id: line.resource_id,
            operation: line.operation,
            name: line.name,
            minute: line.minute,
        };
        batch.usage.insert(key, figures);
    }
    for (day, n) in page.spent {
        *batch.spent.entry((attendee_id.clone(), day)).or_default() += n;
    }
    for DayCount { day, count } in page.returned {
        *batch.returned.entry((attendee_id.clone(), day)).or_default() += count;
    }
    if let Some(refusal) = page.refusal {
        batch.refusals.insert(attendee_id.clone(), refusal);
    }
}

/// The last writes of a process that stops: every lease goes back.
pub async fn settle(plane: &Arc<DataPlane>) -> Result<(), catalog::Error> {
    plane.refills.finish().await;
    return_leases(plane, |_, _| true);
    flush(plane).await
}
