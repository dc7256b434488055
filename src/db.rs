//! The store: SQLite in a file, or PostgreSQL for several replicas.
//!
//! Everything that depends on which database it is stands here: how it is
//! opened, how a write begins, how two starting replicas migrate. All other
//! code sends one SQL text to either. On SQLite all writes of a process queue
//! for one connection, which is fair, where the file's own lock is not.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Any, AnyConnection, AnyPool, Connection, Row, Transaction};

/// A write transaction; rolled back when it is dropped without `commit`.
pub type Tx = Transaction<'static, Any>;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How long a query waits for a free connection, or for a store that is away,
/// before it fails.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection may take to show that it is alive. One that takes longer is
/// discarded: its query was given up, or its peer has vanished.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// How long closing waits for queries that are under way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to PostgreSQL of one replica.
const POSTGRES_CONNECTIONS: u32 = 16;

/// Connections that read a SQLite file; one more writes.
const SQLITE_READERS: u32 = 4;

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store's URL must begin with sqlite: or postgres:")]
    UnknownStore,
    #[error("the store's URL must be sqlite://<file>, without parameters")]
    SqliteFile,
    #[error("the folder of the SQLite database cannot be made: {0}")]
    Folder(#[source] std::io::Error),
    #[error("the store cannot be opened: {0}")]
    Connect(#[from] sqlx::Error),
    #[error("the store's tables cannot be brought up to date: {0}")]
    Migrate(#[from] MigrateError),
}

/// The open store. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Db {
    readers: AnyPool,
    writers: AnyPool,
    begin: &'static str,
}

impl Db {
    /// Opens `sqlite://<file>` (made when missing; see [`sqlite_url`]) or
    /// `postgres://…`, and brings its tables up to date. Replicas may do so at
    /// the same time.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url).await
        } else if let Some(rest) = url.strip_prefix("sqlite:") {
            Self::open_sqlite(rest.strip_prefix("//").unwrap_or(rest)).await
        } else {
            Err(OpenError::UnknownStore)
        }
    }

    async fn open_postgres(url: &str) -> Result<Self, OpenError> {
        // Not through the pool, which would only say that it waited in vain.
        let mut connection = AnyConnection::connect(url).await?;
        migrate(&mut connection).await?;
        connection.close().await?;
        let pool = postgres_pool().connect(url).await?;
        Ok(Self { readers: pool.clone(), writers: pool, begin: "BEGIN" })
    }

    async fn open_sqlite(file: &str) -> Result<Self, OpenError> {
        let file = file.strip_suffix("?mode=rwc").unwrap_or(file);
        if file.is_empty() || file.contains('?') || file == ":memory:" {
            return Err(OpenError::SqliteFile);
        }
        let decoded = percent_decode_str(file).decode_utf8_lossy();
        if let Some(folder) = Path::new(&*decoded).parent() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700).create(folder).map_err(OpenError::Folder)?;
        }
        let begin = "BEGIN IMMEDIATE";
        let url = format!("sqlite:{file}?mode=rwc");
        let writers = sqlite_pool(1).connect(&url).await?;
        let mut tx = writers.begin_with(begin).await?;
        migrate(&mut tx).await?;
        tx.commit().await?;
        let readers = sqlite_pool(SQLITE_READERS).connect(&url).await?;
        Ok(Self { readers, writers, begin })
    }

    /// Connections to read with.
    pub fn pool(&self) -> &AnyPool {
        &self.readers
    }

    /// Connections for a write of one statement. While a [`Tx`] is open, using
    /// this from the same task waits for itself on SQLite.
    pub fn writer(&self) -> &AnyPool {
        &self.writers
    }

    /// Begins a transaction that may read and then write.
    pub async fn write(&self) -> Result<Tx, sqlx::Error> {
        self.writers.begin_with(self.begin).await
    }

    /// Closes every connection once its query has ended, or has had its time.
    pub async fn close(&self) {
        let all = async {
            self.readers.close().await;
            self.writers.close().await;
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, all).await.is_err() {
            tracing::warn!("queries were still under way when the store was closed");
        }
    }
}

/// The URL of a SQLite file, whatever its name holds.
pub fn sqlite_url(file: &Path) -> String {
    const SPECIAL: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');
    format!("sqlite://{}", utf8_percent_encode(&file.to_string_lossy(), SPECIAL))
}

