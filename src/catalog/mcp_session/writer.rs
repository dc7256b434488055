//! The connection on which the sessions of many calls are written together. Whoever holds
//! it has the turn to write: on SQLite there is only one.

use sqlx::Any;
use sqlx::pool::PoolConnection;

use super::{IssuedSession, McpSession};
use crate::catalog::Result;
use crate::db::Db;

pub(crate) struct Writer(PoolConnection<Any>);

impl Writer {
    /// Waits until one is free.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub(crate) async fn acquire(db: &Db) -> Result<Self> {
        Ok(Self(db.writer().acquire().await?))
    }

    /// As [`bind`](super::bind).
    ///
    /// # Errors
    /// The store could not write them.
    pub(crate) async fn bind(&mut self, issued: &[IssuedSession], now: i64) -> Result<Vec<bool>> {
        super::bind(&mut self.0, issued, now).await
    }

    /// As [`end`](super::end).
    ///
    /// # Errors
    /// The store could not write them.
    pub(crate) async fn end(&mut self, sessions: &[McpSession], now: i64) -> Result<()> {
        super::end(&mut self.0, sessions, now).await
    }
}
