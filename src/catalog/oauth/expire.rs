//! Removes what no longer tells anybody anything.

use super::LEEWAY_MS;
use crate::catalog::Result;
use crate::clock::DAY_MS;
use crate::db::Db;

/// How long codes and refresh tokens are kept after their use: until then, a second use is noticed.
const USED_MS: i64 = 7 * DAY_MS;

/// How long refresh tokens are kept that nobody uses: several windows of a client leave some behind.
const UNUSED_MS: i64 = 30 * DAY_MS;

/// How long grants are kept after their event has ended, which an organiser may still extend.
const ENDED_MS: i64 = 7 * DAY_MS;

/// Removes access tokens that have expired, codes and refresh tokens that were used long ago, and grants
/// that nobody can use any more.
pub async fn expire(db: &Db, now_ms: i64) -> Result<()> {
    for (statement, before) in [
        ("delete from oauth_token where kind = 'access' and expires_at < $1", now_ms - LEEWAY_MS),
        ("delete from oauth_token where rotated_at < $1", now_ms - USED_MS),
        (
            "delete from oauth_token where kind = 'refresh' and rotated_at is null
                and created_at < $1",
            now_ms - UNUSED_MS,
        ),
        ("delete from oauth_code where expires_at < $1", now_ms - USED_MS),
        (
            "delete from oauth_grant where created_at < $1
                and not exists (select 1 from oauth_code where grant_id = oauth_grant.id)
                and not exists (select 1 from oauth_token where grant_id = oauth_grant.id)",
            now_ms - USED_MS,
        ),
        (
            "delete from oauth_grant where attendee_id in (
                select attendee.id from attendee join event on event.id = attendee.event_id
                where event.ends_at < $1)",
            now_ms - ENDED_MS,
        ),
    ] {
        sqlx::query(statement).bind(before).execute(db.writer()).await?;
    }
    Ok(())
}
