//! The progress of a client's connection. The guard that reads its bytes, the service that
//! answers its requests and the watch that closes it when it stalls share it. It holds counts
//! and flags only: what follows from them is decided by those three.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use parking_lot::Mutex;

use super::hyper_body::Leftover;

/// How long a connection may lie idle between two requests.
const IDLE: Duration = Duration::from_secs(75);

/// The state that the guard, the service and the watch of one connection share.
pub(super) struct Progress(Mutex<State>);

struct State {
    /// Heads that have come whole.
    heads: u64,
    /// Which of them, counted from 0, is not plain; nothing after it is judged.
    ambiguous: Option<u64>,
    /// Requests that are or were served, and those it is done with.
    begun: u64,
    served: u64,
    is_in_head: bool,
    is_in_body: bool,
    /// Nobody reads the rest of the body that is coming in.
    is_unread: bool,
    /// The connection is closed except that its client may still send.
    is_lingering: bool,
    /// Woken when the request that is being served is done with.
    waits: Option<Waker>,
    /// An answer broke off that only a reset can tell from a whole one.
    must_reset: bool,
    /// When the last request was done with, or the head that is coming in began.
    since: Instant,
}

/// What the watch should do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// It lies idle: close it when nothing is under way.
    Idle,
    /// Its head does not come to an end, or it did not close when it was asked to.
    Stalled,
}

/// A request that is being served, until it is dropped.
pub(super) struct ActiveRequest {
    /// Two readers could frame it differently, or nobody saw its head.
    pub is_ambiguous: bool,
    progress: Arc<Progress>,
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let mut state = self.progress.0.lock();
        state.served += 1;
        state.since = Instant::now();
        if let Some(waker) = state.waits.take() {
            waker.wake();
        }
    }
}

impl ActiveRequest {
    /// Its answer broke off, and it had no framing but the connection's end: a
    /// reset is to end that, for whatever reads it as HTTP/1.0.
    pub(super) fn broke_off(&self) {
        self.progress.0.lock().must_reset = true;
    }

    /// Whether the client is still sending the request.
    pub(super) fn is_coming_in(&self) -> bool {
        self.progress.0.lock().is_in_body
    }
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            heads: 0,
            ambiguous: None,
            begun: 0,
            served: 0,
            is_in_head: false,
            is_in_body: false,
            is_unread: false,
            is_lingering: false,
            waits: None,
            must_reset: false,
            since: Instant::now(),
        })))
    }

    /// A head has come whole.
    pub(super) fn head(&self, is_ambiguous: bool) {
        let mut state = self.0.lock();
        if is_ambiguous && state.ambiguous.is_none() {
            state.ambiguous = Some(state.heads);
        }
        state.heads += 1;
    }

    /// The part of a request to which the last byte read belongs.
    pub(super) fn is_in(&self, is_in_head: bool, is_in_body: bool) {
        let mut state = self.0.lock();
        if is_in_head && !state.is_in_head {
            state.since = Instant::now();
        }
        (state.is_in_head, state.is_in_body) = (is_in_head, is_in_body);
    }

    /// Whether a request that has come whole is yet to be done with.
    pub(super) fn is_serving(&self) -> bool {
        let state = self.0.lock();
        state.served < state.heads
    }

    /// Wakes once the request that is being served is done with.
    pub(super) fn wake_when_served(&self, waker: &Waker) {
        self.0.lock().waits = Some(waker.clone());
    }

    /// Whether nobody reads the rest of the body that is coming in.
    pub(super) fn is_unread(&self) -> bool {
        self.0.lock().is_unread
    }

    /// The connection is closed except that its client may still send; for that there is
    /// a time-out of its own.
    pub(super) fn lingers(&self) {
        self.0.lock().is_lingering = true;
    }

    /// Whether only a reset can tell the client that its answer broke off.
    pub(super) fn must_reset(&self) -> bool {
        self.0.lock().must_reset
    }

    /// The next request in the order of their heads is to be served.
    pub(super) fn begin(self: &Arc<Self>) -> ActiveRequest {
        let mut state = self.0.lock();
        let number = state.begun;
        state.begun += 1;
        state.is_unread = false;
        let is_plain = number < state.heads && state.ambiguous.is_none_or(|first| number < first);
        ActiveRequest { is_ambiguous: !is_plain, progress: self.clone() }
    }

    /// As [`begin`](Self::begin), where the protocol frames requests (HTTP/2).
    pub(super) fn begin_framed(self: &Arc<Self>, is_ambiguous: bool) -> ActiveRequest {
        self.head(false);
        let mut active = self.begin();
        active.is_ambiguous |= is_ambiguous;
        active
    }

    /// Judges the connection by how long a head may take.
    pub(super) fn verdict(&self, header_timeout: Duration) -> Verdict {
        let state = self.0.lock();
        let time = state.since.elapsed();
        let is_waited_for = state.is_in_head || state.served == 0 || state.served != state.heads;
        if state.served < state.begun || state.is_lingering {
            Verdict::Keep
        } else if (is_waited_for && time >= header_timeout) || time >= 2 * IDLE {
            Verdict::Stalled
        } else if time >= IDLE {
            Verdict::Idle
        } else {
            Verdict::Keep
        }
    }
}

/// HTTP/1: the connection's bytes are read and dropped by the guard.
impl Leftover for Progress {
    fn leave(&self, _: Incoming) {
        self.0.lock().is_unread = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_must_send_its_heads_in_time() {
        let progress = Progress::new();
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Stalled, "nothing comes");
        progress.head(false);
        let active = progress.begin();
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Keep, "it is being served");
        drop(active);
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Keep, "kept alive");
        progress.is_in(true, false);
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Stalled, "a head does not end");
    }

    #[test]
    fn a_head_that_the_parser_does_not_take_is_not_waited_for() {
        let progress = Progress::new();
        progress.head(false);
        assert_eq!(progress.verdict(Duration::ZERO), Verdict::Stalled);
    }

    #[test]
    fn only_requests_before_the_first_ambiguous_one_are_plain() {
        let progress = Progress::new();
        for is_ambiguous in [false, true, false] {
            progress.head(is_ambiguous);
        }
        let judged = [(); 4].map(|()| progress.begin().is_ambiguous);
        assert_eq!(judged, [false, true, true, true]);
    }
}
