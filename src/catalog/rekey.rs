//! Re-seals every secret that an earlier master key sealed, and recomputes the
//! digests that came with it.
//!
//! Rows are taken in batches and replaced only if nobody changed them since
//! they were read, so servers that know both keys go on serving, and a run that
//! broke off is simply started again.

use secrecy::ExposeSecret;
use sqlx::any::AnyRow;

use super::attendee::card;
use super::seal::{self, Place, Vault};
use super::{Digest, Error, Result, attendee, event, mcp_session, resource};
use crate::db::{Columns, Db, Tx};

/// Columns re-sealed by one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    pub endpoints: u64,
    pub backend_keys: u64,
    pub shared_codes: u64,
    pub api_keys: u64,
    pub card_codes: u64,
}

/// Rows that are named in the log beside the one that the error names.
const LOGGED: usize = 20;

struct Column {
    table: &'static str,
    name: &'static str,
    /// The next 100 rows after `$2` that are not sealed as `$1` is.
    select: &'static str,
    /// Replaces `$2` in row `$1` by `$3`; `$4` is the digest, where there is one.
    update: &'static str,
    /// The digest of the text, for a row that is found by it.
    digest: Option<fn(&Vault, &str) -> Digest>,
}

const ENDPOINTS: Column = Column {
    table: resource::TABLE,
    name: resource::ENDPOINT,
    select: "select id, endpoint_sealed as sealed from resource
             where endpoint_sealed not like $1 and id > $2 order by id limit 100",
    update: "update resource set endpoint_sealed = $3 where id = $1 and endpoint_sealed = $2",
    digest: None,
};

const BACKEND_KEYS: Column = Column {
    table: resource::TABLE,
    name: resource::KEY,
    select: "select id, key_sealed as sealed from resource
             where key_sealed not like $1 and id > $2 order by id limit 100",
    update: "update resource set key_sealed = $3 where id = $1 and key_sealed = $2",
    digest: None,
};

const SHARED_CODES: Column = Column {
    table: event::TABLE,
    name: event::SHARED_CODE,
    select: "select id, shared_code_sealed as sealed from event
             where shared_code_sealed not like $1 and id > $2 order by id limit 100",
    update: "update event set shared_code_sealed = $3 where id = $1 and shared_code_sealed = $2",
    digest: None,
};

const API_KEYS: Column = Column {
    table: attendee::TABLE,
    name: attendee::API_KEY,
    select: "select id, api_key_sealed as sealed from attendee
             where api_key_sealed not like $1 and id > $2 order by id limit 100",
    update: "update attendee set api_key_sealed = $3, key_digest = $4
             where id = $1 and api_key_sealed = $2",
    digest: Some(attendee::key_digest),
};

/// Cards that were made before codes were stored have none. They work until the old key is
/// gone.
const CARD_CODES: Column = Column {
    table: card::TABLE,
    name: card::CODE,
    select: "select attendee_id as id, code_sealed as sealed from claim_code
             where code_sealed not like $1 and attendee_id > $2 order by attendee_id limit 100",
    update: "update claim_code set code_sealed = $3, digest = $4
             where attendee_id = $1 and code_sealed = $2",
    digest: Some(card::digest),
};

/// Not counted among what was re-sealed: most are gone within hours.
const AFFINITIES: Column = Column {
    table: mcp_session::TABLE,
    name: mcp_session::AFFINITY,
    select: "select endpoint_digest || '.' || session_digest as id, affinity_sealed as sealed
             from mcp_session where affinity_sealed not like $1
               and (endpoint_digest, session_digest) > (substr($2, 1, 64), substr($2, 66))
             order by endpoint_digest, session_digest limit 100",
    update: "update mcp_session set affinity_sealed = $3
             where endpoint_digest = substr($1, 1, 64) and session_digest = substr($1, 66)
               and affinity_sealed = $2",
    digest: None,
};

/// Brings the whole store under the current master key.
///
/// # Errors
/// A row that neither key opens stays unchanged, and the others are re-sealed; its
/// place is named at the end, and the old key is needed until it is mended or deleted.
pub async fn run(db: &Db, vault: &Vault) -> Result<Rekeyed> {
    let mut unopened = Vec::new();
    let rekeyed = Rekeyed {
        endpoints: column(db, vault, &ENDPOINTS, &mut unopened).await?,
        backend_keys: column(db, vault, &BACKEND_KEYS, &mut unopened).await?,
        shared_codes: column(db, vault, &SHARED_CODES, &mut unopened).await?,
        api_keys: column(db, vault, &API_KEYS, &mut unopened).await?,
        card_codes: column(db, vault, &CARD_CODES, &mut unopened).await?,
    };
    column(db, vault, &AFFINITIES, &mut unopened).await?;
    for error in unopened.iter().skip(1).take(LOGGED) {
        tracing::warn!(%error, "a row cannot be sealed with the current master key");
    }
    if let Some(first) = unopened.into_iter().next() {
        return Err(first.into());
    }
    vault.renew_check(db).await?;
    Ok(rekeyed)
}

async fn column(
    db: &Db,
    vault: &Vault,
    column: &Column,
    unopened: &mut Vec<seal::Error>,
) -> Result<u64> {
    let current = format!("{}%", vault.current_prefix());
    let (mut resealed, mut last) = (0, String::new());
    loop {
        let mut tx = db.write().await?;
        let query = sqlx::query(column.select).bind(&current).bind(&last);
        let rows = query.fetch_all(&mut *tx).await?;
        let Some(end) = rows.last() else { return Ok(resealed) };
        last = end.text("id")?;
        for row in &rows {
            match reseal(&mut tx, vault, column, row).await {
                Ok(rows) => resealed += rows,
                Err(Error::Seal(error)) => unopened.push(error),
                Err(error) => return Err(error),
            }
        }
        tx.commit().await?;
    }
}

async fn reseal(tx: &mut Tx, vault: &Vault, column: &Column, row: &AnyRow) -> Result<u64> {
    let (id, sealed) = (row.text("id")?, row.text("sealed")?);
    let place = Place { table: column.table, row: &id, column: column.name };
    let text = vault.open(place, &sealed)?;
    let mut query = sqlx::query(column.update)
        .bind(&id)
        .bind(&sealed)
        .bind(vault.seal(place, text.expose_secret())?);
    if let Some(digest) = column.digest {
        query = query.bind(digest(vault, text.expose_secret()).hex());
    }
    Ok(query.execute(&mut **tx).await?.rows_affected())
}
