//! Statements built from one list of columns, for tables whose rows owners save.

use sqlx::AssertSqlSafe;

use crate::db::places;

/// Inserts a row, or updates the one with its id. Bind the id, the owner, the values in
/// the order of `written`, and the time.
pub(super) fn upsert(table: &'static str, written: &[&'static str]) -> AssertSqlSafe<String> {
    let time = written.len() + 3;
    let set: Vec<String> =
        written.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    AssertSqlSafe(format!(
        "insert into {table} (id, owner_id, {}, created_at, updated_at)
         values ($1, $2, {}, ${time}, ${time})
         on conflict (id) do update set {}, updated_at = excluded.updated_at",
        written.join(", "),
        places(3, written.len()),
        set.join(", ")
    ))
}
