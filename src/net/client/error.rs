//! Why a server gave no answer, in words that say what to do about it.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use crate::net::dial::ResolveError;

/// What took too long where [`ClientError::TimedOut`] says so of a server that was reached.
pub(crate) const TLS_HANDSHAKE: &str = "the TLS handshake";

/// The reason. It contains no text from the server.
#[derive(Debug, Error)]
pub enum ClientError {
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

    #[error("{what} took longer than {} s", limit.as_secs_f32())]
    TimedOut { what: &'static str, limit: Duration },

    #[error("TLS with {authority} failed: {reason}")]
    Tls { authority: String, reason: String },

    #[error("the connection broke before an answer: {reason}")]
    Broken { reason: &'static str },
}

impl ClientError {
    /// A stable name for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            ClientError::BadUrl => "bad_url",
            ClientError::Dns { .. } => "dns",
            ClientError::AddressRefused { .. } => "address_refused",
            ClientError::Refused { .. } => "refused",
            ClientError::Unreachable { .. } => "unreachable",
            ClientError::TimedOut { .. } => "timed_out",
            ClientError::Tls { .. } => "tls",
            ClientError::Broken { .. } => "broken",
        }
    }

    /// Whether it says more about this moment than about the server.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            ClientError::Refused { .. }
                | ClientError::Unreachable { .. }
                | ClientError::TimedOut { .. }
                | ClientError::Broken { .. }
        )
    }

    /// A connection that ended before the answer did.
    pub fn broken(error: &hyper::Error) -> Self {
        let reason = if error.is_parse() {
            "it is not HTTP; should the endpoint URL begin with https://?"
        } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            "the other side closed it"
        } else {
            "it was reset"
        };
        ClientError::Broken { reason }
    }

    pub(super) fn unresolved(host: &str, error: ResolveError, limit: Duration) -> Self {
        let host = host.to_owned();
        match error {
            ResolveError::TimedOut => {
                ClientError::TimedOut { what: "resolving the host name", limit }
            }
            ResolveError::Unknown(_) => ClientError::Dns { host },
            ResolveError::Refused(address) => ClientError::AddressRefused { host, address },
        }
    }

    pub(super) fn unconnected(authority: &str, error: &io::Error, limit: Duration) -> Self {
        let authority = authority.to_owned();
        match error.kind() {
            io::ErrorKind::TimedOut => ClientError::TimedOut { what: "connecting", limit },
            io::ErrorKind::NotFound => ClientError::Dns { host: authority },
            io::ErrorKind::ConnectionRefused => ClientError::Refused { authority },
            kind => ClientError::Unreachable { authority, reason: kind.to_string() },
        }
    }
}

/// The TLS library's reason in an organiser's words, where it is one of the usual ones.
pub(super) fn tls_reason(error: &io::Error) -> String {
    use rustls::{CertificateError as Certificate, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let usual = match inner {
        Some(Error::InvalidCertificate(certificate)) => match certificate {
            Certificate::UnknownIssuer => {
                "its certificate is not signed by an authority that this machine trusts"
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet: is this machine's clock right?"
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            Certificate::Revoked => "its certificate has been revoked",
            _ => return format!("its certificate is refused ({certificate})"),
        },
        Some(Error::InvalidMessage(_)) => {
            "that port does not speak TLS: should the endpoint URL begin with http://?"
        }
        Some(other) => return other.to_string(),
        None => "the connection broke during the handshake",
    };
    usual.to_owned()
}
