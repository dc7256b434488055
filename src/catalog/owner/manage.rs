//! What administrators do with owners: invite them, give them roles, switch them off.
//! That `by` is an administrator is the caller's to know. There is always an
//! administrator left who has a password, so that one can sign in while Microsoft cannot
//! be reached.

use super::access::end_access;
use super::link::{self, LinkFor, SetupLink};
use super::{BY_ID, Owner, Role, find, find_row, insert, line};
use crate::catalog::audit::{self, Action, Actor};
use crate::catalog::limits::NAME;
use crate::catalog::validate::invalid;
use crate::catalog::{Error, Noun, Result, change};
use crate::db::{Columns, Db, Tx};

/// An owner as administrators see one.
#[derive(Clone, Debug)]
pub struct ListedOwner {
    pub owner: Owner,
    /// Whether a password was ever set.
    pub has_password: bool,
    /// Whether they sign in with a Microsoft account.
    pub has_entra: bool,
    pub events: u32,
}

/// All owners by name.
pub async fn list(db: &Db) -> Result<Vec<ListedOwner>> {
    let rows = sqlx::query(
        "select o.id as id, o.name as name, o.role as role, o.active as active,
            case when o.password_hash is null then 0 else 1 end as has_password,
            (select count(*) from entra_account a where a.owner_id = o.id) as has_entra,
            (select count(*) from event e
                where e.owner_id = o.id and e.purge_at is null) as events
         from owner o order by lower(o.name), o.name",
    )
    .fetch_all(db.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ListedOwner {
                owner: Owner::read(row)?,
                has_password: row.flag("has_password")?,
                has_entra: row.flag("has_entra")?,
                events: row.count("events")?,
            })
        })
        .collect()
}

/// The names of those who can be asked for an invitation.
pub async fn administrators(db: &Db) -> Result<Vec<String>> {
    let rows = sqlx::query(
        "select name from owner where role = 'administrator' and active = 1 order by name",
    )
    .fetch_all(db.pool())
    .await?;
    rows.iter().map(|row| Ok(row.text("name")?)).collect()
}

/// The owner with this id.
pub async fn get(db: &Db, id: &str) -> Result<Owner> {
    let row = find_row(db, BY_ID, id).await?;
    let row = row.ok_or_else(|| Error::NotFound { noun: Noun::Owner, name: id.to_owned() })?;
    Owner::read(&row)
}

/// Makes an owner, and the link by which they set their password.
///
/// # Errors
/// [`Error::Invalid`]: the name is empty, too long or another owner's.
pub async fn invite(db: &Db, by: &Actor, name: &str) -> Result<SetupLink> {
    let name = line("name", name, NAME)?;
    if find(db, &name).await?.is_some() {
        return Err(invalid("name", "is another owner's"));
    }
    let mut tx = change::write(db).await?;
    let Some(owner) = insert(&mut tx, &name, Role::Owner, by.at).await? else {
        return Err(invalid("name", "is another owner's"));
    };
    let link = link::insert(&mut tx, &LinkFor::Recovery(owner.id.clone()), by.at).await?;
    note(&mut tx, by, Action::Invited, &owner.id, &name).await?;
    tx.commit().await?;
    Ok(link)
}

/// # Errors
/// [`Error::Conflict`]: nobody would be left to manage owners.
pub async fn set_role(db: &Db, by: &Actor, owner: &Owner, role: Role) -> Result<()> {
    let mut tx = change::write(db).await?;
    sqlx::query("update owner set role = $2 where id = $1")
        .bind(&owner.id)
        .bind(role.as_str())
        .execute(&mut *tx)
        .await?;
    keep_an_administrator(&mut tx).await?;
    let action = match role {
        Role::Administrator => Action::MadeAdministrator,
        Role::Owner => Action::MadePlainOwner,
    };
    note(&mut tx, by, action, &owner.id, &owner.name).await?;
    Ok(tx.commit().await?)
}

/// Switches signing in off or on again. Off, every session, link and API token of
/// theirs ends; their events go on.
///
/// # Errors
/// [`Error::Conflict`]: nobody would be left to manage owners.
pub async fn set_active(db: &Db, by: &Actor, owner: &Owner, active: bool) -> Result<()> {
    let mut tx = change::write(db).await?;
    sqlx::query("update owner set active = $2 where id = $1")
        .bind(&owner.id)
        .bind(i64::from(active))
        .execute(&mut *tx)
        .await?;
    keep_an_administrator(&mut tx).await?;
    end_access(&mut tx, &owner.id).await?;
    let action = if active { Action::Reactivated } else { Action::Deactivated };
    note(&mut tx, by, action, &owner.id, &owner.name).await?;
    Ok(tx.commit().await?)
}

async fn keep_an_administrator(tx: &mut Tx) -> Result<()> {
    let row = sqlx::query(
        "select count(*) as n from owner
         where role = 'administrator' and active = 1 and password_hash is not null",
    )
    .fetch_one(&mut **tx)
    .await?;
    if row.int("n")? == 0 {
        let reason = "nobody else could manage owners; make another owner administrator first";
        return Err(Error::Conflict { reason: reason.to_owned() });
    }
    Ok(())
}

async fn note(tx: &mut Tx, by: &Actor, action: Action, id: &str, name: &str) -> Result<()> {
    change::record(tx, Noun::Owner, id).await?;
    audit::record(tx, by, action, Noun::Owner, id, name).await
}
