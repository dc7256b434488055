//! Who signed in, who tried and from where, for administrators and for the owner of the account.
//!
//! Rows count by the hour, and sources are told apart up to a limit, so that nobody fills the table
//! by guessing, nor pushes out what others did. Of what was typed nothing is here: a name that is
//! no owner's may be a password in the wrong field.

mod outcome;

use std::collections::BTreeMap;
use std::net::IpAddr;

use sqlx::any::AnyRow;

pub use self::outcome::Outcome;
use crate::catalog::{Result, new_id};
use crate::clock::{DAY_MS, HOUR_MS};
use crate::db::{Columns, Db, Tx};
use crate::net::source_network;

/// How long rows are kept. They hold people's addresses.
pub const KEPT_DAYS: i64 = 90;

/// Sources from which an owner signs in that an hour tells apart.
const SOURCES: i64 = 32;

/// Where somebody signs in from: an IPv4 address, or the /64 network of an IPv6 one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(String);

impl Source {
    pub fn of(address: IpAddr) -> Self {
        match source_network(address) {
            IpAddr::V4(address) => Self(address.to_string()),
            IpAddr::V6(network) => Self(format!("{network}/64")),
        }
    }

    /// All that are counted together.
    pub fn others() -> Self {
        Self::default()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is counted as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// UTC milliseconds of its start.
    pub hour: i64,
    /// `None`: nobody's name was typed, or it is not known whose account it was.
    pub owner_id: Option<String>,
    pub source: Source,
    pub outcome: Outcome,
}

/// How often, and when for the first and the last time (UTC milliseconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub count: i64,
    pub first_at: i64,
    pub last_at: i64,
}

impl Times {
    pub fn once(at: i64) -> Self {
        Self { count: 1, first_at: at, last_at: at }
    }
}

/// Start of the hour of `at`, both in UTC milliseconds.
pub fn hour_of(at: i64) -> i64 {
    at - at.rem_euclid(HOUR_MS)
}

/// Adds to what is counted. Every replica locks the rows in one order, that of the map, or two could
/// wait for each other.
pub async fn count(db: &Db, counted: &BTreeMap<Key, Times>) -> Result<()> {
    let mut tx = db.write().await?;
    for (key, times) in counted {
        add(&mut tx, key, times).await?;
    }
    Ok(tx.commit().await?)
}

/// Counts that the owner signed in, in the transaction that lets them in.
pub(super) async fn count_success(
    tx: &mut Tx,
    owner_id: &str,
    source: Source,
    outcome: Outcome,
    now_ms: i64,
) -> Result<()> {
    let hour = hour_of(now_ms);
    let row = sqlx::query(
        "select count(*) as n, count(case when source = $3 then 1 end) as known from sign_in
         where hour = $1 and owner_id = $2 and succeeded = 1",
    )
    .bind(hour)
    .bind(owner_id)
    .bind(source.as_str())
    .fetch_one(&mut **tx)
    .await?;
    let is_told_apart = row.int("n")? < SOURCES || row.int("known")? > 0;
    let source = if is_told_apart { source } else { Source::others() };
    let key = Key { hour, owner_id: Some(owner_id.to_owned()), source, outcome };
    add(tx, &key, &Times::once(now_ms)).await
}

async fn add(tx: &mut Tx, key: &Key, times: &Times) -> Result<()> {
    sqlx::query(
        "insert into sign_in
            (id, hour, owner_id, source, outcome, succeeded, times, first_at, last_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (hour, owner_id, source, outcome) do update set
            times = sign_in.times + excluded.times,
            first_at = case when excluded.first_at < sign_in.first_at
                            then excluded.first_at else sign_in.first_at end,
            last_at = case when excluded.last_at > sign_in.last_at
                           then excluded.last_at else sign_in.last_at end",
    )
    .bind(new_id())
    .bind(key.hour)
    .bind(key.owner_id.as_deref().unwrap_or_default())
    .bind(key.source.as_str())
    .bind(key.outcome.as_str())
    .bind(i64::from(key.outcome.is_success()))
    .bind(times.count)
    .bind(times.first_at)
    .bind(times.last_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whose sign-ins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    Everybody,
    Owner(&'a str),
    /// Those at which nobody's name was typed.
    Nobody,
}

impl<'a> Whose<'a> {
    fn column(self) -> Option<&'a str> {
        match self {
            Whose::Everybody => None,
            Whose::Owner(id) => Some(id),
            Whose::Nobody => Some(""),
        }
    }
}

/// What was counted as one, as it is shown.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Later ones have greater ids.
    pub id: String,
    /// The owner's name of today; empty where it was nobody's.
    pub owner: String,
    /// Empty: several, counted together.
    pub source: String,
    pub outcome: String,
    pub succeeded: bool,
    pub times: Times,
    /// Where they signed in: how many attempts from there failed in the same hour.
    pub failed_there: i64,
}

impl SignIn {
    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            owner: row.text("owner")?,
            source: row.text("source")?,
            outcome: row.text("outcome")?,
            succeeded: row.flag("succeeded")?,
            times: Times {
                count: row.int("times")?,
                first_at: row.int("first_at")?,
                last_at: row.int("last_at")?,
            },
            failed_there: row.int("failed_there")?,
        })
    }
}

/// Sign-ins before the one with id `before`, the newest first; where `succeeded` is given, those
/// that did or did not.
pub async fn list(
    db: &Db,
    whose: Whose<'_>,
    succeeded: Option<bool>,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<SignIn>> {
    let rows = sqlx::query(
        "select s.id as id, coalesce(o.name, '') as owner, s.source as source,
                s.outcome as outcome, s.succeeded as succeeded, s.times as times,
                s.first_at as first_at, s.last_at as last_at,
                (select cast(coalesce(sum(f.times), 0) as bigint) from sign_in f
                 where s.succeeded = 1 and f.succeeded = 0 and f.hour = s.hour
                   and f.owner_id = s.owner_id and f.source = s.source) as failed_there
         from sign_in s left join owner o on o.id = s.owner_id
         where (cast($1 as text) is null or s.owner_id = $1)
           and (cast($2 as bigint) is null or s.succeeded = $2)
           and (cast($3 as text) is null or s.id < $3)
         order by s.id desc limit $4",
    )
    .bind(whose.column())
    .bind(succeeded.map(i64::from))
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(SignIn::read).collect()
}

/// Attempts to sign in as this owner that failed since `since` (UTC milliseconds), to the hour.
pub async fn count_failed(db: &Db, owner_id: &str, since: i64) -> Result<i64> {
    let failed = sqlx::query_scalar(
        "select cast(coalesce(sum(times), 0) as bigint) from sign_in
         where owner_id = $1 and succeeded = 0 and hour >= $2",
    )
    .bind(owner_id)
    .bind(hour_of(since))
    .fetch_one(db.pool())
    .await?;
    Ok(failed)
}

/// Removes what has been kept long enough.
pub async fn expire(db: &Db, now_ms: i64) -> Result<()> {
    sqlx::query("delete from sign_in where hour < $1")
        .bind(now_ms - KEPT_DAYS * DAY_MS)
        .execute(db.writer())
        .await?;
    Ok(())
}
