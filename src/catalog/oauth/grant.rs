//! A grant: what an attendee allowed one client in one consent. All of its tokens end with it.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::catalog::seal::Vault;
use crate::catalog::{Error, Noun, Result, change, new_id};
use crate::db::{Columns, Db, Tx};

/// Grants of one attendee at once; the one that was not used for longest makes room.
const MOST: i64 = 50;

/// Of these, as many as there may be when somebody who only typed a name adds one: so they push out none
/// that the person adds later.
const MOST_UNPROVEN: i64 = MOST / 2;

/// What an attendee allows a client.
#[derive(Clone, Debug)]
pub struct NewGrant<'a> {
    pub attendee_id: &'a str,
    pub client_id: &'a str,
    /// As the client calls itself.
    pub client_name: &'a str,
    /// The host, or the scheme of an app, to which the client has the browser sent back.
    pub redirect_host: &'a str,
    /// The deployment name that its tokens are for. `None`: all MCP servers of the event.
    pub deployment: Option<&'a str>,
    /// The event's shared code, where the attendee came by it: another one ends the grant.
    pub shared_code: Option<&'a str>,
    /// Whether they have shown who they are. Who only typed a name takes no other grant's place.
    pub is_proven: bool,
    /// The session in which they allow it ([`AttendeeSession::id`]), which must be open still.
    ///
    /// [`AttendeeSession::id`]: crate::catalog::attendee::session::AttendeeSession::id
    pub session_id: &'a str,
}

/// A grant that is stored.
#[derive(Clone, Debug)]
pub struct Grant {
    pub id: String,
    pub attendee_id: String,
    pub event_id: String,
    pub client_id: String,
    /// The deployment name that its tokens are for. `None`: all MCP servers of the event.
    pub deployment: Option<String>,
    /// Of the shared code by which the attendee came.
    pub(super) code_digest: Option<String>,
}

/// The columns of a [`Grant`], of the tables `g` and, for the event, `a`.
pub(super) const COLUMNS: &str =
    "g.id as grant_id, g.attendee_id as attendee_id, a.event_id as event_id,
    g.client_id as client_id, g.deployment as deployment, g.code_digest as code_digest";

impl Grant {
    pub(super) fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.text("grant_id")?,
            attendee_id: row.text("attendee_id")?,
            event_id: row.text("event_id")?,
            client_id: row.text("client_id")?,
            deployment: row.try_get("deployment")?,
            code_digest: row.try_get("code_digest")?,
        })
    }

    /// Whether it stands only with the shared code by which the attendee came.
    pub fn is_by_code(&self) -> bool {
        self.code_digest.is_some()
    }

    /// Whether the grant stands with what is now the event's shared code.
    pub fn stands_with(&self, vault: &Vault, shared_code: Option<&str>) -> bool {
        let Some(given) = &self.code_digest else { return true };
        shared_code.is_some_and(|code| {
            let code = code_text(code);
            let old = vault.old_digest(&code);
            [Some(vault.digest(&code)), old].into_iter().flatten().any(|now| now.hex() == *given)
        })
    }
}

/// The text whose digest stands for a shared code: the case of its letters does not count. It is the
/// digest of nothing else.
fn code_text(shared_code: &str) -> String {
    format!("shared code {}", shared_code.to_ascii_lowercase())
}

/// Stores a grant, as a part of a transaction of the catalog, and returns its id.
///
/// # Errors
/// [`Error::Conflict`]: the session has ended, or there are as many grants as there may be.
pub(super) async fn insert_in(
    tx: &mut Tx,
    vault: &Vault,
    grant: &NewGrant<'_>,
    now_ms: i64,
) -> Result<String> {
    let id = new_id();
    let added = sqlx::query(
        "insert into oauth_grant (id, attendee_id, client_id, client_name, redirect_host,
            deployment, code_digest, created_at)
         select $1, id, $3, $4, $5, $6, $7, $8 from attendee where id = $2
            and exists (select 1 from attendee_session where digest = $9 and attendee_id = $2)",
    )
    .bind(&id)
    .bind(grant.attendee_id)
    .bind(grant.client_id)
    .bind(grant.client_name)
    .bind(grant.redirect_host)
    .bind(grant.deployment)
    .bind(grant.shared_code.map(|code| vault.digest(&code_text(code)).hex()))
    .bind(now_ms)
    .bind(grant.session_id)
    .execute(&mut **tx)
    .await?;
    if added.rows_affected() == 0 {
        let reason =
            "you were signed out meanwhile, so nothing was allowed; start again in your app";
        return Err(Error::Conflict { reason: reason.to_owned() });
    }
    make_room(tx, grant).await?;
    Ok(id)
}

