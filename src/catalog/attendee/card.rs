//! Cards as they are stored: the code of each is sealed beside its digest, so that the same
//! card can be printed again and a backup can carry it. Which cards are made, and what a code
//! is good for, is decided by [`claim`](super::claim).
//!
//! A card that was made before codes were stored, or whose code no master key at hand opens,
//! still works: only its code cannot be shown.

use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Row};

use super::typed;
use crate::catalog::seal::{Place, Vault};
use crate::catalog::validate::invalid;
use crate::catalog::{Digest, Result};
use crate::db::{Columns, Db, places};

pub(in crate::catalog) const TABLE: &str = "claim_code";
pub(in crate::catalog) const CODE: &str = "code_sealed";

/// Characters of a code, of five bits each: 60 bits.
pub(super) const LENGTH: usize = 12;

/// Most cards that are made or shown in one go.
pub const MAX_CARDS: usize = 500;

/// Cards of an owner's event that are good for something: those that work once only until
/// they are used.
const GOOD: &str = "from claim_code join attendee on attendee.id = attendee_id
    join event on event.id = attendee.event_id
    where event.owner_id = $1 and event.id = $2 and event.purge_at is null
       and not (event.cards_work_once = 1 and claimed_at is not null)";

/// Where the code of an attendee's card is sealed.
pub(super) fn place(attendee_id: &str) -> Place<'_> {
    Place { table: TABLE, row: attendee_id, column: CODE }
}

/// A card as it is printed.
#[derive(Debug)]
pub struct PrintedCard {
    pub attendee_id: String,
    pub user_id: String,
    pub display_name: String,
    /// `XXXX-XXXX-XXXX`
    pub code: SecretString,
}

/// Which cards of an event are meant.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// [`MAX_CARDS`] of all, in the order in which their attendees came: the first part is 1.
    Part(u32),
    /// Those of these attendees, at most [`MAX_CARDS`].
    Of(&'a [String]),
}

/// How many cards of an event can be printed again, and how many cannot, because they were
/// made before codes were stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Printable {
    pub known: u32,
    pub unknown: u32,
}

impl Printable {
    /// The number of [`Which::Part`]s.
    pub fn parts(self) -> u32 {
        self.known.div_ceil(u32::try_from(MAX_CARDS).unwrap_or(u32::MAX))
    }
}

/// How many cards of an owner's event there are to be printed.
pub async fn printable(db: &Db, owner_id: &str, event_id: &str) -> Result<Printable> {
    let statement =
        format!("select count({CODE}) as known, count(*) - count({CODE}) as unknown {GOOD}");
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(owner_id)
        .bind(event_id)
        .fetch_one(db.pool())
        .await?;
    Ok(Printable { known: row.count("known")?, unknown: row.count("unknown")? })
}

/// Cards of an owner's event with the codes that they have. Those whose code is not known are
/// left out.
pub async fn stored(
    db: &Db,
    vault: &Vault,
    owner_id: &str,
    event_id: &str,
    which: Which<'_>,
) -> Result<Vec<PrintedCard>> {
    let (ids, part): (&[String], u32) = match which {
        Which::Part(part) => (&[], part),
        Which::Of(ids) => (&ids[..ids.len().min(MAX_CARDS)], 1),
    };
    let condition = match which {
        Which::Part(_) => String::new(),
        Which::Of(_) => format!("and attendee.id in ({})", places(4, ids.len())),
    };
    if matches!(which, Which::Of([])) {
        return Ok(Vec::new());
    }
    let statement = format!(
        "select attendee.id, user_id, display_name, {CODE} {GOOD} {condition}
            and {CODE} is not null
         order by attendee.created_at, attendee.id limit {MAX_CARDS} offset $3"
    );
    let skipped = i64::from(part.saturating_sub(1)) * i64::try_from(MAX_CARDS).unwrap_or(i64::MAX);
    let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    query = query.bind(owner_id).bind(event_id).bind(skipped);
    for id in ids {
        query = query.bind(id);
    }
    let mut cards = Vec::new();
    for row in query.fetch_all(db.pool()).await? {
        let attendee_id = row.text("id")?;
        let Ok(code) = open(vault, &attendee_id, &row.try_get::<String, _>(CODE)?) else {
            continue;
        };
        let (user_id, display_name) = (row.text("user_id")?, row.text("display_name")?);
        cards.push(PrintedCard { attendee_id, user_id, display_name, code });
    }
    Ok(cards)
}

/// Whether a card can have this code, for one that comes from a file.
///
/// # Errors
/// [`Error::Invalid`](crate::catalog::Error::Invalid).
pub fn check_code(code: &str) -> Result<()> {
    let plain = code.replace('-', "");
    let is_code = typed::leading(&plain, LENGTH).is_some_and(|meant| meant == plain);
    let is_grouped = || code.len() == LENGTH + 2 && code.split('-').all(|group| group.len() == 4);
    if is_code && is_grouped() {
        return Ok(());
    }
    Err(invalid("card", "has a code that is not of the form 7QK4-M2XB-9TDH"))
}

/// The code of an attendee's card.
///
/// # Errors
/// [`Error::Seal`](crate::catalog::Error::Seal) where no master key at hand opens it.
pub(super) fn open(vault: &Vault, attendee_id: &str, sealed: &str) -> Result<SecretString> {
    Ok(vault.open(place(attendee_id), sealed)?)
}

/// The digest by which a card is found.
pub(in crate::catalog) fn digest(vault: &Vault, code: &str) -> Digest {
    vault.digest(&digested(code))
}

/// The same under the old master key, for rows that `rekey` has not reached.
pub(super) fn old_digest(vault: &Vault, code: &str) -> Option<Digest> {
    vault.old_digest(&digested(code))
}

/// What of a code is digested, however its groups are written. Never the digest of an API key.
pub(super) fn digested(code: &str) -> String {
    format!("claim code {}", code.replace('-', ""))
}
