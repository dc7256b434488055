//! Why an MCP server cannot be used, in words that say what to do about it.

use http::{HeaderName, StatusCode};
use thiserror::Error;

use crate::net::client::ClientError;

/// The reason. Text that comes from the backend is cut, free of control
/// characters and free of the backend key.
#[derive(Debug, Error)]
pub enum Failure {
    /// It gave no answer.
    #[error(transparent)]
    Client(#[from] ClientError),

    /// The server was not asked.
    #[error("not tested: too many tests are under way at once; wait for them to end and try again")]
    NoTurn,

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
            Failure::Client(error) => error.code(),
            Failure::NoTurn => "no_turn",
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
        match self {
            Failure::Client(error) => error.may_pass(),
            Failure::BackendError { .. } => true,
            _ => false,
        }
    }
}
