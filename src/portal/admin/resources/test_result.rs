//! The result of *Test connection*, as the form shows it.

use crate::probe::Report;

/// Tools that are named; a backend may have thousands.
const NAMED: usize = 50;
/// How much of a backend's names is shown.
const SHOWN: usize = 64;

/// What the test found.
pub enum TestResult {
    Works(WorkingServer),
    /// The exact reason.
    Fails(String),
}

/// What a server that works says of itself.
pub struct WorkingServer {
    pub server: String,
    pub version: String,
    pub protocol: String,
    pub connect_ms: u64,
    pub latency_ms: u64,
    pub tools: Vec<String>,
    /// Tools beyond those named.
    pub more: usize,
    pub gives_one_session: bool,
}

impl From<Report> for WorkingServer {
    fn from(report: Report) -> Self {
        let short = |text: &String| text.chars().take(SHOWN).collect::<String>();
        let tools: Vec<_> = report.tools.iter().take(NAMED).map(short).collect();
        Self {
            server: short(&report.server.name),
            version: short(&report.server.version),
            protocol: short(&report.protocol_version),
            connect_ms: report.connect_ms,
            latency_ms: report.latency_ms,
            gives_one_session: report.constant_session.is_some(),
            more: report.tools.len() - tools.len(),
            tools,
        }
    }
}
