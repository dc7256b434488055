//! A row of the table `event`: its columns, listed once for the query that reads them and
//! the one that writes them, and how a stored event compares with one to be saved.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::draft::Valid;
use super::fields::Draft;
use super::registration::{JoinBy, Registration, Shut};
use crate::catalog::Result;
use crate::catalog::audit::Actor;
use crate::catalog::columns::upsert;
use crate::catalog::resource::Resource;
use crate::catalog::seal::{Place, Vault};
use crate::db::{Columns, Tx};

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
    /// How people can join by themselves.
    pub registration: Registration,
    /// In the room, for a while.
    pub is_registration_stopped: bool,
    /// Whether a card's code works once, or until the event ends.
    pub cards_work_once: bool,
    /// Markdown, as it was entered: empty for the usual text.
    pub terms: String,
    /// Days after the end on which the personal data of attendees is removed; `None`: never.
    pub forget_after_days: Option<u32>,
    pub active: bool,
    /// When it was first switched on, in UTC milliseconds; `None`: it is a draft.
    pub first_active_at: Option<i64>,
    /// When personal data of attendees was last removed, in UTC milliseconds.
    pub forgotten_at: Option<i64>,
    /// In the owner's order, inactive ones included; without those that cannot be read.
    pub resources: Vec<Arc<Resource>>,
    /// Ids of all linked resources, in the owner's order.
    pub links: Vec<String>,
}

/// The columns that saving writes, in the order in which it binds them; id, owner and
/// times are beside them.
const WRITTEN: [&str; 21] = [
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
    "cards_work_once",
    "terms",
    "forget_after_days",
    "active",
];

pub(in crate::catalog) const TABLE: &str = "event";
pub(in crate::catalog) const SHARED_CODE: &str = "shared_code_sealed";

fn place(id: &str) -> Place<'_> {
    Place { table: TABLE, row: id, column: SHARED_CODE }
}

/// A statement that selects what [`Event::open`] reads; `rest` follows the table.
pub(super) fn select(rest: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "select id, owner_id, {}, first_active_at, forgotten_at,
            (select count(*) from registration_stop where event_id = event.id) as stopped
         from event {rest}",
        WRITTEN.join(", ")
    ))
}

/// Inserts the event, or updates the one with this id.
pub(super) async fn write(
    tx: &mut Tx,
    vault: &Vault,
    by: &Actor,
    id: &str,
    valid: &Valid<'_>,
) -> Result<()> {
    let Valid { draft, window, .. } = valid;
    let shared_code_sealed =
        valid.shared_code.map(|code| vault.seal(place(id), code)).transpose()?;
    sqlx::query(upsert(TABLE, &WRITTEN))
        .bind(id)
        .bind(&by.owner_id)
        .bind(&valid.name)
        .bind(&draft.description)
        .bind(&valid.organizer_name)
        .bind(&valid.organizer_email)
        .bind(&window.start_local)
        .bind(&window.end_local)
        .bind(&window.time_zone)
        .bind(window.starts_at)
        .bind(window.ends_at)
        .bind(i64::from(draft.max_token_cap))
        .bind(i64::from(draft.daily_request_cap))
        .bind(i64::from(draft.requests_per_minute))
        .bind(i64::from(draft.burst))
        .bind(i64::from(draft.max_open_requests))
        .bind(shared_code_sealed)
        .bind(i64::from(draft.shared_code_limit))
        .bind(valid.registration.as_str())
        .bind(i64::from(draft.cards_work_once))
        .bind(&draft.terms)
        .bind(draft.forget_after_days.map(i64::from))
        .bind(i64::from(draft.active))
        .bind(by.at)
        .execute(&mut **tx)
        .await?;
    if draft.active { note_active(tx, id, by.at).await } else { Ok(()) }
}

