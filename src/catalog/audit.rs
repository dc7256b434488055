//! Who changed what, and when. Written in the transaction of the change; never
//! holds a secret.

use super::{Noun, Result, new_id};
use crate::clock::now_ms;
use crate::db::Tx;

/// Who writes, and whose rows: nobody reads or writes another owner's.
#[derive(Clone, Debug)]
pub struct Actor {
    pub owner_id: String,
    /// As the audit shows it.
    pub name: String,
}

/// Notes one change. `action` is a verb such as `create`; `detail` says more to
/// a person.
pub async fn record(
    tx: &mut Tx,
    actor: &Actor,
    action: &str,
    noun: Noun,
    noun_id: &str,
    detail: &str,
) -> Result<()> {
    sqlx::query(
        "insert into audit (id, at, owner_id, actor, action, noun, noun_id, detail)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new_id())
    .bind(now_ms())
    .bind(&actor.owner_id)
    .bind(&actor.name)
    .bind(action)
    .bind(noun.as_str())
    .bind(noun_id)
    .bind(detail)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
