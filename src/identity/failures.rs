//! Sign-ins that failed, counted in memory and written every few seconds: an attempt costs the
//! store no write, and takes the same time whether its name is an owner's or not.
//!
//! What was typed is not here, only whose name it was. Each account tells apart a limited number of
//! sources an hour, and so do all names together that are no owner's, so whoever guesses fills
//! neither the memory nor the store. A process that is killed loses the last seconds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use super::{Identity, LOG};
use crate::catalog::Result;
use crate::catalog::owner::sign_in::{self, Key, Outcome, Source, Times, hour_of};
use crate::db::Db;

/// Sources of an account that an hour tells apart; all others count as one.
const SOURCES: usize = 16;

/// Time between two writes.
const TICK: Duration = Duration::from_secs(10);

/// How long one is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is counted, and what is yet to be written of it.
#[derive(Default)]
pub(super) struct Failures {
    counted: Mutex<Counted>,
    /// One at a time, or two would write the same.
    writing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Counted {
    hour: i64,
    /// Those of this hour that are told apart, by owner; `None`: names that are no owner's.
    sources: HashMap<Option<String>, HashSet<Source>>,
    unwritten: BTreeMap<Key, Times>,
}

impl Failures {
    fn count(&self, owner_id: Option<String>, source: IpAddr, outcome: Outcome, now_ms: i64) {
        let hour = hour_of(now_ms);
        let mut counted = self.counted.lock();
        if counted.hour != hour {
            counted.hour = hour;
            counted.sources.clear();
        }
        let source = Source::of(source);
        let known = counted.sources.entry(owner_id.clone()).or_default();
        let is_told_apart =
            known.contains(&source) || known.len() < SOURCES && known.insert(source.clone());
        let source = if is_told_apart { source } else { Source::others() };
        let key = Key { hour, owner_id, source, outcome };
        let none = Times { count: 0, first_at: now_ms, last_at: now_ms };
        let times = counted.unwritten.entry(key).or_insert(none);
        times.count += 1;
        times.last_at = now_ms;
    }

    /// Forgets what is written. Until then it stays, so that nothing is lost where a write fails.
    fn written(&self, written: &BTreeMap<Key, Times>) {
        let mut counted = self.counted.lock();
        for (key, times) in written {
            if let Some(left) = counted.unwritten.get_mut(key) {
                left.count -= times.count;
            }
        }
        counted.unwritten.retain(|_, left| left.count > 0);
    }

    /// Writes what is counted to the store and to the log.
    async fn write(&self, db: &Db) -> Result<()> {
        let unwritten = self.counted.lock().unwritten.clone();
        if unwritten.is_empty() {
            return Ok(());
        }
        sign_in::count(db, &unwritten).await?;
        self.written(&unwritten);
        for (key, times) in &unwritten {
            tracing::warn!(
                target: LOG,
                owner = key.owner_id,
                source = key.source.as_str(),
                outcome = key.outcome.as_str(),
                times = times.count,
                "somebody could not sign in"
            );
        }
        Ok(())
    }
}

impl Identity {
    /// Counts an attempt that failed; nothing where there is no outcome to count.
    pub(super) fn note_failure(
        &self,
        owner_id: Option<String>,
        source: IpAddr,
        outcome: Option<Outcome>,
    ) {
        if let Some(outcome) = outcome {
            self.failures.count(owner_id, source, outcome, self.clock.now_ms());
        }
    }

    /// Writes what failed so far, in a task of its own: whoever waits for it may give up, but a write
    /// that was given up between its commit and [`Failures::written`] would be counted twice.
    async fn write_failures(&self) -> Result<()> {
        let writing = self.failures.writing.clone().lock_owned().await;
        let (db, failures) = (self.db.clone(), self.failures.clone());
        let task = tokio::spawn(async move {
            let _writing = writing;
            failures.write(&db).await
        });
        // It is never aborted, and where it panicked its hook has said so.
        task.await.unwrap_or(Ok(()))
    }

    /// Writes them from time to time, until it is aborted.
    pub async fn keep_writing_failures(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.write_failures_in_time().await;
        }
    }

