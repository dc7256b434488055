//! An event that is open, attendees with keys, and a proxy in front of the
//! backends that a test brings along.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use ai_proxy::app::{self, App};
use ai_proxy::catalog::resource::KeyChange;
use ai_proxy::catalog::{attendee, event, owner, resource};
use ai_proxy::config::{Config, StoreArgs};
use ai_proxy::server::{self, Running};
use clap::Parser;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use url::Url;

use super::hostile::Hostile;
use crate::harness::wire::{Answer, Wire};
use crate::harness::{BACKEND_KEY, CALL, eventually};

/// A backend's good answer to it.
pub const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    content-length: 40\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"done\"}";

/// What is to be set up. The first deployment is `demo`.
pub struct Plan {
    deployments: Vec<(String, String)>,
    event: event::Draft,
    attendees: u32,
    database_url: Option<String>,
}

/// A store that holds an event with its attendees.
pub struct Seeded {
    pub event_id: String,
    /// The first attendee's.
    pub key: String,
    pub keys: Vec<String>,
    data_dir: Arc<TempDir>,
    database_url: Option<String>,
}

/// A proxy in this process that serves it.
pub struct Room {
    pub addr: SocketAddr,
    seeded: Seeded,
    app: Arc<App>,
    running: Running,
}

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    config: Config,
}

impl Room {
    pub async fn of(backend: &Hostile) -> Self {
        Self::at(&backend.url()).await
    }

    pub async fn at(endpoint: &str) -> Self {
        Self::plan(endpoint).open().await
    }

    pub async fn with(endpoint: &str, set: impl FnOnce(&mut Config)) -> Self {
        Self::plan(endpoint).seed().await.open(set).await
    }

    /// Caps that stand in no test's way, unless it sets them.
    pub fn plan(endpoint: &str) -> Plan {
        let event = event::Draft {
            name: "Room".into(),
            description: "A room for tests.".into(),
            organizer_name: "Ada".into(),
            organizer_email: "ada@example.org".into(),
            start: "2000-01-01T00:00".into(),
            end: "2999-01-01T00:00".into(),
            daily_request_cap: 100_000,
            requests_per_minute: 100_000,
            burst: 100_000,
            max_open_requests: 10_000,
            active: true,
            ..event::Draft::default()
        };
        let deployments = vec![("demo".into(), endpoint.into())];
        Plan { deployments, event, attendees: 1, database_url: None }
    }

    pub async fn wire(&self) -> Wire {
        Wire::connect(self.addr).await
    }

    /// One call of a tool on a connection of its own.
    pub async fn call(&self) -> Answer {
        let request = self.post("/api/v1/mcp/demo", CALL);
        self.wire().await.exchange(request).await.expect("an answer")
    }

    /// What the attendee is shown as used today.
    pub async fn used(&self) -> u64 {
        self.used_at(self.addr).await
    }

    /// Waits until so many requests and streams hold a place.
    pub async fn are_open(&self, count: u32) {
        eventually(&format!("{count} requests are open"), async || {
            let lives = self.app.plane.lives.all();
            lives.iter().map(|live| live.open_requests()).sum::<u32>() == count
        })
        .await;
    }

    pub async fn close(self) -> Seeded {
        self.running.shutdown().await.expect("a clean end");
        self.app.db.close().await;
        self.seeded
    }

    pub async fn restart(self) -> Self {
        self.close().await.open(|_| {}).await
    }
}

impl Deref for Room {
    type Target = Seeded;

    fn deref(&self) -> &Seeded {
        &self.seeded
    }
}

impl Plan {
    pub fn deployment(mut self, name: &str, endpoint: &str) -> Self {
        self.deployments.push((name.into(), endpoint.into()));
        self
    }

    pub fn daily_cap(mut self, cap: u32) -> Self {
        self.event.daily_request_cap = cap;
        self
    }

