//! That an attendee agreed to the terms of use of their event. What the terms say is the
//! event's affair; what asks for them are the pages of attendees.

use crate::catalog::Result;
use crate::db::Tx;

/// Notes, as a part of a transaction, that the attendee agreed to the terms at `now_ms` (UTC
/// milliseconds). The last time counts, because it is the text of then that they agreed to.
pub(super) async fn accept_in(tx: &mut Tx, attendee_id: &str, now_ms: i64) -> Result<()> {
    sqlx::query("update attendee set terms_accepted_at = $2 where id = $1")
        .bind(attendee_id)
        .bind(now_ms)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
