//! A row of the table `event`: its columns, said once for the query that reads them and
//! the one that writes them.

use std::sync::Arc;

use secrecy::SecretString;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::registration::{Registration, Shut};
use crate::catalog::Result;
use crate::catalog::resource::Resource;
use crate::catalog::seal::{Place, Vault};
use crate::db::Columns;

#[derive(Clone, Debug)]
pub struct Event {
    /// `xxxx-xxxx`, lower-case hexadecimal.
    pub id: String,
    pub owner_id: String,
    pub name: String,
    /// Markdown.
    pub description: String,
    pub organizer_name: String,
    pub organizer_email: String,
    /// Wall clock in `time_zone`, `YYYY-MM-DDTHH:MM`.
    pub start_local: String,
    pub end_local: String,
    /// An IANA name.
    pub time_zone: String,
    /// UTC milliseconds; both ends belong to the event.
    pub starts_at: i64,
    pub ends_at: i64,
    pub max_token_cap: u32,
    /// Per attendee and UTC day, unless the attendee has one of their own.
    pub daily_request_cap: u32,
    pub requests_per_minute: u32,
    pub burst: u32,
    pub max_open_requests: u32,
    pub shared_code: Option<SecretString>,
    /// Most attendees that may come by the shared code.
    pub shared_code_limit: u32,
    /// How people get in by themselves.
    pub registration: Registration,
    /// In the room, for a while.
    pub is_registration_stopped: bool,
    pub active: bool,
    /// In the owner's order, inactive ones included; without those that cannot be read.
    pub resources: Vec<Arc<Resource>>,
    /// Ids of all linked resources, in the owner's order.
    pub links: Vec<String>,
}

/// The columns that saving writes, in the order in which it binds them; id, owner and
/// times are beside them.
pub(super) const WRITTEN: [&str; 18] = [
    "name",
    "description",
    "organizer_name",
    "organizer_email",
    "start_local",
    "end_local",
    "time_zone",
    "starts_at",
    "ends_at",
    "max_token_cap",
    "daily_request_cap",
    "requests_per_minute",
    "burst",
    "max_open_requests",
    SHARED_CODE,
    "shared_code_limit",
    "registration",
    "active",
];

pub(in crate::catalog) const TABLE: &str = "event";
pub(in crate::catalog) const SHARED_CODE: &str = "shared_code_sealed";

pub(super) fn place(id: &str) -> Place<'_> {
    Place { table: TABLE, row: id, column: SHARED_CODE }
}

/// A statement that selects what [`Event::open`] reads; `rest` follows the table.
pub(super) fn select(rest: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "select id, owner_id, {},
            (select count(*) from registration_stop where event_id = event.id) as stopped
         from event {rest}",
        WRITTEN.join(", ")
    ))
}

impl Event {
    pub(super) fn open(vault: &Vault, row: &AnyRow) -> Result<Self> {
        let id = row.text("id")?;
        let shared_code = match row.try_get::<Option<String>, _>(SHARED_CODE)? {
            Some(sealed) => Some(vault.open(place(&id), &sealed)?),
            None => None,
        };
        Ok(Self {
            owner_id: row.text("owner_id")?,
            name: row.text("name")?,
            description: row.text("description")?,
            organizer_name: row.text("organizer_name")?,
            organizer_email: row.text("organizer_email")?,
            start_local: row.text("start_local")?,
            end_local: row.text("end_local")?,
            time_zone: row.text("time_zone")?,
            starts_at: row.int("starts_at")?,
            ends_at: row.int("ends_at")?,
            max_token_cap: row.count("max_token_cap")?,
            daily_request_cap: row.count("daily_request_cap")?,
            requests_per_minute: row.count("requests_per_minute")?,
            burst: row.count("burst")?,
            max_open_requests: row.count("max_open_requests")?,
            shared_code,
            shared_code_limit: row.count("shared_code_limit")?,
            registration: Registration::stored(&row.text("registration")?),
            is_registration_stopped: row.int("stopped")? > 0,
            active: row.flag("active")?,
            resources: Vec::new(),
            links: Vec::new(),
            id,
        })
    }
    /// Why nobody new may join; `None` where they may.
    pub fn shut(&self) -> Option<Shut> {
        Shut::of(self.registration, self.is_registration_stopped)
    }
}
