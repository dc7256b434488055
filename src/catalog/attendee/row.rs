//! A row of the table `attendee`: its columns, listed once for every query that reads
//! or writes them.
//!
//! Rows are written many at a time, because a statement costs the store far more than a
//! row and nobody else can write meanwhile. Whether an attendee may be added is decided
//! by the caller.

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::key::{check_api_key, digest, place};
use crate::catalog::Result;
use crate::catalog::limits::{CAP, PERSON};
use crate::catalog::seal::Vault;
use crate::catalog::validate::{instant, invalid, number, optional_line};
use crate::db::{Columns, Parameters, Tx};

/// One person in one event.
#[derive(Clone, Debug)]
pub struct Attendee {
    pub id: String,
    pub event_id: String,
    /// Who this is in the event: `issued:<n>`, `shared:<digest>`, `github:<id>`,
    /// `gateway:<provider>:<id>`.
    pub user_id: String,
    pub display_name: String,
    pub active: bool,
    /// Instead of the event's.
    pub daily_request_cap: Option<u32>,
    /// UTC milliseconds, as are the others.
    pub created_at: i64,
    pub last_seen_at: Option<i64>,
    /// Code of the last refusal.
    pub last_error: Option<String>,
    pub last_error_at: Option<i64>,
    /// When they last agreed to the terms of use.
    pub terms_accepted_at: Option<i64>,
}

/// The columns of an [`Attendee`], in the order of its fields.
const COLUMNS: [&str; 11] = [
    "id",
    "event_id",
    "user_id",
    "display_name",
    "active",
    "daily_request_cap",
    "created_at",
    "last_seen_at",
    "last_error",
    "last_error_at",
    "terms_accepted_at",
];

/// The columns of the API key, which are written with the others and read only where the
/// key is needed.
const KEY_COLUMNS: [&str; 2] = ["api_key_sealed", "key_digest"];

/// Rows of one statement.
pub(super) const ROWS: usize = 128;

const MAX_ISSUED_NUMBER: u32 = 1_000_000_000;

/// A statement that selects what [`Attendee::read`] reads. `rest` follows the columns:
/// more of them, after a comma, and where the rows come from.
pub(super) fn select(rest: &str) -> AssertSqlSafe<String> {
    let columns = COLUMNS.map(|column| format!("attendee.{column}")).join(", ");
    AssertSqlSafe(format!("select {columns} {rest}"))
}

impl Attendee {
    /// A new attendee: active, without a name and a user id yet. `created_at` is in UTC
    /// milliseconds.
    pub fn new(id: String, event_id: &str, created_at: i64) -> Self {
        Self {
            id,
            event_id: event_id.to_owned(),
            user_id: String::new(),
            display_name: String::new(),
            active: true,
            daily_request_cap: None,
            created_at,
            last_seen_at: None,
            last_error: None,
            last_error_at: None,
            terms_accepted_at: None,
        }
    }

    pub(super) fn read(row: &AnyRow) -> Result<Self> {
        let cap: Option<i64> = row.try_get("daily_request_cap")?;
        Ok(Self {
            id: row.text("id")?,
            event_id: row.text("event_id")?,
            user_id: row.text("user_id")?,
            display_name: row.text("display_name")?,
            active: row.flag("active")?,
            daily_request_cap: cap.map(|_| row.count("daily_request_cap")).transpose()?,
            created_at: row.int("created_at")?,
            last_seen_at: row.try_get("last_seen_at")?,
            last_error: row.try_get("last_error")?,
            last_error_at: row.try_get("last_error_at")?,
            terms_accepted_at: row.try_get("terms_accepted_at")?,
        })
    }

    /// Whether they joined with the event's shared code: then the code and their
    /// name are their key, which no card and no new key would change.
    pub fn has_joined_by_code(&self) -> bool {
        is_by_code(&self.user_id)
    }

    /// Whether they were not issued a key: once deleted, they stay out.
    pub fn has_joined_by_themselves(&self) -> bool {
        !self.user_id.starts_with("issued:")
    }

    /// Whether the fields by themselves meet the rules, for an attendee who comes from a
    /// file with this key.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::catalog::Error::Invalid) for the first that does not.
    pub fn check(&self, key: Option<&SecretString>) -> Result<()> {
        check_user_id(&self.user_id)?;
        optional_line("display_name", &self.display_name, PERSON)?;
        if let Some(key) = key {
            check_api_key(key.expose_secret())?;
        }
        if let Some(cap) = self.daily_request_cap {
            number("daily_request_cap", cap, CAP)?;
        }
        for (field, at) in [
            ("created_at", Some(self.created_at)),
            ("last_seen_at", self.last_seen_at),
            ("last_error_at", self.last_error_at),
            ("terms_accepted_at", self.terms_accepted_at),
        ] {
            at.map_or(Ok(()), |at| instant(field, at))?;
        }
        optional_line("last_error", self.last_error.as_deref().unwrap_or_default(), 64)?;
        Ok(())
    }
}

pub(super) fn is_by_code(user_id: &str) -> bool {
    user_id.starts_with("shared:")
}

/// A kind and what tells people of it apart. Issued ones are numbered, and the
/// next number is found by the greatest.
fn check_user_id(text: &str) -> Result<()> {
    optional_line("user_id", text, 200)?;
    let (kind, rest) = text.split_once(':').unwrap_or_default();
    let is_kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = || {
        rest.bytes().all(|byte| byte.is_ascii_digit())
            && rest.parse::<u32>().is_ok_and(|number| number < MAX_ISSUED_NUMBER)
    };
    if !is_kind || rest.is_empty() || text.trim() != text || (kind == "issued" && !is_number()) {
        return Err(invalid("user_id", "is not of the form issued:1, github:2 or shared:…"));
    }
    Ok(())
}

/// An attendee to be written, with their key sealed: that takes time, so where many are
/// written it is done before the transaction is begun.
pub(crate) struct NewAttendee {
    pub attendee: Attendee,
    sealed: String,
    digest: String,
}

impl NewAttendee {
    pub(crate) fn new(vault: &Vault, attendee: Attendee, key: &SecretString) -> Result<Self> {
        let key = key.expose_secret();
        let sealed = vault.seal(place(&attendee.id), key)?;
        Ok(Self { attendee, sealed, digest: digest(vault, key).hex() })
    }
}

/// Inserts attendees.
pub(super) async fn insert<'a>(
    tx: &mut Tx,
    rows: impl IntoIterator<Item = &'a NewAttendee>,
) -> Result<()> {
    let rows: Vec<_> = rows.into_iter().collect();
    let columns = [&COLUMNS[..], &KEY_COLUMNS].concat();
    for rows in rows.chunks(ROWS) {
        let statement = format!(
            "insert into attendee ({}) values {}",
            columns.join(", "),
            Parameters::on(tx).rows(columns.len(), rows.len())
        );
        // Only full batches and single rows are worth a prepared statement.
        let is_common = rows.len() == 1 || rows.len() == ROWS;
        let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(is_common);
        for NewAttendee { attendee, sealed, digest } in rows {
            query = query
                .bind(&attendee.id)
                .bind(&attendee.event_id)
                .bind(&attendee.user_id)
                .bind(&attendee.display_name)
                .bind(i64::from(attendee.active))
                .bind(attendee.daily_request_cap.map(i64::from))
                .bind(attendee.created_at)
                .bind(attendee.last_seen_at)
                .bind(attendee.last_error.as_deref())
                .bind(attendee.last_error_at)
                .bind(attendee.terms_accepted_at)
                .bind(sealed)
                .bind(digest);
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}
