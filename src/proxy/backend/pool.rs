//! The idle connections of one worker thread, and how long the backends keep theirs.
//!
//! A request that crosses with the backend's closing of an idle connection is lost.
//! So a connection is not used again once it has been idle for as long as the backend
//! announced or was seen to close it at; and before each use the socket is asked.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Dialer, IdleActivity, Stream};
use crate::catalog::resource::Endpoint;

/// How long a connection may lie idle: uvicorn closes its own at 5 s.
const IDLE: Duration = Duration::from_secs(4);

/// How much earlier than the backend a connection is given up, where the time that
/// the backend announced is long enough.
const MARGIN: Duration = Duration::from_secs(1);

/// How long a backend's own closing is remembered. A restart closes connections of
/// any age, so what is learned from it has to be forgotten again.
const MEMORY: Duration = Duration::from_secs(5 * 60);

/// The connections of one worker, by origin.
#[derive(Default)]
pub struct Pool {
    origins: Mutex<HashMap<Arc<str>, Origin, foldhash::fast::RandomState>>,
}

#[derive(Default)]
struct Origin {
    idle: Vec<Idle>,
    learned: Option<ClosingAge>,
}

struct Idle {
    stream: Box<dyn Stream>,
    since: Instant,
    /// How long it may lie idle, as far as the backend's answers say.
    limit: Duration,
}

/// That the backend closes idle connections on its own.
#[derive(Clone, Copy)]
struct ClosingAge {
    limit: Duration,
    at: Instant,
}

/// A connection in use by one call.
pub struct Connection {
    pub(super) stream: Box<dyn Stream>,
    origin: Arc<str>,
    pool: Arc<Pool>,
    /// How long it was idle before this use; `None` for a new one.
    was_idle: Option<Duration>,
}

impl Pool {
    /// The connection that was used last, else a new one.
    ///
    /// # Errors
    /// The backend cannot be reached.
    pub async fn get(
        self: &Arc<Self>,
        dialer: &Dialer,
        endpoint: &Endpoint,
    ) -> io::Result<Connection> {
        match self.take(&endpoint.origin) {
            Some((stream, was_idle)) => {
                let mut connection = Connection::new(stream, endpoint.origin.clone(), self.clone());
                connection.was_idle = Some(was_idle);
                Ok(connection)
            }
            None => self.dial(dialer, endpoint).await,
        }
    }

    /// A new connection.
    ///
    /// # Errors
    /// The backend cannot be reached.
    pub async fn dial(
        self: &Arc<Self>,
        dialer: &Dialer,
        endpoint: &Endpoint,
    ) -> io::Result<Connection> {
        // Boxed: what connecting and TLS need would weigh on every open stream.
        let stream = Box::pin(dialer.connect(endpoint)).await?;
        Ok(Connection::new(stream, endpoint.origin.clone(), self.clone()))
    }

    pub(super) fn take(&self, origin: &str) -> Option<(Box<dyn Stream>, Duration)> {
        let now = Instant::now();
        let mut origins = self.origins.lock();
        let origin = origins.get_mut(origin)?;
        while let Some(mut idle) = origin.idle.pop() {
            if origin.keeps(&mut idle, now) {
                return Some((idle.stream, now - idle.since));
            }
        }
        None
    }

    /// Closes connections that lay idle too long.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.origins.lock().retain(|_, origin| {
            let mut idle = std::mem::take(&mut origin.idle);
            idle.retain_mut(|idle| origin.keeps(idle, now));
            origin.idle = idle;
            !origin.idle.is_empty() || origin.learned.is_some_and(|learned| learned.holds(now))
        });
    }

    /// Notes that a backend closed a connection that had lain idle for `age`.
    fn learn(&self, origin: &Arc<str>, age: Duration) {
        self.origins.lock().entry(origin.clone()).or_default().learn(age, Instant::now());
    }
}

impl Origin {
    /// Whether the connection may be used, also for another moment.
    fn keeps(&mut self, idle: &mut Idle, now: Instant) -> bool {
        let age = now - idle.since;
        match idle.stream.idle_activity() {
            IdleActivity::Nothing => age < idle.limit.min(self.limit(now)),
            IdleActivity::Bytes => false,
            IdleActivity::Close => {
                self.learn(age, now);
                false
            }
        }
    }

    /// The closing may have been noticed late, so half of the age is what is safe;
    /// where that is still too long, the next closing halves it again.
    fn learn(&mut self, age: Duration, now: Instant) {
        let limit = self.limit(now).min(age / 2);
        self.learned = Some(ClosingAge { limit, at: now });
    }

    fn limit(&self, now: Instant) -> Duration {
        self.learned.filter(|learned| learned.holds(now)).map_or(IDLE, |learned| learned.limit)
    }
}

impl ClosingAge {
    fn holds(&self, now: Instant) -> bool {
        now - self.at < MEMORY
    }
}

impl Connection {
    /// A new one that will be kept in `pool`.
    pub fn new(stream: Box<dyn Stream>, origin: Arc<str>, pool: Arc<Pool>) -> Self {
        Self { stream, origin, pool, was_idle: None }
    }

    /// Keeps it for the next call. To be called between two exchanges only.
    ///
    /// `announced` is how long the backend said that it keeps its side open.
    pub(super) fn keep(self, announced: Option<Duration>) {
        let Self { stream, origin, pool, .. } = self;
        let limit = announced.map_or(IDLE, |time| (time - MARGIN.min(time / 2)).min(IDLE));
        let idle = Idle { stream, since: Instant::now(), limit };
        pool.origins.lock().entry(origin).or_default().idle.push(idle);
    }

    /// The connection ended before a byte of the answer came: if it had lain idle,
    /// the backend closed it for that.
    pub(super) fn closed_unanswered(&self) {
        if let Some(age) = self.was_idle {
            self.pool.learn(&self.origin, age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_own_closing_is_learned_and_forgotten() {
        let (mut origin, start) = (Origin::default(), Instant::now());
        assert_eq!(origin.limit(start), IDLE);
        origin.learn(Duration::from_secs(3), start);
        assert_eq!(origin.limit(start), Duration::from_millis(1500));
        origin.learn(Duration::from_secs(1), start);
        assert_eq!(origin.limit(start), Duration::from_millis(500));
        // A closing at a greater age says nothing new.
        origin.learn(Duration::from_secs(3), start);
        assert_eq!(origin.limit(start + MEMORY / 2), Duration::from_millis(500));
        assert_eq!(origin.limit(start + MEMORY), IDLE);
    }
}
