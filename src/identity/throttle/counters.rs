//! A fixed number of counters. Everybody who is counted has one of them, and several people
//! may share it.
//!
//! A keyed hash chooses the counter. The key is random and never leaves this process, so nobody
//! outside can find out with whom they share one.

use std::hash::{BuildHasher, Hash, RandomState};

const COUNTERS: usize = 65_536;

/// Attempts of many in windows of time, up to a limit for each.
pub(super) struct Counters {
    limit: u32,
    window_ms: i64,
    key: RandomState,
    /// When the window of each counter began, UTC milliseconds, and the attempts in it.
    began: Vec<i64>,
    counts: Vec<u32>,
}

impl Counters {
    pub(super) fn new(limit: u32, window_ms: i64) -> Self {
        // Zeroed pages take no memory before they are written.
        let (began, counts) = (vec![0; COUNTERS], vec![0; COUNTERS]);
        Self { limit, window_ms, key: RandomState::new(), began, counts }
    }

    /// The counter of `who`.
    pub(super) fn place(&self, who: impl Hash) -> usize {
        self.key.hash_one(who) as usize % COUNTERS
    }

    /// Milliseconds until the counter takes another attempt, where it takes none now.
    pub(super) fn wait(&self, at: usize, now: i64) -> Option<u64> {
        let ends = self.began[at] + self.window_ms;
        let is_full = self.is_in_window(at, now) && self.counts[at] >= self.limit;
        is_full.then(|| (ends - now).cast_unsigned())
    }

    pub(super) fn count(&mut self, at: usize, now: i64) {
        if !self.is_in_window(at, now) {
            (self.began[at], self.counts[at]) = (now, 0);
        }
        self.counts[at] = self.counts[at].saturating_add(1);
    }

    pub(super) fn take_back(&mut self, at: usize) {
        self.counts[at] = self.counts[at].saturating_sub(1);
    }

    /// When the clock was set back, a new window begins.
    fn is_in_window(&self, at: usize, now: i64) -> bool {
        (self.began[at]..self.began[at] + self.window_ms).contains(&now)
    }
}
