//! A workshop as an earlier release stored it, and the keys to it;
//! `tests/fixtures/stored-0.1.0/README.md` says what is in it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ai_proxy::clock;
use ai_proxy::db::sqlite_url;
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tempfile::TempDir;
use url::Url;

use super::proxy::Proxy;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stored-0.1.0");

/// Rows that would have expired by now get today's dates; nothing else is touched.
const AGED: [&str; 4] = [
    "update quota set day = $today",
    "update mcp_session set last_seen_at = $now",
    "update mcp_session set ended_at = $now where ended_at is not null",
    "update owner_session set created_at = $now, last_seen_at = $now",
];

/// One fixture.
pub struct Stored {
    pub keys: Value,
    folder: PathBuf,
    databases: Option<[Url; 2]>,
}

impl Stored {
    /// The fixture in the folder `name`. One of PostgreSQL needs two empty databases: for
    /// itself, and for a store elsewhere.
    pub fn new(name: &str, databases: Option<[Url; 2]>) -> Self {
        let folder = Path::new(FIXTURES).join(name);
        let keys = std::fs::read(folder.join("keys.json")).expect("keys");
        Self { keys: serde_json::from_slice(&keys).expect("JSON"), folder, databases }
    }

    /// A proxy over a copy of the store, opened by today's code and not started yet.
    pub async fn open(&self) -> Proxy {
        let dir = TempDir::new().expect("a temporary folder");
        std::fs::copy(self.folder.join("master.key"), dir.path().join("master.key"))
            .expect("a master key");
        let now = clock::now_ms();
        let statements = AGED.map(|statement| {
            let today = clock::day_of(now).to_string();
            statement.replace("$today", &today).replace("$now", &now.to_string())
        });
        let url = match &self.databases {
            Some([database, _]) => {
                let dump = std::fs::read_to_string(self.folder.join("store.sql")).expect("a dump");
                // One connection each, because a dump empties the search path of its own.
                execute(database.as_str(), &dump).await;
                execute(database.as_str(), &statements.join("; ")).await;
                Some(database)
            }
            None => {
                let file = dir.path().join("ai-proxy.db");
                std::fs::copy(self.folder.join("ai-proxy.db"), &file).expect("a database");
                execute(&sqlite_url(&file), &statements.join("; ")).await;
                None
            }
        };
        Proxy::over(dir, url).await
    }

    /// Another proxy, whose store is empty.
    pub async fn elsewhere(&self) -> Proxy {
        Proxy::on(self.databases.as_ref().map(|[_, another]| another)).await
    }

    /// Where its resources' endpoints are.
    pub fn backend(&self) -> SocketAddr {
        self.text("/backend").parse().expect("an address")
    }

    /// What Ada downloaded.
    pub fn backup(&self) -> Vec<u8> {
        std::fs::read(self.folder.join("ada.backup")).expect("a backup")
    }

    /// The key of an issued attendee.
    pub fn key(&self, name: &str) -> &str {
        self.text(&format!("/issued/{name}/key"))
    }

    /// A text of `keys.json` by its JSON pointer.
    pub fn text(&self, pointer: &str) -> &str {
        let found = self.keys.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no {pointer} in keys.json"))
    }

    /// How much each shared-code attendee had used.
    pub fn shared(&self) -> impl Iterator<Item = (&str, u64)> {
        let shared = self.keys["shared"].as_object().expect("keys");
        shared.iter().map(|(key, used)| (key.as_str(), used.as_u64().expect("a number")))
    }

    /// How many requests each event had seen.
    pub fn requests(&self) -> impl Iterator<Item = (&str, u64)> {
        let requests = self.keys["requests"].as_object().expect("events");
        requests.iter().map(|(event, count)| (event.as_str(), count.as_u64().expect("a number")))
    }
}

async fn execute(url: &str, statements: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.expect("a database");
    let done = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await;
    done.expect("statements that it takes");
    connection.close().await.expect("a clean end");
}
