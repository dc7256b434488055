//! A row of the table `resource`: its columns, listed once for the query that reads them
//! and the one that writes them.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::auth::Auth;
use super::endpoint::Endpoint;
use super::kind::ResourceType;
use crate::catalog::Result;
use crate::catalog::seal::{self, Place, Vault};
use crate::db::Columns;

/// The header that authenticates us to a backend.
pub type Credential = (HeaderName, HeaderValue);

#[derive(Clone, Debug)]
pub struct Resource {
    pub id: String,
    pub owner_id: String,
    /// The client-facing name, a segment of URLs; unique per owner.
    pub deployment: Arc<str>,
    /// For owners only.
    pub name: String,
    pub kind: ResourceType,
    pub endpoint: Endpoint,
    pub auth: Auth,
    pub key: Option<SecretString>,
    pub region: String,
    pub active: bool,
    credential: Option<Credential>,
}

impl Resource {
    /// The header that authenticates us to the backend, where one is sent.
    pub fn credential(&self) -> Option<Credential> {
        self.credential.clone()
    }

    pub(super) fn open(vault: &Vault, row: &AnyRow) -> Result<Self> {
        let id = row.text("id")?;
        let endpoint = vault.open(place(&id, ENDPOINT), &row.text("endpoint_sealed")?)?;
        let key = match row.try_get::<Option<String>, _>("key_sealed")? {
            Some(sealed) => Some(vault.open(place(&id, KEY), &sealed)?),
            None => None,
        };
        let unreadable = |column: &'static str| {
            move |_| seal::Error::Broken { place: format!("resource/{column}") }
        };
        let auth = Auth::stored(&row.text("auth")?).map_err(unreadable("auth"))?;
        Ok(Self {
            credential: key.as_ref().and_then(|key| auth.header(key)),
            owner_id: row.text("owner_id")?,
            deployment: row.text("deployment")?.into(),
            name: row.text("name")?,
            kind: row.text("type")?.parse().map_err(unreadable("type"))?,
            endpoint: Endpoint::parse(endpoint.expose_secret()).map_err(unreadable(ENDPOINT))?,
            auth,
            key,
            region: row.text("region")?,
            active: row.flag("active")?,
            id,
        })
    }
}

/// The columns that saving writes, in the order in which it binds them; id, owner and
/// times are beside them.
pub(super) const WRITTEN: [&str; 8] =
    ["deployment", "name", "type", ENDPOINT, "auth", KEY, "region", "active"];

pub(in crate::catalog) const TABLE: &str = "resource";
pub(in crate::catalog) const ENDPOINT: &str = "endpoint_sealed";
pub(in crate::catalog) const KEY: &str = "key_sealed";

pub(super) fn place<'a>(id: &'a str, column: &'static str) -> Place<'a> {
    Place { table: TABLE, row: id, column }
}

/// A statement that selects what [`Resource::open`] reads; `rest` follows the table.
pub(super) fn select(rest: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("select id, owner_id, {} from resource {rest}", WRITTEN.join(", ")))
}
