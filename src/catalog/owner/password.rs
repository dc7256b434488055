//! What owners sign in with, and who may. Hashes only: what makes and compares
//! them is `identity`.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{BY_ID, BY_NAME, Owner, find_row, link};
use crate::catalog::audit::{self, Action};
use crate::catalog::{Error, Noun, Result, change};
use crate::db::{Columns, Db, Tx};

/// The owner `name`, and the hash of the password where one was set and they are active.
pub(crate) async fn hash_of(db: &Db, name: &str) -> Result<Option<(Owner, Option<String>)>> {
    active(find_row(db, BY_NAME, name).await?)
}

/// The same for the owner with this id.
pub(crate) async fn hash_of_id(db: &Db, id: &str) -> Result<Option<(Owner, Option<String>)>> {
    active(find_row(db, BY_ID, id).await?)
}

fn active(row: Option<AnyRow>) -> Result<Option<(Owner, Option<String>)>> {
    let Some(row) = row else { return Ok(None) };
    let owner = Owner::read(&row)?;
    let hash = if owner.active { row.try_get("password_hash")? } else { None };
    Ok(Some((owner, hash)))
}

/// Whether there is an active owner who has a password.
pub(crate) async fn is_any_set(db: &Db) -> Result<bool> {
    let row = sqlx::query(
        "select count(*) as n from owner where active = 1 and password_hash is not null",
    )
    .fetch_one(db.pool())
    .await?;
    Ok(row.int("n")? > 0)
}

/// Replaces the owner's own password, whose hash is `old`. A Microsoft account that is being added
/// to theirs meanwhile, perhaps by whoever knew the old one, is not added.
///
/// # Errors
/// [`Error::Conflict`]: that is not their password any more. A change that began before the account
/// was recovered must not undo the recovery.
pub(crate) async fn set(db: &Db, owner: &Owner, old: &str, new: &str, now_ms: i64) -> Result<()> {
    let mut tx = change::write(db).await?;
    let changed = sqlx::query(
        "update owner set password_hash = $3
         where id = $1 and password_hash = $2 and active = 1",
    )
    .bind(&owner.id)
    .bind(old)
    .bind(new)
    .execute(&mut *tx)
    .await?;
    if changed.rows_affected() == 0 {
        let reason = "your password was replaced, or your account deactivated, while this form was \
                      being sent, so it changed nothing; sign in with the password that is valid now";
        return Err(Error::Conflict { reason: reason.to_owned() });
    }
    link::void_additions(&mut tx, &owner.id).await?;
    let (by, id) = (owner.actor(now_ms), &owner.id);
    audit::record(&mut tx, &by, Action::ChangedPassword, Noun::Owner, id, &owner.name).await?;
    Ok(tx.commit().await?)
}

/// Fails unless the hash of the owner's password is this one still; from then on nobody replaces it
/// before the transaction ends.
///
/// # Errors
/// [`Error::Conflict`].
pub(super) async fn hold_in(tx: &mut Tx, owner_id: &str, hash: &str) -> Result<()> {
    let held = sqlx::query(
        "update owner set password_hash = password_hash
         where id = $1 and password_hash = $2 and active = 1",
    )
    .bind(owner_id)
    .bind(hash)
    .execute(&mut **tx)
    .await?;
    if held.rows_affected() > 0 {
        return Ok(());
    }
    let reason = "your password was replaced, or your account deactivated, while you signed in; sign in \
                  with the password that is valid now";
    Err(Error::Conflict { reason: reason.to_owned() })
}

/// Stores the same password under newer parameters: nothing that anybody did. Whether it was stored: it
/// is not where the hash is not `old` any more.
pub(crate) async fn rehash(db: &Db, owner_id: &str, old: &str, new: &str) -> Result<bool> {
    let stored =
        sqlx::query("update owner set password_hash = $3 where id = $1 and password_hash = $2")
            .bind(owner_id)
            .bind(old)
            .bind(new)
            .execute(db.writer())
            .await?;
    Ok(stored.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::owner;
    use crate::catalog::owner::link::{renew, to_add_account};
    use crate::catalog::owner::session::{self, Cutoff, NewSession};
    use crate::catalog::owner::sign_in::{Outcome, Source};
    use crate::db::sqlite_url;

    #[tokio::test]
    async fn a_password_is_changed_from_the_one_that_was_compared_only() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&sqlite_url(&folder.path().join("ai-proxy.db"))).await.unwrap();
        let ada = owner::local(&db, "Ada", 0).await.unwrap();
        let store = async |hash: Option<&str>, active: i64| {
            sqlx::query("update owner set password_hash = $1, active = $2 where name = 'Ada'")
                .bind(hash)
                .bind(active)
                .execute(db.writer())
                .await
                .unwrap();
        };
        let stored = async || -> Option<String> {
            let select = sqlx::query_scalar("select password_hash from owner where name = 'Ada'");
            select.fetch_one(db.pool()).await.unwrap()
        };
        let by = ada.actor(0);
        to_add_account(&db, &by).await.unwrap();
        renew(&db, &by, &ada).await.unwrap();
        store(Some("one"), 1).await;
        set(&db, &ada, "one", "two", 1).await.unwrap();
        assert_eq!(stored().await.as_deref(), Some("two"));
        let links = "select kind from setup_link where used_at is null";
        let links: Vec<String> = sqlx::query_scalar(links).fetch_all(db.pool()).await.unwrap();
        assert_eq!(links, ["recovery"], "no account is added that was asked for before");

        // Recovered meanwhile, by a password or by Microsoft, or deactivated.
        for (hash, active) in [(Some("recovered"), 1), (None, 1), (Some("two"), 0)] {
            store(hash, active).await;
            let refused = set(&db, &ada, "two", "three", 2).await.unwrap_err();
            assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
            assert_eq!(stored().await.as_deref(), hash);
        }
        // Nor does a sign-in that compared the old one begin its session.
        store(Some("recovered"), 1).await;
        let start = async |hash| {
            let (source, outcome) = (Source::of([192, 0, 2, 1].into()), Outcome::Password);
            let cutoff = Cutoff { last_seen_at: 0, created_at: 0 };
            let new = NewSession {
                owner: &ada,
                replaced: None,
                password_hash: Some(hash),
                confirmed_at: None,
                source,
                outcome,
            };
            session::start(&db, new, cutoff, 3).await
        };
        let refused = start("two").await.unwrap_err();
        assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
        start("recovered").await.unwrap();
        let sessions: i64 = sqlx::query_scalar("select count(*) from owner_session")
            .fetch_one(db.pool())
            .await
            .unwrap();
        assert_eq!(sessions, 1);
        let changes = "select count(*) from audit where action = 'changed password'";
        let changes: i64 = sqlx::query_scalar(changes).fetch_one(db.pool()).await.unwrap();
        assert_eq!(changes, 1, "only what was done is in the audit");
    }
}
