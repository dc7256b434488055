//! What belongs to one worker thread and is shared with no other: its backend
//! connections, its counters, its supply of request ids.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{HeaderName, HeaderValue};

use super::backend::Pool;
use super::plane::DataPlane;
use super::tally::Tally;

/// The header that carries a request's id, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub struct Worker {
    pub plane: Arc<DataPlane>,
    pub pool: Arc<Pool>,
    pub tally: Arc<Tally>,
    /// Random, so that ids of several replicas and starts do not meet.
    prefix: String,
    issued: AtomicU64,
}

impl Worker {
    pub fn new(plane: Arc<DataPlane>) -> Self {
        let worker = Self::uncounted(plane);
        worker.plane.tallies.lock().push(worker.tally.clone());
        worker
    }

    /// One whose calls are in no figures.
    pub fn uncounted(plane: Arc<DataPlane>) -> Self {
        let mut prefix = [0; 8];
        let random = aws_lc_rs::rand::fill(&mut prefix);
        debug_assert!(random.is_ok(), "the system's random source failed");
        let tally = Arc::new(Tally::new(plane.clock.clone()));
        Self {
            plane,
            pool: Arc::default(),
            tally,
            prefix: format!("{:016x}-", u64::from_ne_bytes(prefix)),
            issued: AtomicU64::new(0),
        }
    }

    /// The request's id: the client's own where that is harmless, else a new one.
    pub fn request_id(&self, given: Option<&HeaderValue>) -> HeaderValue {
        match given {
            Some(given) if is_harmless(given.as_bytes()) => given.clone(),
            _ => {
                let n = self.issued.fetch_add(1, Ordering::Relaxed);
                let mut id = String::with_capacity(self.prefix.len() + 16);
                id.push_str(&self.prefix);
                // Writing to a string cannot fail.
                let _ = write!(id, "{n:x}");
                HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unknown"))
            }
        }
    }
}

fn is_harmless(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=128).contains(&id.len()) && id.iter().all(is_plain)
}
