//! Signing in an MCP client that has no key: OAuth 2.1 as the MCP specification asks for it. This proxy
//! is the authorization server; the resources are its MCP servers.
//!
//! Here is the protocol: what clients read ([`metadata`]), who they say they are ([`client`],
//! `document`), where browsers may be sent ([`redirect_uri`]), what is asked for ([`request`]), and what a
//! code or refresh token gives ([`token`]). The rows are `catalog::oauth`'s, the person is `identity`'s,
//! pages and HTTP are the portal's, and calls with an access token are the data plane's.

pub mod audience;
pub mod client;
mod client_name;
mod document;
pub(crate) mod error;
pub mod metadata;
mod parameters;
pub mod pkce;
pub mod redirect_uri;
pub(crate) mod registration;
pub(crate) mod request;
pub(crate) mod token;

use std::sync::Arc;

use arc_swap::ArcSwap;

use self::document::Documents;
use crate::catalog::seal::Vault;
use crate::catalog::snapshot::Snapshot;
use crate::clock::Clock;
use crate::db::Db;

/// The one scope there is: to use MCP servers.
pub const SCOPE: &str = "mcp";

/// Where MCP servers are: this, and below it their deployment names.
const MCP: &str = "/api/v1/mcp";

/// Where clients find what the protocol needs. The first three are where those go that read no metadata.
pub const AUTHORIZE: &str = "/authorize";
pub const TOKEN: &str = "/token";
pub const REGISTER: &str = "/register";
pub const REVOKE: &str = "/revoke";
pub const SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

/// Whether a path is one of the protocol's, which the portal serves where it is on.
pub fn is_served(path: &str) -> bool {
    matches!(path, AUTHORIZE | TOKEN | REGISTER | REVOKE | SERVER_METADATA)
        || path.strip_prefix(RESOURCE_METADATA).is_some_and(metadata::is_resource)
}

/// What the protocol needs, one for the process.
pub struct Oauth {
    db: Arc<Db>,
    vault: Arc<Vault>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    clock: Clock,
    documents: Documents,
}

impl Oauth {
    pub fn new(
        db: Arc<Db>,
        vault: Arc<Vault>,
        snapshot: Arc<ArcSwap<Snapshot>>,
        clock: Clock,
    ) -> Self {
        Self { db, vault, snapshot, clock, documents: Documents::default() }
    }
}
