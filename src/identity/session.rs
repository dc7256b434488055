//! The browsers in which owners are signed in: one row each, found by the
//! digest of a token that only the browser holds. Ended eight hours after the
//! last request, seven days after signing in, or when somebody says so.

use secrecy::{ExposeSecret, SecretString};

use super::{Identity, new_token};
use crate::catalog::owner::Owner;
use crate::catalog::seal::Place;
use crate::catalog::{Digest, Result};
use crate::db::Columns;
use sqlx::Row;

const IDLE_MS: i64 = 8 * 3_600_000;

/// How long a session lasts at most, in seconds: what its cookie says as well.
pub const LONGEST_SECONDS: i64 = 7 * 86_400;

/// How far what is stored of the last request may lag behind.
const LAG_MS: i64 = 60_000;

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub struct Session {
    pub owner: Owner,
    digest: String,
    flash_sealed: Option<String>,
}

impl Session {
    /// What its row is found by. It tells nothing of the token.
    pub fn id(&self) -> &str {
        &self.digest
    }
}

impl Identity {
    /// Signs `owner` in; what is returned goes into the browser's cookie. `replaced`
    /// is the token that the browser held before: it ends.
    pub async fn start_session(
        &self,
        owner: &Owner,
        replaced: Option<&SecretString>,
    ) -> Result<SecretString> {
        let (token, now) = (new_token()?, self.clock.now_ms());
        let mut tx = self.db.write().await?;
        sqlx::query(
            "delete from owner_session where digest = $1 or last_seen_at < $2 or created_at < $3",
        )
        .bind(replaced.map(digest))
        .bind(now - IDLE_MS)
        .bind(now - LONGEST_SECONDS * 1000)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "insert into owner_session (digest, owner_id, created_at, last_seen_at, flash_sealed)
             values ($1, $2, $3, $3, null)",
        )
        .bind(digest(&token))
        .bind(&owner.id)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(token)
    }

    /// The session with this token, where it has not ended and its owner is
    /// active.
    pub async fn session(&self, token: &SecretString) -> Result<Option<Session>> {
        let (digest, now) = (digest(token), self.clock.now_ms());
        let row = sqlx::query(
            "select o.id as id, o.name as name, o.role as role, o.active as active,
                    s.last_seen_at as last_seen_at, s.flash_sealed as flash_sealed
             from owner_session s join owner o on o.id = s.owner_id
             where s.digest = $1 and s.last_seen_at >= $2 and s.created_at >= $3 and o.active = 1",
        )
        .bind(&digest)
        .bind(now - IDLE_MS)
        .bind(now - LONGEST_SECONDS * 1000)
        .fetch_optional(self.db.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        if row.int("last_seen_at")? < now - LAG_MS {
            sqlx::query("update owner_session set last_seen_at = $2 where digest = $1")
                .bind(&digest)
                .bind(now)
                .execute(self.db.writer())
                .await?;
        }
        let flash_sealed = row.try_get("flash_sealed")?;
        Ok(Some(Session { owner: Owner::read(&row)?, digest, flash_sealed }))
    }

    pub async fn end_session(&self, token: &SecretString) -> Result<()> {
        sqlx::query("delete from owner_session where digest = $1")
            .bind(digest(token))
            .execute(self.db.writer())
            .await?;
        Ok(())
    }

    /// Ends every session of the owner but this one; how many there were.
    pub async fn end_others(&self, session: &Session) -> Result<u64> {
        let ended = sqlx::query("delete from owner_session where owner_id = $1 and digest <> $2")
            .bind(&session.owner.id)
            .bind(&session.digest)
            .execute(self.db.writer())
            .await?;
        Ok(ended.rows_affected())
    }

    pub async fn end_all(&self, owner_id: &str) -> Result<()> {
        sqlx::query("delete from owner_session where owner_id = $1")
            .bind(owner_id)
            .execute(self.db.writer())
            .await?;
        Ok(())
    }

    /// Other browsers in which the owner is signed in.
    pub async fn count_others(&self, session: &Session) -> Result<u64> {
        let now = self.clock.now_ms();
        let row = sqlx::query(
            "select count(*) as n from owner_session
             where owner_id = $1 and digest <> $2 and last_seen_at >= $3 and created_at >= $4",
        )
        .bind(&session.owner.id)
        .bind(&session.digest)
        .bind(now - IDLE_MS)
        .bind(now - LONGEST_SECONDS * 1000)
        .fetch_one(self.db.pool())
        .await?;
        Ok(row.count("n")?.into())
    }

    /// Leaves a text that [`Self::take_flash`] finds once. It may hold a secret.
    pub async fn leave_flash(&self, session: &Session, text: &str) -> Result<()> {
        self.set_flash(session, Some(self.vault.seal(place(session), text)?)).await
    }

    /// The text that was left when this session was looked up; gone after that.
    pub async fn take_flash(&self, session: &mut Session) -> Result<Option<SecretString>> {
        let Some(sealed) = session.flash_sealed.take() else { return Ok(None) };
        self.set_flash(session, None).await?;
        // What an earlier master key sealed is not worth an error page.
        Ok(self.vault.open(place(session), &sealed).ok())
    }

    async fn set_flash(&self, session: &Session, sealed: Option<String>) -> Result<()> {
        sqlx::query("update owner_session set flash_sealed = $2 where digest = $1")
            .bind(&session.digest)
            .bind(sealed)
            .execute(self.db.writer())
            .await?;
        Ok(())
    }
}

fn place(session: &Session) -> Place<'_> {
    Place { table: "owner_session", row: &session.digest, column: "flash" }
}

fn digest(token: &SecretString) -> String {
    Digest::sha256(token.expose_secret().as_bytes()).hex()
}