/// Notes that the event is switched on, at `at` (UTC milliseconds): the first time counts.
pub(super) async fn note_active(tx: &mut Tx, id: &str, at: i64) -> Result<()> {
    sqlx::query("update event set first_active_at = $2 where id = $1 and first_active_at is null")
        .bind(id)
        .bind(at)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Event {
    pub(super) fn open(vault: &Vault, row: &AnyRow) -> Result<Self> {
        let id = row.text("id")?;
        let forget_after: Option<i64> = row.try_get("forget_after_days")?;
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
            cards_work_once: row.flag("cards_work_once")?,
            terms: row.text("terms")?,
            forget_after_days: forget_after.map(|_| row.count("forget_after_days")).transpose()?,
            active: row.flag("active")?,
            first_active_at: row.try_get("first_active_at")?,
            forgotten_at: row.try_get("forgotten_at")?,
            resources: Vec::new(),
            links: Vec::new(),
            id,
        })
    }

    /// Why nobody new can join by themselves in any way; `None` where they can in some way.
    pub fn shut(&self) -> Option<Shut> {
        // Open wherever another way is.
        self.shut_to(JoinBy::Gateway)
    }

    /// Why nobody new can join in this way; `None` where they can.
    pub fn shut_to(&self, by: JoinBy) -> Option<Shut> {
        Shut::to(by, self.registration, self.is_registration_stopped)
    }

    /// Whether it was never switched on, so that nobody but its owner is to see it.
    pub fn is_draft(&self) -> bool {
        self.first_active_at.is_none()
    }

    /// Whether this is its shared code, compared in constant time.
    pub(super) fn has_code(&self, code: Option<&str>) -> bool {
        match (&self.shared_code, code) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                verify_slices_are_equal(a.expose_secret().as_bytes(), b.as_bytes()).is_ok()
            }
            _ => false,
        }
    }

    /// Whether writing these values would change nothing.
    pub(super) fn is_already(&self, valid: &Valid<'_>) -> bool {
        let Valid { draft, window, .. } = valid;
        self.has_code(valid.shared_code)
            && self.name == valid.name
            && self.description == draft.description
            && self.organizer_name == valid.organizer_name
            && self.organizer_email == valid.organizer_email
            && self.start_local == window.start_local
            && self.end_local == window.end_local
            && self.time_zone == window.time_zone
            && self.starts_at == window.starts_at
            && self.ends_at == window.ends_at
            && self.max_token_cap == draft.max_token_cap
            && self.daily_request_cap == draft.daily_request_cap
            && self.requests_per_minute == draft.requests_per_minute
            && self.burst == draft.burst
            && self.max_open_requests == draft.max_open_requests
            && self.shared_code_limit == draft.shared_code_limit
            && self.registration == valid.registration
            && self.cards_work_once == draft.cards_work_once
            && self.terms == draft.terms
            && self.forget_after_days == draft.forget_after_days
            && self.active == draft.active
            && self.links == draft.resources
    }
}

/// What is stored, as a form to change some of it.
impl From<&Event> for Draft {
    fn from(event: &Event) -> Self {
        Self {
            id: Some(event.id.clone()),
            name: event.name.clone(),
            description: event.description.clone(),
            organizer_name: event.organizer_name.clone(),
            organizer_email: event.organizer_email.clone(),
            start: event.start_local.clone(),
            end: event.end_local.clone(),
            time_zone: event.time_zone.clone(),
            resources: event.links.clone(),
            max_token_cap: event.max_token_cap,
            daily_request_cap: event.daily_request_cap,
            requests_per_minute: event.requests_per_minute,
            burst: event.burst,
            max_open_requests: event.max_open_requests,
            shared_code: event.shared_code.clone(),
            shared_code_limit: event.shared_code_limit,
            registration: event.registration.as_str().into(),
            cards_work_once: event.cards_work_once,
            terms: event.terms.clone(),
            forget_after_days: event.forget_after_days,
            active: event.active,
        }
    }
}
