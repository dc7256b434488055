//! Connections to backends: made, kept for the next call, and dropped before the
//! backend would drop them.
//!
//! A pool belongs to one worker thread. HTTP/1.1 only: it is what MCP servers
//! speak, and one stream per connection means that a client that leaves takes
//! exactly its own backend request with it. The protocol is spoken here and not
//! by a task beside the call (hyper's client): a silent stream then costs no
//! buffers, and no chunk changes hands on its way.

mod answer;
mod dial;
mod exchange;
mod framing;
mod upload;

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};

pub use self::dial::{Dialer, Stream};
pub use self::exchange::{Failed, Incoming};
pub use self::upload::Head;
use crate::catalog::resource::Endpoint;

/// How long a connection may lie idle: uvicorn closes its own at 5 s, and a
/// request that crosses with that close is lost.
pub const IDLE: Duration = Duration::from_secs(4);

/// The idle connections of one worker, by origin.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<HashMap<Arc<str>, Vec<Idle>, foldhash::fast::RandomState>>,
}

struct Idle {
    stream: Box<dyn Stream>,
    since: Instant,
}

impl Idle {
    /// Whether the backend has neither closed it nor said anything out of turn.
    fn is_usable(&mut self) -> bool {
        let (mut byte, mut cx) = ([0], Context::from_waker(Waker::noop()));
        let said = Pin::new(&mut self.stream).poll_read(&mut cx, &mut ReadBuf::new(&mut byte));
        said.is_pending() && self.since.elapsed() < IDLE
    }
}

/// A connection in use by one call.
pub struct Connection {
    stream: Box<dyn Stream>,
    origin: Arc<str>,
    pool: Arc<Pool>,
}

impl Pool {
    /// The connection that was used last, else a new one.
    pub async fn get(
        self: &Arc<Self>,
        dialer: &Dialer,
        endpoint: &Endpoint,
    ) -> io::Result<Connection> {
        let stream = match self.take(&endpoint.origin) {
            Some(stream) => stream,
            // Boxed: what connecting and TLS need would weigh on every open stream.
            None => Box::pin(dialer.connect(endpoint)).await?,
        };
        Ok(Connection::new(stream, endpoint.origin.clone(), self.clone()))
    }

    fn take(&self, origin: &str) -> Option<Box<dyn Stream>> {
        let mut idle = self.idle.lock();
        let connections = idle.get_mut(origin)?;
        while let Some(mut idle) = connections.pop() {
            if idle.is_usable() {
                return Some(idle.stream);
            }
        }
        None
    }

    /// Closes connections that lay idle too long.
    pub fn sweep(&self) {
        self.idle.lock().retain(|_, connections| {
            connections.retain_mut(Idle::is_usable);
            !connections.is_empty()
        });
    }
}

impl Connection {
    /// One that will be kept in `pool`.
    pub fn new(stream: Box<dyn Stream>, origin: Arc<str>, pool: Arc<Pool>) -> Self {
        Self { stream, origin, pool }
    }

    /// Keeps it for the next call. To be called between two exchanges only.
    fn keep(self) {
        let Self { stream, origin, pool } = self;
        let idle = Idle { stream, since: Instant::now() };
        pool.idle.lock().entry(origin).or_default().push(idle);
    }
}
