//! Removes what is stored about the people of an event, some days after it has ended, where the
//! organiser wants that. Names, user ids, keys, cards, sign-ins and last errors go. Figures stay,
//! under ids that stand for nobody any more.
//!
//! It is done in small batches, each a transaction of its own under the catalog's lock. Each looks
//! first whether the event is still due: it may have been extended meanwhile, or another replica may
//! have finished.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, AssertSqlSafe};

use super::Event;
use crate::catalog::attendee::anonymous;
use crate::catalog::audit::{self, Action, Actor};
use crate::catalog::seal::Vault;
use crate::catalog::{Noun, Result, change};
use crate::clock::DAY_MS;
use crate::db::{Columns, Db, Tx};

/// After how many days personal data can be removed.
pub const FORGET_AFTER_DAYS: RangeInclusive<u32> = 1..=3650;

/// What a form says about a number of days that is none of them.
pub fn days_rule() -> String {
    let (least, most) = (FORGET_AFTER_DAYS.start(), FORGET_AFTER_DAYS.end());
    format!("must be empty, or a whole number from {least} to {most}")
}

/// Who does it, as the audit trail says it.
const PROXY: &str = "AI Proxy";

/// Events that are due at `$1` (UTC milliseconds). Once it is done it is done, unless the event was
/// extended afterwards: then it is due again, because others may have joined.
const DUE: &str = "purge_at is null and ends_at + forget_after_days * 86400000 <= $1
    and (forgotten_at is null or forgotten_at < ends_at + forget_after_days * 86400000)";

impl Event {
    /// When the personal data of its attendees is due to be removed, in UTC milliseconds; `None`:
    /// never, or it has been.
    pub fn forgets_at(&self) -> Option<i64> {
        let due = self.ends_at + i64::from(self.forget_after_days?) * DAY_MS;
        self.forgotten_at.is_none_or(|at| at < due).then_some(due)
    }
}

/// Removes batches until nothing is due or the time is used up. Returns whether something is left.
pub async fn run(db: &Db, vault: &Vault, now_ms: i64, budget: Duration) -> Result<bool> {
    let begun = Instant::now();
    while step(db, vault, now_ms).await? {
        if begun.elapsed() >= budget {
            return Ok(true);
        }
        // Between two batches everybody who waits for the writer comes first.
        tokio::task::yield_now().await;
    }
    Ok(false)
}

/// Removes one batch of an event that is due at `now_ms` (UTC milliseconds); `false` where none is.
/// Replicas may do so at the same time.
pub async fn step(db: &Db, vault: &Vault, now_ms: i64) -> Result<bool> {
    let statement = format!("select id from event where {DUE} order by ends_at limit 1");
    let id: Option<String> =
        sqlx::query_scalar(AssertSqlSafe(statement)).bind(now_ms).fetch_optional(db.pool()).await?;
    let Some(id) = id else { return Ok(false) };
    let mut tx = change::write(db).await?;
    // Again, now that nobody else writes.
    let statement = format!("select owner_id, name from event where {DUE} and id = $2");
    let event = sqlx::query(AssertSqlSafe(statement))
        .bind(now_ms)
        .bind(&id)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(event) = event else { return Ok(true) };
    if !anonymous::make_some(&mut tx, vault, &id).await? {
        let by = Actor { owner_id: event.text("owner_id")?, name: PROXY.to_owned(), at: now_ms };
        finish(&mut tx, &by, &id, &event.text("name")?).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// The last transaction, once no attendee is left who could be told apart.
async fn finish(tx: &mut Tx, by: &Actor, id: &str, name: &str) -> Result<()> {
    anonymous::remove_tombstones(tx, &by.owner_id, id).await?;
    sqlx::query("update event set forgotten_at = $2 where id = $1")
        .bind(id)
        .bind(by.at)
        .execute(&mut **tx)
        .await?;
    let row = sqlx::query("select count(*) as n from attendee where event_id = $1")
        .bind(id)
        .fetch_one(&mut **tx)
        .await?;
    change::record(tx, Noun::Event, id).await?;
    let detail = format!("{name}: personal data of {} attendees", row.count("n")?);
    audit::record(tx, by, Action::Forgot, Noun::Event, id, &detail).await
}

/// Whether personal data of an owner's event with this id was ever removed here, also of one that is
/// gone by now.
pub async fn was_done(connection: &mut AnyConnection, owner_id: &str, id: &str) -> Result<bool> {
    let row = sqlx::query(
        "select (select count(*) from event
                where id = $2 and owner_id = $1 and forgotten_at is not null)
            + (select count(*) from audit
                where noun_id = $2 and noun = $3 and owner_id = $1 and action = $4) as n",
    )
    .bind(owner_id)
    .bind(id)
    .bind(Noun::Event.as_str())
    .bind(Action::Forgot.as_str())
    .fetch_one(connection)
    .await?;
    Ok(row.count("n")? > 0)
}
