//! Redeeming a one-time link: it makes the first administrator, or sets the
//! password of the owner that it was made for.

use super::access::{end_access, remove_account};
use super::link::{self, LinkFor};
use super::{ALIAS, BY_ID, LOCAL, Owner, Role, find_row, insert, line};
use crate::catalog::audit::{self, Action};
use crate::catalog::limits::NAME;
use crate::catalog::validate::invalid;
use crate::catalog::{Noun, Result, change};
use crate::db::{Db, Tx};

/// What a link is good for.
#[derive(Debug)]
pub enum Pending {
    /// Becoming an administrator, under a name of one's choice.
    Administrator,
    /// Setting the password of this owner.
    Password(Owner),
}

/// What the link with this token is good for; `None` once it was used or has
/// expired.
pub async fn pending(db: &Db, token: &str, now_ms: i64) -> Result<Option<Pending>> {
    let live = link::find_live(&mut *db.pool().acquire().await?, token, now_ms).await?;
    let owner_id = match live {
        None | Some(LinkFor::NewAccount(_)) => return Ok(None),
        Some(LinkFor::FirstAdministrator) => return Ok(Some(Pending::Administrator)),
        Some(LinkFor::Recovery(id)) => id,
    };
    let owner = find_row(db, BY_ID, &owner_id).await?.map(|row| Owner::read(&row)).transpose()?;
    Ok(owner.filter(|owner| owner.active).map(Pending::Password))
}

/// Uses the link up. `name` counts where it makes an administrator: they take
/// over the rows of [`LOCAL`], where nobody signs in as that. Where it recovers an account, the new
/// password is the only way in: a Microsoft account no longer is one. `None`: the link is not good any
/// more.
///
/// # Errors
/// [`Invalid`](crate::catalog::Error::Invalid): another owner has that name.
pub async fn redeem(
    db: &Db,
    token: &str,
    name: &str,
    hash: &str,
    now_ms: i64,
) -> Result<Option<Owner>> {
    let mut tx = change::write(db).await?;
    let mut removed = false;
    let (id, action) = match link::find_live(&mut tx, token, now_ms).await? {
        None | Some(LinkFor::NewAccount(_)) => return Ok(None),
        Some(LinkFor::Recovery(id)) => {
            // It may be the account of whoever the owner recovers theirs from.
            removed = remove_account(&mut tx, &id).await?;
            (id, Action::SetPassword)
        }
        Some(LinkFor::FirstAdministrator) => {
            let name = line("name", name, NAME)?;
            (administrator(&mut tx, &name, now_ms).await?, Action::BecameAdministrator)
        }
    };
    let row = sqlx::query(
        "update owner set password_hash = $2 where id = $1 and active = 1
         returning id, name, role, active",
    )
    .bind(&id)
    .bind(hash)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let owner = Owner::read(&row)?;
    link::use_up(&mut tx, token, now_ms).await?;
    end_access(&mut tx, &id).await?;
    change::record(&mut tx, Noun::Owner, &id).await?;
    let detail = match removed {
        true => format!("{} (removed their Microsoft account)", owner.name),
        false => owner.name.clone(),
    };
    audit::record(&mut tx, &owner.actor(now_ms), action, Noun::Owner, &id, &detail).await?;
    tx.commit().await?;
    Ok(Some(owner))
}

/// The row that becomes the administrator `name`. Further links of that kind
/// are void from here on: there is somebody who can be asked.
async fn administrator(tx: &mut Tx, name: &str, now_ms: i64) -> Result<String> {
    link::void_first(tx).await?;
    let local: Option<String> = sqlx::query_scalar(
        "select id from owner where name = $1 and password_hash is null and active = 1
           and not exists (select 1 from entra_account where owner_id = owner.id)",
    )
    .bind(LOCAL)
    .fetch_optional(&mut **tx)
    .await?;
    let taken: Option<String> = sqlx::query_scalar(
        "select id from owner where name = $1
         union select value from meta where name = $2 and $1 = $3",
    )
    .bind(name)
    .bind(ALIAS)
    .bind(LOCAL)
    .fetch_optional(&mut **tx)
    .await?;
    if taken.is_some() && taken != local {
        return Err(invalid("name", "is another owner's"));
    }
    let id = match local {
        Some(id) => {
            sqlx::query("update owner set name = $2, role = 'administrator' where id = $1")
                .bind(&id)
                .bind(name)
                .execute(&mut **tx)
                .await?;
            id
        }
        None => {
            let owner = insert(tx, name, Role::Administrator, now_ms).await?;
            owner.ok_or_else(|| invalid("name", "is another owner's"))?.id
        }
    };
    sqlx::query("insert into meta (name, value) values ($1, $2) on conflict (name) do nothing")
        .bind(ALIAS)
        .bind(&id)
        .execute(&mut **tx)
        .await?;
    Ok(id)
}