    pub fn max_open_requests(mut self, limit: u32) -> Self {
        self.event.max_open_requests = limit;
        self
    }

    pub fn shared_code(mut self, code: &str) -> Self {
        self.event.shared_code = Some(code.to_owned().into());
        self
    }

    pub fn attendees(mut self, count: u32) -> Self {
        self.attendees = count;
        self
    }

    /// PostgreSQL instead of SQLite.
    pub fn store(mut self, database: &Url) -> Self {
        self.database_url = Some(database.to_string());
        self
    }

    pub async fn open(self) -> Room {
        self.seed().await.open(|_| {}).await
    }

    pub async fn seed(mut self) -> Seeded {
        let data_dir = Arc::new(TempDir::new().expect("a temporary folder"));
        let args = StoreArgs {
            data_dir: data_dir.path().to_owned(),
            database_url: self.database_url.clone(),
        };
        let (db, vault) = app::open_store(&args).await.expect("a store");
        let by = owner::local(&db, "local").await.expect("an owner").actor();
        for (deployment, endpoint) in self.deployments {
            let draft = resource::Draft {
                // A store may hold several rooms; a deployment is its owner's only one.
                deployment,
                endpoint,
                key: KeyChange::Set(BACKEND_KEY.to_owned().into()),
                ..resource::Draft::default()
            };
            let saved = resource::save(&db, &vault, &by, &draft).await.expect("a resource");
            self.event.resources.push(saved.id);
        }
        let event_id = event::save(&db, &vault, &by, &self.event).await.expect("an event").id;
        let issued = attendee::issue(&db, &vault, &by, &event_id, self.attendees, &[])
            .await
            .expect("attendees");
        let keys: Vec<String> =
            issued.iter().map(|issued| issued.api_key.expose_secret().to_owned()).collect();
        db.close().await;
        let key = keys[0].clone();
        Seeded { event_id, key, keys, data_dir, database_url: self.database_url }
    }
}

impl Seeded {
    /// Starts a proxy in this process.
    pub async fn open(self, set: impl FnOnce(&mut Config)) -> Room {
        let mut config = Serve::parse_from(["serve", "--listen", "127.0.0.1:0"]).config;
        config.workers = std::num::NonZeroUsize::new(2);
        config.store.data_dir = self.data_dir.path().to_owned();
        config.store.database_url = self.database_url.clone();
        set(&mut config);
        let app = App::open(config).await.expect("an app");
        let running = server::start(app.clone()).await.expect("a server");
        Room { addr: running.addr(), seeded: self, app, running }
    }

    /// What a process of its own is started with.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let data_dir = self.data_dir.path().to_string_lossy().into_owned();
        let mut settings = vec![("AI_PROXY_DATA_DIR", data_dir)];
        settings.extend(self.database_url.clone().map(|url| ("DATABASE_URL", url)));
        settings
    }

    /// The master key as its file holds it.
    pub fn master_key(&self) -> String {
        let file = self.data_dir.path().join("master.key");
        std::fs::read_to_string(file).expect("a master key").trim().to_owned()
    }

    /// The head of a request with the attendee's key; `headers` are whole lines.
    pub fn head(&self, method: &str, target: &str, headers: &str) -> String {
        format!(
            "{method} {target} HTTP/1.1\r\nhost: proxy.test\r\napi-key: {}\r\n{headers}\r\n",
            self.key
        )
    }

    pub fn post(&self, target: &str, body: &str) -> String {
        let headers =
            format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        self.head("POST", target, &headers) + body
    }

    pub async fn used_at(&self, addr: SocketAddr) -> u64 {
        let request = self.head("GET", "/api/v1/usage", "");
        let answer = Wire::connect(addr).await.exchange(request).await.expect("an answer");
        let usage: HashMap<String, serde_json::Value> =
            serde_json::from_slice(&answer.body).expect("JSON");
        usage["used"].as_u64().unwrap_or_else(|| panic!("{}", answer.text()))
    }
}
