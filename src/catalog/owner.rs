//! Owners: organisers, who see nothing of each other's; and the one-time links
//! by which they set their password.

pub mod api_token;
pub mod entra;
pub mod manage;
pub mod password;
pub mod redeem;

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::AnyRow;

use super::digest::hex;
use super::validate::line;
use super::{Digest, Error, Noun, Result, change, new_id, seal};
use crate::catalog::audit::{self, Actor};
use crate::db::{Columns, Db, Tx};

const LINK_VALID_MS: i64 = 3_600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Owner,
    /// Manages owners as well.
    Administrator,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Administrator => "administrator",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Owner {
    pub id: String,
    pub name: String,
    pub role: Role,
    pub active: bool,
}

impl Owner {
    /// This owner as the one who writes, `at` that time (UTC milliseconds).
    pub fn actor(&self, at: i64) -> Actor {
        Actor { owner_id: self.id.clone(), name: self.name.clone(), at }
    }

    /// From columns `id, name, role, active`.
    pub(crate) fn read(row: &AnyRow) -> Result<Self> {
        let role = match row.text("role")?.as_str() {
            "administrator" => Role::Administrator,
            _ => Role::Owner,
        };
        Ok(Self { id: row.text("id")?, name: row.text("name")?, role, active: row.flag("active")? })
    }
}

/// The owner `name`; made without a password where there is none.
pub async fn local(db: &Db, name: &str, now_ms: i64) -> Result<Owner> {
    let name = line("owner", name, 64)?;
    if let Some(owner) = find(db, &name).await? {
        return Ok(owner);
    }
    let mut tx = change::write(db).await?;
    let id = new_id();
    let inserted = sqlx::query(
        "insert into owner (id, name, role, active, password_hash, created_at)
         values ($1, $2, 'owner', 1, null, $3) on conflict (name) do nothing",
    )
    .bind(&id)
    .bind(&name)
    .bind(now_ms)
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() > 0 {
        change::record(&mut tx, Noun::Owner, &id).await?;
        let by = Actor { owner_id: id.clone(), name: name.clone(), at: now_ms };
        audit::record(&mut tx, &by, "created", Noun::Owner, &id, &name).await?;
    }
    tx.commit().await?;
    find(db, &name).await?.ok_or(Error::NotFound { noun: Noun::Owner, name })
}

/// The owner whose rows commands write who name none. The first administrator
/// takes them over under a name of their own; [`LOCAL`] goes on meaning them.
pub const LOCAL: &str = "local";

/// The owner `name`, where there is one.
pub async fn find(db: &Db, name: &str) -> Result<Option<Owner>> {
    let row = match find_row(db, BY_NAME, name).await? {
        None if name == LOCAL => find_row(db, BY_ALIAS, ALIAS).await?,
        row => row,
    };
    row.as_ref().map(Owner::read).transpose()
}

/// Where `meta` keeps the id of the owner that [`LOCAL`] means.
const ALIAS: &str = "local-owner";
const BY_ALIAS: &str = "select id, name, role, active, password_hash from owner
                        where id = (select value from meta where name = $1)";

const BY_ID: &str = "select id, name, role, active, password_hash from owner where id = $1";
const BY_NAME: &str = "select id, name, role, active, password_hash from owner where name = $1";

async fn find_row(db: &Db, select: &'static str, key: &str) -> Result<Option<AnyRow>> {
    Ok(sqlx::query(select).bind(key).fetch_optional(db.pool()).await?)
}

/// What lets one person set a password, once, until it expires.
#[derive(Debug)]
pub struct SetupLink {
    /// 64 hexadecimal digits; only its digest is stored.
    pub token: SecretString,
    /// UTC milliseconds.
    pub expires_at: i64,
}

impl SetupLink {
    /// The link itself, on a portal that is reached at `base`.
    pub fn url(&self, base: &str) -> String {
        format!("{}/admin/setup/{}", base.trim_end_matches('/'), self.token.expose_secret())
    }
}

/// Makes the link that lets whoever holds it become the first administrator.
pub async fn setup_link(db: &Db, now_ms: i64) -> Result<SetupLink> {
    let mut tx = change::write(db).await?;
    let link = new_link(&mut tx, None, now_ms).await?;
    tx.commit().await?;
    Ok(link)
}

/// Makes a link by which the owner `name` sets a new password. Earlier ones of
/// theirs stop working.
///
/// # Errors
/// [`Error::NotFound`] where there is no such owner.
pub async fn reset(db: &Db, name: &str, now_ms: i64) -> Result<SetupLink> {
    let not_found = || Error::NotFound { noun: Noun::Owner, name: name.to_owned() };
    let owner = find(db, name.trim()).await?.ok_or_else(not_found)?;
    manage::reset(db, &owner.actor(now_ms), &owner).await
}

/// Stores a new link; for an owner it takes the place of their earlier ones.
async fn new_link(tx: &mut Tx, owner_id: Option<&str>, now: i64) -> Result<SetupLink> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| seal::Error::Failed)?;
    let token = hex(&*bytes);
    let expires_at = now + LINK_VALID_MS;
    sqlx::query("delete from setup_link where expires_at < $1 or owner_id = $2")
        .bind(now)
        .bind(owner_id)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "insert into setup_link (digest, owner_id, created_at, expires_at, used_at)
         values ($1, $2, $3, $4, null)",
    )
    .bind(Digest::sha256(token.as_bytes()).hex())
    .bind(owner_id)
    .bind(now)
    .bind(expires_at)
    .execute(&mut **tx)
    .await?;
    Ok(SetupLink { token: token.into(), expires_at })
}