async fn make_room(tx: &mut Tx, new: &NewGrant<'_>) -> Result<()> {
    let attendee_id = new.attendee_id;
    if !new.is_proven {
        let count: i64 =
            sqlx::query_scalar("select count(*) from oauth_grant where attendee_id = $1")
                .bind(attendee_id)
                .fetch_one(&mut **tx)
                .await?;
        if count > MOST_UNPROVEN {
            let reason = "as many apps are connected as can be allowed with a name alone; whoever has \
                          this name can disconnect one on their page";
            return Err(Error::Conflict { reason: reason.to_owned() });
        }
        return Ok(());
    }
    let ended: Vec<String> = sqlx::query_scalar(
        "delete from oauth_grant where attendee_id = $1 and id not in (
            select id from oauth_grant where attendee_id = $1
            order by coalesce(last_used_at, created_at) desc, id desc limit $2)
         returning id",
    )
    .bind(attendee_id)
    .bind(MOST)
    .fetch_all(&mut **tx)
    .await?;
    for id in &ended {
        note_end(tx, attendee_id, id).await?;
    }
    Ok(())
}

/// Has every replica end what is open by the grant.
async fn note_end(tx: &mut Tx, attendee_id: &str, id: &str) -> Result<()> {
    change::record(tx, Noun::Credential, &format!("{attendee_id} {id}")).await
}

/// Counts the grant as used, as the first write of a transaction: whoever ends grants locks them before
/// their tokens. `false`: it has ended.
pub(super) async fn touch_in(tx: &mut Tx, id: &str, now_ms: i64) -> Result<bool> {
    let touched = sqlx::query("update oauth_grant set last_used_at = $2 where id = $1")
        .bind(id)
        .bind(now_ms)
        .execute(&mut **tx)
        .await?;
    Ok(touched.rows_affected() > 0)
}

/// An app that may call as an attendee, as their page lists it.
#[derive(Clone, Debug)]
pub struct ConnectedApp {
    /// Of the grant.
    pub id: String,
    pub client_name: String,
    pub redirect_host: String,
    /// `None`: all MCP servers of the event.
    pub deployment: Option<String>,
    /// UTC milliseconds, as is the next.
    pub created_at: i64,
    /// When it last got tokens.
    pub last_used_at: i64,
}

/// The apps that an attendee has allowed and that have got tokens, the one used last first.
pub async fn connected(db: &Db, attendee_id: &str) -> Result<Vec<ConnectedApp>> {
    let rows = sqlx::query(
        "select id, client_name, redirect_host, deployment, created_at, last_used_at
         from oauth_grant where attendee_id = $1 and last_used_at is not null
         order by last_used_at desc, id",
    )
    .bind(attendee_id)
    .fetch_all(db.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ConnectedApp {
                id: row.text("id")?,
                client_name: row.text("client_name")?,
                redirect_host: row.text("redirect_host")?,
                deployment: row.try_get("deployment")?,
                created_at: row.int("created_at")?,
                last_used_at: row.int("last_used_at")?,
            })
        })
        .collect()
}

/// Ends a grant, for all replicas.
pub(super) async fn end(db: &Db, grant: &Grant) -> Result<()> {
    let mut tx = change::write(db).await?;
    end_in(&mut tx, &grant.attendee_id, &grant.id).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends a grant of an attendee, as a part of a transaction of the catalog.
pub(in crate::catalog) async fn end_in(tx: &mut Tx, attendee_id: &str, id: &str) -> Result<()> {
    sqlx::query("delete from oauth_grant where id = $1 and attendee_id = $2")
        .bind(id)
        .bind(attendee_id)
        .execute(&mut **tx)
        .await?;
    note_end(tx, attendee_id, id).await
}

/// Ends every grant of an attendee, as a part of a transaction that notes the attendee's change.
pub(in crate::catalog) async fn end_all_in(tx: &mut Tx, attendee_id: &str) -> Result<()> {
    sqlx::query("delete from oauth_grant where attendee_id = $1")
        .bind(attendee_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
