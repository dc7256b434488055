//! A store for each test, and the shortest way to the rows that it needs.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ai_proxy::catalog::attendee::{self, Issued};
use ai_proxy::catalog::audit::Actor;
use ai_proxy::catalog::event::{self, Event};
use ai_proxy::catalog::resource::{self, KeyChange, Resource};
use ai_proxy::catalog::seal::{MasterKey, Vault};
use ai_proxy::catalog::{Error, owner};
use ai_proxy::clock::now_ms;
use ai_proxy::db::{Db, sqlite_url};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::postgres;

/// Makes of each `async fn name(store: Store)` a test, which the suite `store` runs on
/// SQLite and `store_postgres` on PostgreSQL.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::harness::{Store, run};

            #[tokio::test(flavor = "multi_thread")]
            async fn on_its_database() {
                run(Store::new().await, super::$name).await;
            }
        }
    )*};
}
pub(crate) use on_both;

/// Runs a test and removes its database, whatever came of it.
pub async fn run<F: Future<Output = ()>>(store: Store, test: fn(Store) -> F) {
    let result = AssertUnwindSafe(test(store.clone())).catch_unwind().await;
    store.remove().await;
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

#[derive(Clone)]
pub struct Store {
    pub db: Db,
    pub vault: Arc<Vault>,
    pub by: Actor,
    pub url: String,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Sqlite(Arc<TempDir>),
    Postgres { name: String, _turn: Arc<SemaphorePermit<'static>> },
}

/// A master key made of one repeated byte.
pub fn master_key(byte: u8) -> MasterKey {
    MasterKey::from_base64(&STANDARD.encode([byte; 32]), "the test").unwrap()
}

impl Store {
    /// On the database of the suite.
    pub async fn new() -> Self {
        if env!("CARGO_CRATE_NAME") == "store_postgres" {
            Self::postgres().await
        } else {
            Self::sqlite().await
        }
    }

    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite_url(&folder.path().join("ai-proxy.db"));
        Self::open(url, Place::Sqlite(Arc::new(folder))).await
    }

    async fn postgres() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        // On a machine of many cores, more tests at once than the server has connections for.
        static TURNS: Semaphore = Semaphore::const_new(8);
        let turn = Arc::new(TURNS.acquire().await.unwrap());
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("store_{}_{number}", std::process::id());
        let url = postgres::create(&name).await.to_string();
        Self::open(url, Place::Postgres { name, _turn: turn }).await
    }

    async fn open(url: String, place: Place) -> Self {
        let db = Db::open(&url).await.unwrap();
        let vault = Arc::new(Vault::new(&master_key(1), None));
        vault.check(&db).await.unwrap();
        let by = owner::local(&db, "local", now_ms()).await.unwrap().actor(now_ms());
        Self { db, vault, by, url, place }
    }

    /// The same store as another replica has it open.
    pub async fn replica(&self) -> Self {
        Self { db: Db::open(&self.url).await.unwrap(), ..self.clone() }
    }

    /// Another database of this test, without a table in it.
    pub async fn empty_url(&self) -> String {
        match &self.place {
            Place::Sqlite(folder) => sqlite_url(&folder.path().join("made/on open.db")),
            Place::Postgres { name, .. } => {
                postgres::create(&format!("{name}_empty")).await.to_string()
            }
        }
    }

    async fn remove(self) {
        self.db.close().await;
        if let Place::Postgres { name, .. } = &self.place {
            postgres::execute(&format!("drop database {name} with (force)")).await;
            postgres::execute(&format!("drop database if exists {name}_empty with (force)")).await;
        }
    }

    /// Makes the store fail until [`bring_back`](Self::bring_back).
    pub async fn take_away(&self) {
        match &self.place {
            Place::Sqlite(_) => execute(&self.url, "alter table quota rename to away").await,
            Place::Postgres { name, .. } => {
                postgres::execute(&format!("alter database {name} allow_connections false")).await;
                let terminate =
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname";
                postgres::execute(&format!("{terminate} = '{name}'")).await;
            }
        }
    }

    pub async fn bring_back(&self) {
        match &self.place {
            Place::Sqlite(_) => execute(&self.url, "alter table away rename to quota").await,
            Place::Postgres { name, .. } => {
                postgres::execute(&format!("alter database {name} allow_connections true")).await;
            }
        }
    }

    /// Reads one number, past the catalog.
    pub async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.db.pool()).await.unwrap()
    }

    pub async fn text(&self, query: &'static str) -> String {
        sqlx::query_scalar(query).fetch_one(self.db.pool()).await.unwrap()
    }

    pub async fn texts(&self, query: &'static str) -> Vec<String> {
        sqlx::query_scalar(query).fetch_all(self.db.pool()).await.unwrap()
    }

    pub async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(self.db.writer()).await.unwrap();
    }

    /// Removes what is left of deleted events.
    pub async fn purge(&self) {
        let later = ai_proxy::clock::now_ms() + 60_000;
        while event::purge::step(&self.db, later).await.unwrap() {}
    }

    pub async fn another_owner(&self) -> Actor {
        owner::local(&self.db, "another", now_ms()).await.unwrap().actor(now_ms())
    }

    /// The same store as another owner uses it.
    pub fn owned_by(&self, by: Actor) -> Self {
        Self { by, ..self.clone() }
    }

    pub async fn save_resource(&self, draft: &resource::Draft) -> Result<Resource, Error> {
        let saved = resource::save(&self.db, &self.vault, &self.by, draft).await?;
        resource::get(&self.db, &self.vault, &self.by.owner_id, &saved.id).await
    }

    pub async fn resource(&self, deployment: &str) -> Resource {
        self.save_resource(&resource_draft(deployment)).await.unwrap()
    }

    pub async fn save_event(&self, draft: &event::Draft) -> Result<Event, Error> {
        let saved = event::save(&self.db, &self.vault, &self.by, draft).await?;
        event::get(&self.db, &self.vault, &self.by.owner_id, &saved.id).await
    }

    pub async fn event(&self) -> Event {
        self.save_event(&event_draft()).await.unwrap()
    }

    pub async fn issue(&self, event: &Event, count: u32) -> Vec<Issued> {
        attendee::issue(&self.db, &self.vault, &self.by, &event.id, count, &[]).await.unwrap()
    }
}

pub fn resource_draft(deployment: &str) -> resource::Draft {
    resource::Draft {
        deployment: deployment.into(),
        endpoint: "http://127.0.0.1:8000/mcp".into(),
        key: KeyChange::Set("backend-key".into()),
        ..Default::default()
    }
}

/// An event that is open for years around today.
pub fn event_draft() -> event::Draft {
    event::Draft {
        name: "Demo workshop".into(),
        description: "# Welcome".into(),
        organizer_name: "Ada".into(),
        organizer_email: "ada@example.org".into(),
        start: "2020-01-01T09:00".into(),
        end: "2099-12-31T18:00".into(),
        active: true,
        ..Default::default()
    }
}

async fn execute(url: &str, statement: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
