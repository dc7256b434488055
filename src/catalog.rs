//! The control plane: what is registered, who may use it, and what was used.
//!
//! Each noun is in one file with its SQL; the columns of the larger tables are listed
//! once, in a file `row` of their own. A write to the catalog is one
//! transaction that checks, writes, notes the change for every replica
//! (`change`) and who did it (`audit`). `snapshot` is what the data plane
//! reads; `quota`, `mcp_session` and `usage` are what it writes.

pub mod attendee;
pub mod audit;
pub mod change;
mod columns;
pub(crate) mod digest;
pub mod event;
pub(crate) mod given;
pub(crate) mod limits;
pub mod mcp_session;
pub mod oauth;
pub mod owner;
pub(crate) mod pattern;
pub mod quota;
pub mod rekey;
pub mod resource;
pub(crate) mod restore;
pub mod seal;
pub(crate) mod secret;
pub mod session_mark;
pub mod sign_in_state;
pub mod snapshot;
pub(crate) mod unreadable;
pub mod usage;
pub(crate) mod validate;
pub(crate) mod whole;

pub use change::Noun;
pub use digest::Digest;
pub use unreadable::{Rows, Unreadable};

/// Why the catalog could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed or is away; trying again later may help.
    #[error("the store did not do it: {0}")]
    Store(#[from] sqlx::Error),
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] seal::Error),
    #[error("there is no {noun} \"{name}\"")]
    NotFound { noun: Noun, name: String },
    /// `field` is named as in the workshop file.
    #[error("{field}: {reason}")]
    Invalid { field: &'static str, reason: String },
    #[error("{reason}")]
    Conflict { reason: String },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a save did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Updated,
    /// Everything was so already; nothing was written.
    Unchanged,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
        }
    }
}

/// The row that a save was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub id: String,
    pub outcome: Outcome,
}

pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
