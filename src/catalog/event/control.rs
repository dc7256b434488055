//! What an organiser changes of an event in the room, with one click each. A
//! click may come twice, or from a page of a while ago: what adds to something says
//! what it adds to, and what switches finds that it was switched already.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sqlx::any::AnyRow;

use super::row::note_active;
use super::window::Window;
use crate::catalog::audit::{self, Action, Actor};
use crate::catalog::limits::LARGEST_CAP;
use crate::catalog::{Error, Noun, Outcome, Result, change};
use crate::db::{Columns, Db, Tx};

/// An end that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extended {
    /// Wall clock in the event's zone.
    pub end_local: String,
    /// UTC milliseconds.
    pub ends_at: i64,
}

/// Caps that were raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// The event's.
    pub cap: u32,
    /// Attendees whose own cap went along.
    pub attendees: usize,
}

/// Pauses the event, or lets it go on.
///
/// # Errors
/// As all of these: [`Error::NotFound`] also where it is another owner's.
pub async fn set_active(db: &Db, by: &Actor, id: &str, active: bool) -> Result<Outcome> {
    let mut tx = change::write(db).await?;
    let row = own(&mut tx, by, id).await?;
    if row.flag("active")? == active {
        return Ok(Outcome::Unchanged);
    }
    sqlx::query("update event set active = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(i64::from(active))
        .bind(by.at)
        .execute(&mut *tx)
        .await?;
    if active {
        note_active(&mut tx, id, by.at).await?;
    }
    let action = if active { Action::Resumed } else { Action::Paused };
    finish(tx, by, id, action, &row.text("name")?).await?;
    Ok(Outcome::Updated)
}

/// Moves the end of the event on: by `minutes` from `expected_end`, or from now
/// where that is over. The start stays.
///
/// # Errors
/// [`Error::Conflict`]: the end is not `expected_end` (UTC milliseconds) any more.
pub async fn extend(
    db: &Db,
    by: &Actor,
    id: &str,
    expected_end: i64,
    minutes: u32,
) -> Result<Extended> {
    let mut tx = change::write(db).await?;
    let row = own(&mut tx, by, id).await?;
    let (ends_at, zone) = (row.int("ends_at")?, row.text("time_zone")?);
    if ends_at != expected_end {
        let end = row.text("end_local")?.replace('T', " ");
        let reason = format!("the end was changed meanwhile, to {end}; look at it, then try again");
        return Err(Error::Conflict { reason });
    }
    let wanted = ends_at.max(by.at) + i64::from(minutes) * 60_000;
    let window = Window::parse(&row.text("start_local")?, &wall_clock(wanted, &zone)?, &zone)?;
    sqlx::query("update event set end_local = $2, ends_at = $3, updated_at = $4 where id = $1")
        .bind(id)
        .bind(&window.end_local)
        .bind(window.ends_at)
        .bind(by.at)
        .execute(&mut *tx)
        .await?;
    let detail = format!("{}: to {} {zone}", row.text("name")?, window.end_local);
    finish(tx, by, id, Action::Extended, &detail).await?;
    Ok(Extended { end_local: window.end_local, ends_at: window.ends_at })
}

/// The wall clock of an instant; a begun minute counts as whole.
fn wall_clock(ms: i64, zone: &str) -> Result<String> {
    let out_of_range = || Error::Conflict { reason: "the calendar ends before that".to_owned() };
    let whole = ms.div_euclid(60_000) + i64::from(ms.rem_euclid(60_000) > 0);
    let zone = TimeZone::get(zone).map_err(|_| out_of_range())?;
    let at = Timestamp::from_millisecond(whole * 60_000).map_err(|_| out_of_range())?;
    Ok(at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M").to_string())
}

/// Raises the event's daily request cap by `percent` of `expected`. An attendee
/// with a cap of their own that was at least the event's is not left behind it; one
/// who was given less keeps that.
///
/// # Errors
/// [`Error::Conflict`]: the cap is not `expected` any more, or is the largest there is.
pub async fn raise_cap(
    db: &Db,
    by: &Actor,
    id: &str,
    expected: u32,
    percent: u32,
) -> Result<Raised> {
    let mut tx = change::write(db).await?;
    let row = own(&mut tx, by, id).await?;
    let cap = row.count("daily_request_cap")?;
    if cap != expected {
        let reason = format!("the cap was changed meanwhile, to {cap}; look at it, then try again");
        return Err(Error::Conflict { reason });
    }
    let more = (u64::from(cap) * u64::from(percent)).div_ceil(100).max(1);
    let raised = u32::try_from(u64::from(cap) + more).unwrap_or(LARGEST_CAP).min(LARGEST_CAP);
    if raised == cap {
        let reason = format!("the cap is {LARGEST_CAP} already, the largest there is");
        return Err(Error::Conflict { reason });
    }
    sqlx::query("update event set daily_request_cap = $2, updated_at = $3 where id = $1")
        .bind(id)
        .bind(i64::from(raised))
        .bind(by.at)
        .execute(&mut *tx)
        .await?;
    let attendees: Vec<String> = sqlx::query_scalar(
        "update attendee set daily_request_cap = $2
         where event_id = $1 and daily_request_cap >= $3 and daily_request_cap < $2 returning id",
    )
    .bind(id)
    .bind(i64::from(raised))
    .bind(i64::from(cap))
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<&str> = attendees.iter().map(String::as_str).collect();
    change::record_all(&mut tx, Noun::Attendee, &ids).await?;
    let detail = format!("{}: from {cap} to {raised} a day", row.text("name")?);
    finish(tx, by, id, Action::RaisedCap, &detail).await?;
    Ok(Raised { cap: raised, attendees: attendees.len() })
}

/// Takes no new attendees, however they would come, or takes them again. Who has
/// a key keeps it.
pub async fn set_registration(db: &Db, by: &Actor, id: &str, open: bool) -> Result<Outcome> {
    let mut tx = change::write(db).await?;
    let row = own(&mut tx, by, id).await?;
    let changed = if open {
        let delete = sqlx::query("delete from registration_stop where event_id = $1").bind(id);
        delete.execute(&mut *tx).await?.rows_affected() > 0
    } else {
        stop_registration_in(&mut tx, id, by.at).await?
    };
    if !changed {
        return Ok(Outcome::Unchanged);
    }
    let action = if open { Action::ReopenedRegistration } else { Action::ClosedRegistration };
    finish(tx, by, id, action, &row.text("name")?).await?;
    Ok(Outcome::Updated)
}

/// Takes no new attendees, as a part of a transaction; whether it was otherwise.
pub async fn stop_registration_in(tx: &mut Tx, id: &str, now_ms: i64) -> Result<bool> {
    let done = sqlx::query(
        "insert into registration_stop (event_id, stopped_at) values ($1, $2)
         on conflict (event_id) do nothing",
    )
    .bind(id)
    .bind(now_ms)
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Notes that the event's pre-flight was run, which may have called tools.
pub async fn note_preflight(db: &Db, by: &Actor, id: &str, detail: &str) -> Result<()> {
    let mut tx = db.write().await?;
    audit::record(&mut tx, by, Action::RanPreflight, Noun::Event, id, detail).await?;
    tx.commit().await?;
    Ok(())
}

async fn own(tx: &mut Tx, by: &Actor, id: &str) -> Result<AnyRow> {
    let row = sqlx::query(
        "select name, start_local, end_local, time_zone, ends_at, daily_request_cap, active
         from event where id = $1 and owner_id = $2 and purge_at is null",
    )
    .bind(id)
    .bind(&by.owner_id)
    .fetch_optional(&mut **tx)
    .await?;
    row.ok_or_else(|| Error::NotFound { noun: Noun::Event, name: id.to_owned() })
}

async fn finish(mut tx: Tx, by: &Actor, id: &str, action: Action, detail: &str) -> Result<()> {
    change::record(&mut tx, Noun::Event, id).await?;
    audit::record(&mut tx, by, action, Noun::Event, id, detail).await?;
    tx.commit().await?;
    Ok(())
}
