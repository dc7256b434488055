//! Owners who sign in with Microsoft Entra ID: which account is whose. Proof
//! that somebody holds an account is `identity`'s business.

use std::fmt;

use uuid::Uuid;

use super::access::{end_access, remove_account};
use super::link::{self, LinkFor};
use super::session::{self, OwnerSession};
use super::{LOCAL, Owner, Role, insert};
use crate::catalog::audit::{self, Action};
use crate::catalog::validate::invalid;
use crate::catalog::{Error, Noun, Result, change};
use crate::db::{Columns, Db, Tx};

/// A person in a tenant. Names and e-mail addresses change hands; these ids
/// never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub tenant: Uuid,
    pub object: Uuid,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.object)
    }
}

const OF_ACCOUNT: &str = "select o.id as id, o.name as name, o.role as role, o.active as active
                          from entra_account a join owner o on o.id = a.owner_id
                          where a.tenant_id = $1 and a.object_id = $2";

/// Whose account it is; also one who is deactivated.
pub async fn owner_of(db: &Db, account: Account) -> Result<Option<Owner>> {
    let row = sqlx::query(OF_ACCOUNT)
        .bind(account.tenant.to_string())
        .bind(account.object.to_string())
        .fetch_optional(db.pool())
        .await?;
    row.as_ref().map(Owner::read).transpose()
}

/// Whether this owner signs in with an account.
pub async fn has_account(db: &Db, owner: &Owner) -> Result<bool> {
    let row = sqlx::query("select count(*) as n from entra_account where owner_id = $1")
        .bind(&owner.id)
        .fetch_one(db.pool())
        .await?;
    Ok(row.int("n")? > 0)
}

/// The owner of an account that needs no invitation: made where there is none,
/// under `name` or one like it. Nobody becomes an existing owner by a name.
pub async fn admit(db: &Db, account: Account, name: &str, now_ms: i64) -> Result<Owner> {
    let mut tx = change::write(db).await?;
    if let Some(owner) = owner_in(&mut tx, account).await? {
        return Ok(owner);
    }
    let name = free_name(&mut tx, account, name).await?;
    let owner = insert(&mut tx, &name, Role::Owner, now_ms).await?;
    let owner = owner.ok_or_else(|| invalid("name", "is another owner's"))?;
    keep_account(&mut tx, account, &owner, Action::BecameOwner, now_ms).await?;
    tx.commit().await?;
    Ok(owner)
}

/// Uses a link up that recovers an account: from now on its owner signs in with `account`, in place of
/// any other. `None`: the link is not good, or not for that.
///
/// The password, the sessions and the API tokens of before end in the same transaction. The password
/// of the last administrator who has one stays: without it nobody could manage owners while Microsoft
/// cannot be reached.
///
/// # Errors
/// [`Error::Conflict`]: the account is another owner's. The link stays good.
pub async fn redeem(db: &Db, token: &str, account: Account, now_ms: i64) -> Result<Option<Owner>> {
    let mut tx = change::write(db).await?;
    let Some(LinkFor::Recovery(id)) = link::find_live(&mut tx, token, now_ms).await? else {
        return Ok(None);
    };
    let Some(owner) = active(&mut tx, &id).await? else { return Ok(None) };
    replace_account(&mut tx, account, &owner, now_ms).await?;
    sqlx::query(
        "update owner set password_hash = null where id = $1
           and (role <> 'administrator' or exists (
             select 1 from owner other where other.id <> $1 and other.active = 1
               and other.role = 'administrator' and other.password_hash is not null))",
    )
    .bind(&owner.id)
    .execute(&mut *tx)
    .await?;
    link::use_up(&mut tx, token, now_ms).await?;
    end_access(&mut tx, &owner.id).await?;
    tx.commit().await?;
    Ok(Some(owner))
}

/// Uses a link up that adds an account to that of the owner of `session`, in place of any Microsoft
/// account that was there. `false`: the link is not good, or not for that, or the session has ended.
///
/// # Errors
/// [`Error::Conflict`]: the account is another owner's.
pub(crate) async fn add(
    db: &Db,
    token: &str,
    session: &OwnerSession,
    account: Account,
    now_ms: i64,
) -> Result<bool> {
    let mut tx = change::write(db).await?;
    let Some(LinkFor::NewAccount(id)) = link::find_live(&mut tx, token, now_ms).await? else {
        return Ok(false);
    };
    if id != session.owner.id || !session::is_open_in(&mut tx, session).await? {
        return Ok(false);
    }
    let Some(owner) = active(&mut tx, &id).await? else { return Ok(false) };
    replace_account(&mut tx, account, &owner, now_ms).await?;
    link::use_up(&mut tx, token, now_ms).await?;
    tx.commit().await?;
    Ok(true)
}

async fn active(tx: &mut Tx, owner_id: &str) -> Result<Option<Owner>> {
    let row = sqlx::query("select id, name, role, active from owner where id = $1 and active = 1")
        .bind(owner_id)
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(Owner::read).transpose()
}

async fn replace_account(tx: &mut Tx, account: Account, owner: &Owner, now_ms: i64) -> Result<()> {
    if let Some(other) = owner_in(tx, account).await?.filter(|other| other.id != owner.id) {
        let reason = format!("this Microsoft account already signs in as {}", other.name);
        return Err(Error::Conflict { reason });
    }
    remove_account(tx, &owner.id).await?;
    keep_account(tx, account, owner, Action::LinkedAccount, now_ms).await
}

async fn owner_in(tx: &mut Tx, account: Account) -> Result<Option<Owner>> {
    let row = sqlx::query(OF_ACCOUNT)
        .bind(account.tenant.to_string())
        .bind(account.object.to_string())
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(Owner::read).transpose()
}

async fn keep_account(
    tx: &mut Tx,
    account: Account,
    owner: &Owner,
    action: Action,
    now_ms: i64,
) -> Result<()> {
    sqlx::query(
        "insert into entra_account (tenant_id, object_id, owner_id, created_at)
         values ($1, $2, $3, $4)",
    )
    .bind(account.tenant.to_string())
    .bind(account.object.to_string())
    .bind(&owner.id)
    .bind(now_ms)
    .execute(&mut **tx)
    .await?;
    change::record(tx, Noun::Owner, &owner.id).await?;
    let detail = format!("{} ({account})", owner.name);
    audit::record(tx, &owner.actor(now_ms), action, Noun::Owner, &owner.id, &detail).await
}

/// The person's own name where it is free, else with a number.
async fn free_name(tx: &mut Tx, account: Account, name: &str) -> Result<String> {
    let plain: String = name.chars().filter(|c| !c.is_control()).take(56).collect();
    let plain = match plain.trim() {
        "" => format!("Microsoft account {}", &account.object.to_string()[..8]),
        name => name.to_owned(),
    };
    let mut name = plain.clone();
    let mut number = 1;
    loop {
        let taken: i64 = sqlx::query_scalar("select count(*) from owner where name = $1")
            .bind(&name)
            .fetch_one(&mut **tx)
            .await?;
        if taken == 0 && name != LOCAL {
            return Ok(name);
        }
        number += 1;
        name = format!("{plain} {number}");
    }
}
