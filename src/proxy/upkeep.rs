//! What happens once a second beside the calls: changes of the catalog are
//! taken in, usage is written, idle leases go back, streams of those whose time
//! has ended are ended. All of it runs on the control runtime, each part in its own turn
//! and for a bounded time: an answer of the store that never comes stops no part
//! for good, and parts that need no store do not wait for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::error::Elapsed;
use tokio::time::{Interval, MissedTickBehavior};

use super::attendee::lease::DayCount;
use super::attendee::ledger::LedgerPage;
use super::attendee::live::{LiveAttendee, Means};
use super::caller;
use super::control::STORE_LIMIT;
use super::guessing;
use super::mcp;
use super::plane::DataPlane;
use crate::catalog::change::{self, Changes, Noun};
use crate::catalog::event::{forget, purge};
use crate::catalog::owner::held_form;
use crate::catalog::owner::sign_in;
use crate::catalog::snapshot::Snapshot;
use crate::catalog::usage::{Batch, UsageKey};
use crate::catalog::{self, attendee, mcp_session, oauth, usage};
use crate::db::Db;

const TICK: Duration = Duration::from_secs(1);

/// How long a lease may lie unused before it goes back, in milliseconds.
const LEASE_IDLE_MS: i64 = 5_000;

/// Time between two searches for expired rows.
const EXPIRY: Duration = Duration::from_secs(600);

/// How long reading the one row may take that says whether anything has changed. After that
/// its answer is lost, and another connection is asked.
const REVISION_PATIENCE: Duration = Duration::from_secs(3);

/// How long the last writes of a process that stops may take.
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);

/// How much of each second may be spent on removing the rows of deleted events.
const PURGE_BUDGET: Duration = Duration::from_millis(250);

/// Time between two looks for events whose personal data is due to be removed.
const FORGETTING: Duration = Duration::from_secs(10);

/// Why a part's turn failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] catalog::Error),
    #[error("no answer in time")]
    Late(#[from] Elapsed),
}

/// Runs until it is aborted. Each part has its own turn: one that waits for the
/// store, or has failed, holds up no other.
pub async fn run(plane: Arc<DataPlane>) {
    tokio::join!(
        sweeping(&plane),
        taking_in(&plane),
        tending(&plane),
        writing(&plane),
        warning(&plane),
        purging(&plane),
        forgetting(&plane),
        expiring(&plane)
    );
}

async fn sweeping(plane: &Arc<DataPlane>) {
    let mut ticks = ticks(TICK);
    loop {
        ticks.tick().await;
        sweep(plane);
    }
}

async fn taking_in(plane: &Arc<DataPlane>) {
    let mut revision = plane.snapshot.load().revision;
    let (mut ticks, mut part) = (ticks(TICK), Part::new("changes of the catalog"));
    loop {
        ticks.tick().await;
        part.turn(take_in_changes(plane, &mut revision)).await;
    }
}

async fn tending(plane: &Arc<DataPlane>) {
    let (mut ticks, mut part) = (ticks(TICK), Part::new("changes of MCP sessions"));
    loop {
        ticks.tick().await;
        // Late, it is asked again on another connection: it survives being dropped.
        let tend = tokio::time::timeout(REVISION_PATIENCE, mcp::tend::tend(&plane.sessions));
        part.turn(async { Ok(tend.await??) }).await;
    }
}

async fn writing(plane: &Arc<DataPlane>) {
    let (mut ticks, mut part) = (ticks(TICK), Part::new("usage"));
    loop {
        ticks.tick().await;
        return_leases(plane, |live, now_ms| now_ms - live.lease.last_taken() >= LEASE_IDLE_MS);
        part.turn(async { Ok(flush(plane).await?) }).await;
    }
}

async fn warning(plane: &Arc<DataPlane>) {
    let (mut ticks, mut part) = (ticks(TICK), Part::new("guesses of shared codes"));
    loop {
        ticks.tick().await;
        let report = guessing::report(&plane.keys.guesses, &plane.control.db, plane.clock.now_ms());
        part.turn(async { Ok(report.await?) }).await;
    }
}

async fn purging(plane: &Arc<DataPlane>) {
    let (mut ticks, mut part) = (ticks(TICK), Part::new("rows of deleted events"));
    loop {
        ticks.tick().await;
        part.turn(async {
            purge::run(&plane.control.db, plane.clock.now_ms(), PURGE_BUDGET).await?;
            Ok(())
        })
        .await;
    }
}

async fn forgetting(plane: &Arc<DataPlane>) {
    let (mut ticks, mut part) = (ticks(FORGETTING), Part::new("personal data of ended events"));
    loop {
        ticks.tick().await;
        part.turn(async {
            let (db, vault) = (&plane.control.db, &plane.control.vault);
            forget::run(db, vault, plane.clock.now_ms(), PURGE_BUDGET).await?;
            Ok(())
        })
        .await;
    }
}