    /// Writes them once, and waits a bounded time for it; so does a page, so that it shows all of this
    /// replica's. What could not be written stays for the next time.
    pub async fn write_failures_in_time(&self) {
        match tokio::time::timeout(PATIENCE, self.write_failures()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "failed sign-ins could not be written"),
            Err(_) => tracing::warn!("failed sign-ins could not be written in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::catalog::seal::{MasterKey, Vault};
    use crate::clock::{Clock, HOUR_MS};
    use crate::db::sqlite_url;

    fn at(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    fn unwritten(failures: &Failures) -> BTreeMap<Key, Times> {
        failures.counted.lock().unwritten.clone()
    }

    #[test]
    fn an_hour_tells_apart_few_sources_of_each_account_and_counts_all() {
        let failures = Failures::default();
        for n in 0..1000 {
            for whose in [None, Some("ada".to_owned())] {
                failures.count(whose, at(n), Outcome::WrongPassword, i64::from(n));
            }
        }
        failures.count(Some("bob".to_owned()), at(999), Outcome::WrongPassword, 5);
        let counted = unwritten(&failures);
        assert_eq!(counted.len(), 2 * (SOURCES + 1) + 1);
        let of = |owner: &str, source| {
            let owner_id = Some(owner.to_owned());
            counted[&Key { hour: 0, owner_id, source, outcome: Outcome::WrongPassword }]
        };
        let others = of("ada", Source::others());
        assert_eq!((others.count, others.first_at, others.last_at), (984, 16, 999));
        assert_eq!(of("ada", Source::of(at(0))).count, 1);
        assert_eq!(of("bob", Source::of(at(999))).count, 1, "by nobody else's sources");

        failures.count(None, at(999), Outcome::WrongPassword, HOUR_MS);
        let next = Key { hour: HOUR_MS, owner_id: None, source: Source::of(at(999)), ..key() };
        assert_eq!(unwritten(&failures)[&next].count, 1, "the next hour tells others apart");
    }

    fn key() -> Key {
        let outcome = Outcome::WrongPassword;
        Key { hour: 0, owner_id: None, source: Source::of(at(1)), outcome }
    }

    #[test]
    fn what_fails_during_a_write_waits_for_the_next() {
        let failures = Failures::default();
        failures.count(None, at(1), Outcome::WrongPassword, 0);
        let written = unwritten(&failures);
        failures.count(None, at(1), Outcome::WrongPassword, 1);
        failures.written(&written);
        assert_eq!(unwritten(&failures)[&key()].count, 1);
        failures.written(&unwritten(&failures));
        assert_eq!(unwritten(&failures), BTreeMap::new());
        assert_eq!(failures.counted.lock().sources.len(), 1, "the hour still knows its sources");
    }
    /// Ends with its future, or when that has waited as often as is left.
    struct GivenUp<F> {
        future: Pin<Box<F>>,
        waits: usize,
    }

    impl<F: Future<Output = ()>> Future for GivenUp<F> {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            if self.future.as_mut().poll(cx).is_ready() || self.waits == 0 {
                return Poll::Ready(());
            }
            self.waits -= 1;
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn what_is_written_counts_once_wherever_it_is_no_longer_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&sqlite_url(&folder.path().join("ai-proxy.db"))).await.unwrap();
        let key = MasterKey::from_base64(&STANDARD.encode([7; 32]), "the test").unwrap();
        let (vault, clock) = (Arc::new(Vault::new(&key, None)), Clock::default());
        let identity = Identity::new(Arc::new(db.clone()), vault, None, None, clock);
        for waits in 0..20 {
            identity.note_failure(None, at(1), Some(Outcome::WrongPassword));
            let future = Box::pin(identity.write_failures_in_time());
            GivenUp { future, waits }.await;
        }
        identity.write_failures_in_time().await;
        let stored = "select cast(sum(times) as bigint) from sign_in";
        let stored: i64 = sqlx::query_scalar(stored).fetch_one(db.pool()).await.unwrap();
        assert_eq!(stored, 20);
    }
}
