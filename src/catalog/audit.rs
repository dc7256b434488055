//! Who changed what, and when. Written in the transaction of the change; never
//! holds a secret.

mod action;

pub use self::action::Action;
use super::{Noun, Result, new_id};
use crate::db::{Columns, Db, Tx};

/// Who writes, whose rows, and when: nobody reads or writes another owner's.
#[derive(Clone, Debug)]
pub struct Actor {
    pub owner_id: String,
    /// As the audit shows it.
    pub name: String,
    /// UTC milliseconds: the time of the write, or of the command.
    pub at: i64,
}

impl Actor {
    /// An attendee, who changes what is theirs.
    pub fn attendee(owner_id: &str, user_id: &str, at: i64) -> Self {
        Self { owner_id: owner_id.to_owned(), name: format!("attendee {user_id}"), at }
    }
}

/// Notes one change; `detail` says more about it, for people.
pub async fn record(
    tx: &mut Tx,
    actor: &Actor,
    action: Action,
    noun: Noun,
    noun_id: &str,
    detail: &str,
) -> Result<()> {
    sqlx::query(
        "insert into audit (id, at, owner_id, actor, action, noun, noun_id, detail)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new_id())
    .bind(actor.at)
    .bind(&actor.owner_id)
    .bind(&actor.name)
    .bind(action.as_str())
    .bind(noun.as_str())
    .bind(noun_id)
    .bind(detail)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes what changed nothing here, such as a file that was handed out.
pub async fn note(
    db: &Db,
    actor: &Actor,
    action: Action,
    noun: Noun,
    noun_id: &str,
    detail: &str,
) -> Result<()> {
    let mut tx = db.write().await?;
    record(&mut tx, actor, action, noun, noun_id, detail).await?;
    tx.commit().await?;
    Ok(())
}

/// One change, as it is shown.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Later entries have greater ids.
    pub id: String,
    /// UTC milliseconds.
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub noun: String,
    pub noun_id: String,
    pub detail: String,
}

/// Entries before the one with id `before`, the newest first: all, or those of
/// what an owner did and of what was done to them.
pub async fn list(
    db: &Db,
    owner_id: Option<&str>,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<Entry>> {
    let rows = sqlx::query(
        "select id, at, actor, action, noun, noun_id, detail from audit
         where (cast($1 as text) is null or owner_id = $1 or (noun = 'owner' and noun_id = $1))
           and (cast($2 as text) is null or id < $2)
         order by id desc limit $3",
    )
    .bind(owner_id)
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(db.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                id: row.text("id")?,
                at: row.int("at")?,
                actor: row.text("actor")?,
                action: row.text("action")?,
                noun: row.text("noun")?,
                noun_id: row.text("noun_id")?,
                detail: row.text("detail")?,
            })
        })
        .collect()
}
