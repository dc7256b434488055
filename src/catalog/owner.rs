//! Owners: organisers, who see nothing of each other's. What belongs to an owner is here
//! as well: passwords, Microsoft accounts, one-time links, API tokens, the sessions of browsers and
//! who signed in, each with its SQL in a file of its own.

mod access;
pub mod api_token;
pub mod entra;
pub(crate) mod held_form;
pub mod link;
pub mod manage;
pub(crate) mod password;
pub mod redeem;
pub(crate) mod session;
pub mod sign_in;
pub(crate) mod token;

use sqlx::any::AnyRow;

use super::audit::{self, Action, Actor};
use super::limits::NAME;
use super::validate::line;
use super::{Error, Noun, Result, change, new_id};
use crate::db::{Columns, Db, Tx};

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
    let name = line("owner", name, NAME)?;
    if let Some(owner) = find(db, &name).await? {
        return Ok(owner);
    }
    let mut tx = change::write(db).await?;
    if let Some(owner) = insert(&mut tx, &name, Role::Owner, now_ms).await? {
        change::record(&mut tx, Noun::Owner, &owner.id).await?;
        let by = owner.actor(now_ms);
        audit::record(&mut tx, &by, Action::Created, Noun::Owner, &owner.id, &name).await?;
    }
    tx.commit().await?;
    find(db, &name).await?.ok_or(Error::NotFound { noun: Noun::Owner, name })
}

/// Adds an owner, who has no password yet; `None` where the name is another's. The
/// caller notes the change.
async fn insert(tx: &mut Tx, name: &str, role: Role, now_ms: i64) -> Result<Option<Owner>> {
    let id = new_id();
    let inserted = sqlx::query(
        "insert into owner (id, name, role, active, password_hash, created_at)
         values ($1, $2, $3, 1, null, $4) on conflict (name) do nothing",
    )
    .bind(&id)
    .bind(name)
    .bind(role.as_str())
    .bind(now_ms)
    .execute(&mut **tx)
    .await?;
    let owner = Owner { id, name: name.to_owned(), role, active: true };
    Ok((inserted.rows_affected() > 0).then_some(owner))
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
