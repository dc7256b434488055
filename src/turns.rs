//! Turns for work that costs memory or time: a bounded number at once, of which one asker
//! has only a few, so that an asker whose work never ends delays nobody else.
//!
//! An asker is an owner, or the network that a visitor is in. Those who come while all places
//! are taken wait in order, for a limited time and in limited number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many turns there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Turns at once, of all askers.
    pub at_once: usize,
    /// Turns of one asker at once.
    pub each: usize,
    /// Maximum number of waiting requests: of all askers, and of one.
    pub waiting: usize,
    pub waiting_each: usize,
    /// How long they wait.
    pub patience: Duration,
}

/// There was no turn: too many are under way, or waited before.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many are under way at once")]
pub(crate) struct Full;

/// The turns for one kind of work.
pub(crate) struct Turns<K: Eq + Hash + Clone> {
    bounds: Bounds,
    places: Arc<Semaphore>,
    queues: Arc<Mutex<Queues<K>>>,
}

struct Queues<K> {
    /// Requests that have a turn or wait for one.
    entered: usize,
    by_asker: HashMap<K, Queue>,
}

struct Queue {
    entered: usize,
    own: Arc<Semaphore>,
}

/// A turn; it ends when this is dropped.
pub(crate) struct Turn<K: Eq + Hash + Clone> {
    _place: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
    _entry: Entry<K>,
}

/// An asker's place in the queue. The last one takes the queue away.
struct Entry<K: Eq + Hash + Clone> {
    asker: K,
    queues: Arc<Mutex<Queues<K>>>,
}

impl<K: Eq + Hash + Clone> Drop for Entry<K> {
    fn drop(&mut self) {
        let mut queues = self.queues.lock();
        queues.entered -= 1;
        if let Some(queue) = queues.by_asker.get_mut(&self.asker) {
            queue.entered -= 1;
            if queue.entered == 0 {
                queues.by_asker.remove(&self.asker);
            }
        }
    }
}

impl<K: Eq + Hash + Clone> Turns<K> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let queues = Queues { entered: 0, by_asker: HashMap::new() };
        Self {
            bounds,
            places: Arc::new(Semaphore::new(bounds.at_once)),
            queues: Arc::new(Mutex::new(queues)),
        }
    }

    /// A turn of this asker's, after those who came before.
    ///
    /// # Errors
    /// Too many wait already, or none came free in time.
    pub(crate) async fn take(&self, asker: &K) -> Result<Turn<K>, Full> {
        let (entry, own) = self.enter(asker)?;
        // The asker's own first: whoever waits for that takes no place from others.
        let both = async {
            let own = own.acquire_owned().await.map_err(|_| Full)?;
            let place = self.places.clone().acquire_owned().await.map_err(|_| Full)?;
            Ok(Turn { _place: place, _own: own, _entry: entry })
        };
        tokio::time::timeout(self.bounds.patience, both).await.map_err(|_| Full)?
    }

    fn enter(&self, asker: &K) -> Result<(Entry<K>, Arc<Semaphore>), Full> {
        let Bounds { at_once, each, waiting, waiting_each, .. } = self.bounds;
        let mut queues = self.queues.lock();
        let of_asker = queues.by_asker.get(asker).map_or(0, |queue| queue.entered);
        if queues.entered >= at_once + waiting || of_asker >= each + waiting_each {
            return Err(Full);
        }
        queues.entered += 1;
        let queue = queues
            .by_asker
            .entry(asker.clone())
            .or_insert_with(|| Queue { entered: 0, own: Arc::new(Semaphore::new(each)) });
        queue.entered += 1;
        let own = queue.own.clone();
        Ok((Entry { asker: asker.clone(), queues: self.queues.clone() }, own))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        at_once: 3,
        each: 2,
        waiting: 3,
        waiting_each: 2,
        patience: Duration::from_secs(3600),
    };

    #[tokio::test]
    async fn one_asker_leaves_a_place_to_others() {
        let turns = Turns::new(BOUNDS);
        let held = [turns.take(&"a").await.unwrap(), turns.take(&"a").await.unwrap()];
        let (mut third, mut fourth) = (Box::pin(turns.take(&"a")), Box::pin(turns.take(&"a")));
        assert!((&mut third).now_or_never().is_none(), "waits for a turn of its own");
        assert!((&mut fourth).now_or_never().is_none());
        assert!(turns.take(&"a").now_or_never().unwrap().is_err(), "too many of one wait");

        let other = turns.take(&"b").now_or_never().expect("has a place").unwrap();
        let mut next = Box::pin(turns.take(&"b"));
        assert!((&mut next).now_or_never().is_none(), "no place is free");
        assert!(turns.take(&"c").now_or_never().unwrap().is_err(), "too many wait in all");

        // Whoever waited for a place comes before those who only now have a turn of their own.
        drop(held);
        drop(other);
        assert!(next.await.is_ok() && third.await.is_ok() && fourth.await.is_ok());
        assert_eq!(turns.queues.lock().entered, 0);
        assert!(turns.queues.lock().by_asker.is_empty(), "nobody is remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let turns = Turns::new(Bounds { patience: Duration::from_secs(5), ..BOUNDS });
        let _held = [turns.take(&1).await.unwrap(), turns.take(&1).await.unwrap()];
        assert!(turns.take(&1).await.is_err());
        assert_eq!(turns.queues.lock().entered, 2, "who gave up is not counted");
    }
}
