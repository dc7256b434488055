//! That an attendee agreed to the terms of use of their event. What the terms say is the
//! event's affair; what asks for them are the pages of attendees.

use super::not_found;
use crate::catalog::Result;
use crate::db::Db;

/// Notes that the attendee agreed to the terms at `now_ms` (UTC milliseconds). The last time
/// counts, because it is the text of then that they agreed to.
///
/// # Errors
/// [`Error::NotFound`](crate::catalog::Error::NotFound) where they were deleted meanwhile.
pub async fn accept(db: &Db, attendee_id: &str, now_ms: i64) -> Result<()> {
    let noted = sqlx::query("update attendee set terms_accepted_at = $2 where id = $1")
        .bind(attendee_id)
        .bind(now_ms)
        .execute(db.writer())
        .await?;
    if noted.rows_affected() == 0 {
        return Err(not_found(attendee_id));
    }
    Ok(())
}
