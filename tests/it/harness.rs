//! What the tests speak in: a proxy in this process, events and attendees in
//! its catalog, a backend that does exactly what it is told, and a client that
//! sees every byte; and where one process is not enough, the real binary.

pub mod attendee;
pub mod backend;
pub mod event;
pub mod process;
pub mod proxy;
pub mod refusal;
pub mod reply;
pub mod stored;
pub mod storm;
pub mod wire;

use std::time::Duration;

use tokio::time::Instant;

/// How long anything that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How soon a change of the catalog is in force.
pub const CHANGE: Duration = Duration::from_secs(2);

/// The backend key that resources have unless a test sets another.
pub const BACKEND_KEY: &str = "the-key-of-the-backend";

/// A call of a tool, which counts.
pub const CALL: &str =
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;

/// The protocol's own traffic, which does not count.
pub const PING: &str = r#"{"jsonrpc":"2.0","id":8,"method":"ping"}"#;

pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"it","version":"1"}}}"#;

/// Waits until `condition` holds; panics with `what` where it never does.
pub async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    within(PATIENCE, what, condition).await;
}

/// Waits until `condition` holds; panics with `what` where it does not in time.
pub async fn within(time: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + time;
    while !condition().await {
        assert!(Instant::now() < deadline, "still not so after {time:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