/// `Migrator::run`, of which rustc cannot tell that its future may be sent.
async fn migrate(connection: &mut AnyConnection) -> Result<(), MigrateError> {
    MIGRATIONS.run_direct(None, connection, false).await
}

fn postgres_pool() -> AnyPoolOptions {
    pool(
        POSTGRES_CONNECTIONS,
        &[
            // Whatever the server's default is: statements must see what was
            // committed while they waited for a lock.
            "set default_transaction_isolation = 'read committed'",
            // A replica that vanished in the middle must not hold its locks for hours.
            "set idle_in_transaction_session_timeout = '5s'",
            "set lock_timeout = '10s'",
            // Nor for a client that has vanished. The driver cannot set these for our end,
            // so there connections are tested within a bounded time instead.
            "set tcp_keepalives_idle = 30",
            "set tcp_keepalives_interval = 10",
            "set tcp_keepalives_count = 3",
            "set tcp_user_timeout = 60000",
        ],
    )
    // The driver's own test of a connection waits for its answer for ever, and so
    // would a connection whose query was given up, in its place in the pool.
    .test_before_acquire(false)
    .before_acquire(|connection, _| Box::pin(is_alive(connection)))
    .after_release(|connection, _| Box::pin(is_alive(connection)))
}

/// Whether the other end answers; an error has the pool discard the connection.
async fn is_alive(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(PING_TIMEOUT, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

fn sqlite_pool(connections: u32) -> AnyPoolOptions {
    pool(
        connections,
        &[
            // First, because the switch to WAL has to wait for others, too.
            "pragma busy_timeout = 5000",
            "pragma journal_mode = wal",
            "pragma synchronous = normal",
            "pragma foreign_keys = on",
        ],
    )
    .test_before_acquire(false)
}

/// A pool whose connections run `setup` first.
fn pool(connections: u32, setup: &'static [&'static str]) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for statement in setup {
                    sqlx::raw_sql(*statement).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
}

/// The parameters of a statement that is made for so many rows, in the order in
/// which it names and binds them.
///
/// SQLite looks a numbered one up among all there are, so long lists go there
/// without numbers.
pub(crate) struct Parameters {
    numbered: bool,
    last: usize,
}

impl Parameters {
    pub(crate) fn on(connection: &AnyConnection) -> Self {
        Self { numbered: connection.backend_name() != "SQLite", last: 0 }
    }

    pub(crate) fn next(&mut self) -> String {
        self.last += 1;
        if self.numbered { format!("${}", self.last) } else { "?".to_owned() }
    }

    /// Those of so many rows, as a `values` list has them: `($3, $4), ($5, $6)`.
    pub(crate) fn rows(&mut self, columns: usize, rows: usize) -> String {
        let mut row = || (0..columns).map(|_| self.next()).collect::<Vec<_>>().join(", ");
        (0..rows).map(|_| format!("({})", row())).collect::<Vec<_>>().join(", ")
    }
}

/// So many parameters from the `first` on, as an `in` list has them: `$3, $4`.
pub(crate) fn places(first: usize, count: usize) -> String {
    (first..).take(count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// Columns as this schema uses them.
pub(crate) trait Columns {
    fn text(&self, column: &str) -> Result<String, sqlx::Error>;
    fn int(&self, column: &str) -> Result<i64, sqlx::Error>;
    fn count(&self, column: &str) -> Result<u32, sqlx::Error>;
    fn flag(&self, column: &str) -> Result<bool, sqlx::Error>;
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String, sqlx::Error> {
        self.try_get(column)
    }

    fn int(&self, column: &str) -> Result<i64, sqlx::Error> {
        self.try_get(column)
    }

    fn count(&self, column: &str) -> Result<u32, sqlx::Error> {
        u32::try_from(self.int(column)?).map_err(|source| sqlx::Error::ColumnDecode {
            index: column.to_owned(),
            source: source.into(),
        })
    }

    fn flag(&self, column: &str) -> Result<bool, sqlx::Error> {
        Ok(self.int(column)? != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_as_they_are_bound_where_numbers_cost_nothing() {
        let mut numbered = Parameters { numbered: true, last: 0 };
        assert_eq!([numbered.next(), numbered.next()], ["$1", "$2"]);
        assert_eq!(numbered.rows(2, 2), "($3, $4), ($5, $6)");
        let mut plain = Parameters { numbered: false, last: 0 };
        assert_eq!(plain.next() + &plain.rows(2, 2), "?(?, ?), (?, ?)");
    }
}
