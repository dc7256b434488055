//! Forms that wait in the store until their owner has signed in again or has confirmed who they
//! are: sealed, for one path, and a few of each owner. Whose form is kept, and what sends it, is
//! the portal's business.

use secrecy::{ExposeSecret, SecretString};
use sqlx::Row;

use super::token;
use crate::catalog::Result;
use crate::catalog::seal::{Place, Vault};
use crate::db::{Columns, Db, Tx};

/// Forms of one owner at once, of those that wait for one session and of the others: the oldest make
/// room.
const OF_ONE_OWNER: i64 = 8;

/// Where a form can be sent.
#[derive(Clone, Copy)]
pub(crate) enum WaitsIn<'a> {
    /// In this session alone.
    Session(&'a str),
    /// In any session of the owner, in the browser that holds this token.
    Browser(&'a SecretString),
}

/// A form to keep.
pub(crate) struct NewForm<'a> {
    pub owner_id: &'a str,
    pub waits_in: WaitsIn<'a>,
    pub path: &'a str,
    pub text: &'a str,
    pub expires_at: i64,
}

/// A form that is kept.
#[derive(Debug)]
pub(crate) struct HeldForm {
    pub owner_id: String,
    session: Option<String>,
    browser: Option<String>,
    pub path: String,
    pub text: SecretString,
}

impl HeldForm {
    /// Whether it can be sent in this session, in the browser that holds this token.
    pub(crate) fn waits_in(&self, session: &str, browser: Option<&SecretString>) -> bool {
        match (&self.session, &self.browser) {
            (Some(only), _) => only == session,
            (None, Some(only)) => browser.is_some_and(|token| digest(token) == *only),
            (None, None) => false,
        }
    }
}

/// Keeps a form and returns its id, which nobody can guess.
pub(crate) async fn keep(
    db: &Db,
    vault: &Vault,
    form: &NewForm<'_>,
    now_ms: i64,
) -> Result<SecretString> {
    let id = token::random()?;
    let digest = digest(&id);
    let row = row(&digest, form.owner_id, form.path);
    let sealed = vault.seal(place(&row), form.text)?;
    let (session, browser) = match form.waits_in {
        WaitsIn::Session(id) => (Some(id), None),
        WaitsIn::Browser(token) => (None, Some(self::digest(token))),
    };
    let mut tx = db.write().await?;
    sqlx::query(
        "delete from held_form where owner_id = $1
            and (case when session is null then 1 else 0 end) = $3 and id not in (
           select id from held_form where owner_id = $1
            and (case when session is null then 1 else 0 end) = $3
           order by created_at desc, id limit $2)",
    )
    .bind(form.owner_id)
    .bind(OF_ONE_OWNER - 1)
    .bind(i64::from(session.is_none()))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "insert into held_form
           (id, owner_id, session, browser, path, fields_sealed, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(digest)
    .bind(form.owner_id)
    .bind(session)
    .bind(browser)
    .bind(form.path)
    .bind(sealed)
    .bind(now_ms)
    .bind(form.expires_at)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(id)
}

/// The form with this id, until it expires.
pub(crate) async fn find(
    db: &Db,
    vault: &Vault,
    id: &SecretString,
    now_ms: i64,
) -> Result<Option<HeldForm>> {
    let digest = digest(id);
    let found = sqlx::query(
        "select owner_id, session, browser, path, fields_sealed from held_form
         where id = $1 and expires_at > $2 and sending = 0",
    )
    .bind(&digest)
    .bind(now_ms)
    .fetch_optional(db.pool())
    .await?;
    let Some(found) = found else { return Ok(None) };
    let (owner_id, path) = (found.text("owner_id")?, found.text("path")?);
    let row = row(&digest, &owner_id, &path);
    // What an earlier master key sealed has nearly expired: it is not worth an error page.
    let text = vault.open(place(&row), &found.text("fields_sealed")?).ok();
    let (session, browser) = (found.try_get("session")?, found.try_get("browser")?);
    Ok(text.map(|text| HeldForm { owner_id, session, browser, path, text }))
}

/// Begins to send the form: true for one who tries, however many do.
pub(crate) async fn begin_sending(db: &Db, id: &SecretString) -> Result<bool> {
    let begun = sqlx::query("update held_form set sending = 1 where id = $1 and sending = 0")
        .bind(digest(id))
        .execute(db.writer())
        .await?;
    Ok(begun.rows_affected() == 1)
}

/// Lets the form wait on, since it could not be sent.
pub(crate) async fn wait_on(db: &Db, id: &SecretString) -> Result<()> {
    sqlx::query("update held_form set sending = 0 where id = $1")
        .bind(digest(id))
        .execute(db.writer())
        .await?;
    Ok(())
}

/// Drops every form of an owner, as a part of the transaction that ends their access.
pub(super) async fn drop_all_in(tx: &mut Tx, owner_id: &str) -> Result<()> {
    sqlx::query("delete from held_form where owner_id = $1")
        .bind(owner_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Keeps the form no longer.
pub(crate) async fn discard(db: &Db, id: &SecretString) -> Result<()> {
    sqlx::query("delete from held_form where id = $1")
        .bind(digest(id))
        .execute(db.writer())
        .await?;
    Ok(())
}

/// Removes the forms that have expired.
pub(crate) async fn expire(db: &Db, now_ms: i64) -> Result<()> {
    sqlx::query("delete from held_form where expires_at <= $1")
        .bind(now_ms)
        .execute(db.writer())
        .await?;
    Ok(())
}

/// A form is sealed for its owner and path: neither can be changed in the store.
fn row(digest: &str, owner_id: &str, path: &str) -> String {
    format!("{digest} {owner_id} {path}")
}

fn place(row: &str) -> Place<'_> {
    Place { table: "held_form", row, column: "fields" }
}

fn digest(id: &SecretString) -> String {
    token::digest(id.expose_secret())
}
