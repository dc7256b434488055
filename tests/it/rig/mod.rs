//! What the tests of the proxy under attack, at its limits and in pieces use:
//! the real binary as a process, a PostgreSQL of one's own, a cable that can be
//! cut, a client that writes raw bytes, and a backend that answers with them.

pub mod hostile;
pub mod postgres;
pub mod process;
pub mod relay;
pub mod room;
pub mod storm;
pub mod wire;

use std::time::Duration;

use tokio::time::Instant;

/// How long anything that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds; panics with `what` where it never does.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
