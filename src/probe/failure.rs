//! Why an MCP server cannot be used, in words that say what to do about it.

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use thiserror::Error;

/// The reason. Text that comes from the backend is cut, free of control
/// characters and free of the backend key.
#[derive(Debug, Error)]
pub enum Failure {
    #[error("the endpoint URL cannot be used: it needs http:// or https://, a host and a path")]
    BadUrl,

    #[error("the name {host} cannot be resolved: check its spelling and this machine's DNS")]
    Dns { host: String },

    #[error(
        "{host} is at {address}, which the endpoint policy refuses (link-local and cloud-metadata \
         addresses always, private ones under --endpoint-policy public)"
    )]
    AddressRefused { host: String, address: IpAddr },

    #[error("{authority} refused the connection: is the MCP server running, and on this port?")]
    Refused { authority: String },

    #[error("{authority} cannot be reached: {reason}")]
    Unreachable { authority: String, reason: String },

    /// The server was not asked.
    #[error("not tested: too many tests are under way at once; wait for them to end and try again")]
    NoTurn,

    #[error("{what} took longer than {} s", limit.as_secs_f32())]
    TimedOut { what: &'static str, limit: Duration },

    #[error("TLS with {authority} failed: {reason}")]
    Tls { authority: String, reason: String },

    #[error("the connection broke before an answer: {reason}")]
    Broken { reason: String },

    #[error("{} from backend: {}", status.as_u16(), key_advice(.sent_as.as_ref()))]
    Unauthorized {
        /// 401 or 403.
        status: StatusCode,
        /// The header that carried the backend key, if there is one.
        sent_as: Option<HeaderName>,
    },

    #[error(
        "wrong path: nothing speaks MCP at {path}, but {works} does; put {works} into the endpoint URL"
    )]
    WrongPath { path: String, works: String },

    /// What was found, while a path that may be the right one gave no answer.
    #[error("{found} (whether {path} is the right one could not be told: {reason})")]
    Unsettled { found: Box<Failure>, path: String, reason: Box<Failure> },

    #[error("404 from backend: nothing is at {path}; check the path of the endpoint URL")]
    NotFound { path: String },

    #[error("{} from backend: it redirects to {to}; register the URL that it leads to", status.as_u16())]
    Redirect { status: StatusCode, to: String },

    #[error("it redirects again and again; register the URL where that ends")]
    RedirectLoop,

    #[error("not an MCP endpoint: it answered {} with {what}", status.as_u16())]
    NotMcp { status: StatusCode, what: &'static str },

    #[error("an MCP server of the older HTTP+SSE transport: only Streamable HTTP can be proxied")]
    SseOnly,

    #[error(
        "421 from backend: the MCP server does not answer to the host name {host}; allow that \
         name in its settings"
    )]
    HostRefused { host: String },

    #[error("{} from backend: it is there, but it does not work now", status.as_u16())]
    BackendError { status: StatusCode },

    #[error("the MCP server refused {method}: {message} (code {code})")]
    Protocol { method: &'static str, code: i64, message: String },

    /// Of a way that leads through the proxy itself; `code` is the refusal's.
    #[error("{} from proxy: {code}", status.as_u16())]
    Proxy { status: StatusCode, code: &'static str },

    #[error("the MCP server's answers to {method} are larger than {} MiB in all", most >> 20)]
    TooMuch { method: &'static str, most: usize },

    #[error("the MCP server's answer to {method} is not what the protocol says: {reason}")]
    Malformed { method: &'static str, reason: &'static str },
}

fn key_advice(sent_as: Option<&HeaderName>) -> String {
    match sent_as {
        Some(header) => format!(
            "it does not accept the key registered for this resource, which was sent in the \
             header {header}"
        ),
        None => "it asks for a key and none is registered for this resource".to_owned(),
    }
}

impl Failure {
    /// A stable name for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Failure::BadUrl => "bad_url",
            Failure::Dns { .. } => "dns",
            Failure::AddressRefused { .. } => "address_refused",
            Failure::Refused { .. } => "refused",
            Failure::Unreachable { .. } => "unreachable",
            Failure::NoTurn => "no_turn",
            Failure::TimedOut { .. } => "timed_out",
            Failure::Tls { .. } => "tls",
            Failure::Broken { .. } => "broken",
            Failure::Unauthorized { .. } => "unauthorized",
            Failure::WrongPath { .. } => "wrong_path",
            Failure::Unsettled { found, .. } => found.code(),
            Failure::NotFound { .. } => "not_found",
            Failure::Redirect { .. } => "redirect",
            Failure::RedirectLoop => "redirect_loop",
            Failure::NotMcp { .. } => "not_mcp",
            Failure::SseOnly => "sse_only",
            Failure::HostRefused { .. } => "host_refused",
            Failure::BackendError { .. } => "backend_error",
            Failure::Protocol { .. } => "protocol",
            Failure::Proxy { code, .. } => code,
            Failure::TooMuch { .. } => "too_much",
            Failure::Malformed { .. } => "malformed",
        }
    }

    /// Whether another path at the same origin may be the one that was meant.
    pub fn may_be_the_path(&self) -> bool {
        matches!(
            self,
            Failure::NotFound { .. }
                | Failure::NotMcp { .. }
                | Failure::Redirect { .. }
                | Failure::SseOnly
        )
    }

    /// Whether it says of this moment more than of the server.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Failure::Refused { .. }
                | Failure::Unreachable { .. }
                | Failure::TimedOut { .. }
                | Failure::Broken { .. }
                | Failure::BackendError { .. }
        )
    }
}
