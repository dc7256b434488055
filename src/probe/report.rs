//! The result of a check.

use http::HeaderValue;
use serde::Serialize;

/// What a working MCP server said of itself.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub server: ServerInfo,
    /// The revision that was agreed on, such as `2025-11-25`.
    pub protocol_version: String,
    /// The names of its tools, in its order.
    pub tools: Vec<String>,
    /// The id of the session that it gives to everybody, if it does.
    #[serde(skip)]
    pub constant_session: Option<Box<HeaderValue>>,
    /// Milliseconds until the connection stood: DNS, TCP and TLS.
    pub connect_ms: u64,
    /// Milliseconds from the opening request to its answer.
    pub latency_ms: u64,
}

/// The server's name for itself.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ServerInfo {
    pub name: String,
    pub version: String,
}