async fn expiring(plane: &Arc<DataPlane>) {
    let (mut ticks, mut part) = (ticks(EXPIRY), Part::new("expired rows"));
    loop {
        ticks.tick().await;
        let expire = async {
            mcp_session::expire(&plane.control.db, plane.clock.now_ms()).await?;
            sign_in::expire(&plane.control.db, plane.clock.now_ms()).await?;
            held_form::expire(&plane.control.db, plane.clock.now_ms()).await?;
            oauth::expire(&plane.control.db, plane.clock.now_ms()).await?;
            Ok(usage::forget_batches(&plane.control.db, plane.clock.now_ms()).await?)
        };
        part.turn(expire).await;
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A part that needs the store.
struct Part {
    name: &'static str,
    store_answers: bool,
}

impl Part {
    fn new(name: &'static str) -> Self {
        Self { name, store_answers: true }
    }

    /// One turn. If it has not ended within [`STORE_LIMIT`] it is dropped, and the
    /// connection that it holds with it.
    async fn turn(&mut self, work: impl Future<Output = Result<(), Failure>>) {
        let done = tokio::time::timeout(STORE_LIMIT, work).await;
        let done = done.map_err(Failure::Late).flatten();
        let part = self.name;
        match &done {
            Err(error) if self.store_answers => {
                tracing::warn!(%error, part, "the store does not answer");
            }
            Ok(()) if !self.store_answers => tracing::info!(part, "the store answers again"),
            _ => {}
        }
        self.store_answers = done.is_ok();
    }
}

/// Reads what changed in the catalog since `revision`, and acts on it.
async fn take_in_changes(plane: &Arc<DataPlane>, revision: &mut i64) -> Result<(), Failure> {
    let since = change::since(&plane.control.db, *revision);
    let (to, changes) = match tokio::time::timeout(REVISION_PATIENCE, since).await?? {
        Changes::None => return Ok(()),
        Changes::Some { revision, changes } => (revision, Some(changes)),
        Changes::Gap { revision } => (revision, None),
    };
    let is_of_attendees = |changes: &Vec<(Noun, String)>| {
        changes.iter().all(|(noun, _)| matches!(noun, Noun::Attendee | Noun::Credential))
    };
    if !changes.as_ref().is_some_and(is_of_attendees) {
        let snapshot = Snapshot::load(&plane.control.db, &plane.control.vault).await?;
        let before = plane.snapshot.load_full();
        snapshot.report_unreadable(&before);
        plane.snapshot.store(Arc::new(snapshot));
        end_what_is_over(plane);
        end_old_codes(plane, &before);
    }
    let touched = ChangeScope::by(changes.as_deref());
    let changed: Vec<Arc<LiveAttendee>> = match &touched {
        ChangeScope::All => {
            let lives = plane.lives.all();
            lives.iter().filter_map(|live| plane.lives.row_changed(&live.attendee_id)).collect()
        }
        // Also attendees who are not in memory: their row may be being read just now.
        ChangeScope::These { attendees, .. } => {
            attendees.iter().filter_map(|id| plane.lives.row_changed(id)).collect()
        }
    };
    for live in changed {
        touched.end_credentials_of(&plane.control.db, &live).await?;
        if !attendee::is_active(&plane.control.db, &live.attendee_id).await? {
            live.end_all();
        }
    }
    // Their caps may have been lowered: nothing is spent that was leased under others.
    return_leases(plane, |live, _| touched.cap_of(live));
    *revision = to;
    Ok(())
}

/// The attendees and events that changes of the catalog are about.
enum ChangeScope<'changes> {
    /// Too far behind: it may be anybody.
    All,
    These {
        attendees: HashSet<&'changes str>,
        /// Whose credentials have ended: all, or the grant with this id.
        credentials: Vec<(&'changes str, Option<&'changes str>)>,
        events: HashSet<&'changes str>,
    },
}

impl<'changes> ChangeScope<'changes> {
    /// `None`: the changes are not known.
    fn by(changes: Option<&'changes [(Noun, String)]>) -> Self {
        let Some(changes) = changes else { return Self::All };
        let of = |wanted: Noun| {
            let ids = changes.iter().filter(move |(noun, _)| *noun == wanted);
            ids.map(|(_, id)| id.as_str())
        };
        let credential = |id: &'changes str| match id.split_once(' ') {
            Some((attendee, grant)) => (attendee, Some(grant)),
            None => (id, None),
        };
        let credentials: Vec<_> = of(Noun::Credential).map(credential).collect();
        let of_credentials = credentials.iter().map(|(attendee, _)| *attendee);
        let attendees = of(Noun::Attendee).chain(of_credentials).collect();
        Self::These { attendees, credentials, events: of(Noun::Event).collect() }
    }

    /// Ends what the attendee has open by what has ended. Who is too far behind does not know: what was
    /// begun with it then goes on to its own end.
    async fn end_credentials_of(&self, db: &Db, live: &LiveAttendee) -> catalog::Result<()> {
        let Self::These { credentials, .. } = self else { return Ok(()) };
        for (_, grant) in credentials.iter().filter(|(whose, _)| *whose == &*live.attendee_id) {
            match grant {
                Some(ended) => live
                    .end_means(|means| matches!(means, Means::Grant { id, .. } if **id == **ended)),
                None => {
                    // The new key may be in use already.
                    let key = attendee::current_key(db, &live.attendee_id).await?;
                    live.end_means(|means| match means {
                        Means::Key(digest) => key.as_deref() != Some(&*digest.hex()),
                        Means::Grant { .. } => true,
                        Means::SharedCode => false,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether the attendee's cap may have changed: their own, or that of their event.
    fn cap_of(&self, live: &LiveAttendee) -> bool {
        match self {
            Self::All => true,
            Self::These { attendees, events, .. } => {
                attendees.contains(&*live.attendee_id) || events.contains(&*live.event_id)
            }
        }
    }
}

/// The part that depends on the clock alone: ends the streams of events that are not open,
/// and forgets attendees who no longer call.
fn sweep(plane: &Arc<DataPlane>) {
    let now_ms = plane.clock.now_ms();
    end_what_is_over(plane);
    let (mut open, mut leased) = (0, 0);
    for live in plane.lives.all() {
        open += live.open_requests();
        leased += live.lease.left(plane.clock.today(now_ms));
    }
    plane.lives.forget_idle();
    plane.keys.throttle.sweep(now_ms);
    for tally in plane.tallies.lock().iter() {
        tally.drain();
    }
    metrics::gauge!("ai_proxy_open_requests").set(open);
    metrics::gauge!("ai_proxy_leased_requests").set(leased);
}

/// Ends the streams of events that have ended or are switched off.
fn end_what_is_over(plane: &Arc<DataPlane>) {
    let now_ms = plane.clock.now_ms();
    let snapshot = plane.snapshot.load();
    for live in plane.lives.all() {
        let event = snapshot.events.get(&*live.event_id);
        let is_open = event.is_some_and(|event| caller::is_open(event, now_ms).is_ok());
        if live.open_requests() > 0 && !is_open {
            live.end_all();
        }
    }
}

/// Ends what is open by shared codes that were replaced since the snapshot `before`, also of attendees
/// whose call is about to open: it was let in by that snapshot.
fn end_old_codes(plane: &Arc<DataPlane>, before: &Snapshot) {
    let now = plane.snapshot.load();
    for live in plane.lives.all() {
        let code_in = |snapshot: &Snapshot| {
            let code = snapshot.events.get(&*live.event_id)?.shared_code.as_ref()?;
            Some(code.expose_secret().to_ascii_lowercase())
        };
        if code_in(before) != code_in(&now) {
            live.end_means(Means::is_by_code);
        }
    }
}

/// Gives back the leases of those whom `wanted` picks, with the next flush.
fn return_leases(plane: &Arc<DataPlane>, wanted: impl Fn(&LiveAttendee, i64) -> bool) {
    let now_ms = plane.clock.now_ms();
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
        usage::flush(&plane.control.db, batch, plane.clock.now_ms()).await?;
        *unwritten = None;
    }
    let batch = gather(plane);
    if batch.is_empty() {
        return Ok(());
    }
    // Kept before it is written, since this may be dropped on the way: at the
    // end of the process, whose last flush then finds it.
    usage::flush(&plane.control.db, unwritten.insert(batch), plane.clock.now_ms()).await?;
    *unwritten = None;
    Ok(())
}

fn gather(plane: &DataPlane) -> Batch {
    let mut batch = Batch::new();
    let now_ms = plane.clock.now_ms();
    for live in plane.lives.all() {
        if let Some(at) = live.take_seen(now_ms) {
            batch.seen.insert(live.attendee_id.clone(), at);
        }
        let page = live.ledger.lock().turn_page();
        add(&mut batch, &live, page);
    }
    batch
}

fn add(batch: &mut Batch, live: &LiveAttendee, page: LedgerPage) {
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
///
/// # Errors
/// The store did not take them, or not in time.
pub async fn settle(plane: &Arc<DataPlane>) -> anyhow::Result<()> {
    let finished = tokio::time::timeout(SETTLE_PATIENCE, plane.refills.finish()).await;
    return_leases(plane, |_, _| true);
    tokio::time::timeout(SETTLE_PATIENCE, flush(plane)).await.map_err(Failure::Late)??;
    Ok(finished.map_err(Failure::Late)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_go_back_of_those_alone_whose_row_or_event_has_changed() {
        let change = |noun: Noun, id: &str| (noun, id.to_owned());
        let changes = [
            change(Noun::Attendee, "ada"),
            change(Noun::Event, "workshop"),
            change(Noun::Resource, "lab"),
            change(Noun::Owner, "ben"),
        ];
        let returned = |changes: Option<&[(Noun, String)]>| -> Vec<&str> {
            let touched = ChangeScope::by(changes);
            let lives = [("ada", "lab"), ("ben", "lab"), ("zoe", "workshop")];
            let lives = lives
                .into_iter()
                .filter(|(attendee, event)| touched.cap_of(&LiveAttendee::new(attendee, event)));
            lives.map(|(attendee, _)| attendee).collect()
        };
        assert_eq!(returned(Some(&changes)), ["ada", "zoe"]);
        assert_eq!(returned(Some(&[])), Vec::<&str>::new());
        assert_eq!(returned(None), ["ada", "ben", "zoe"], "nobody knows whose");
    }
}
