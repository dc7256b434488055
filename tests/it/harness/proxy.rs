//! A proxy in this process, on a store of its own.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use ai_proxy::app::{self, App};
use ai_proxy::catalog::audit::Actor;
use ai_proxy::catalog::resource::{self, KeyChange};
use ai_proxy::catalog::seal::Vault;
use ai_proxy::catalog::{event, owner};
use ai_proxy::clock::now_ms;
use ai_proxy::config::{Config, StoreArgs};
use ai_proxy::db::Db;
use ai_proxy::server::{self, Running};
use clap::Parser;
use parking_lot::Mutex;
use tempfile::TempDir;
use url::Url;

use super::attendee::{Ask, Attendee};
use super::backend::Backend;
use super::event::Plan;
use super::wire::Wire;
use super::{BACKEND_KEY, eventually};

/// The catalog as the command line sees it: from beside the proxy.
pub struct Store {
    pub db: Db,
    pub vault: Vault,
    pub by: Actor,
    dir: TempDir,
    database_url: Option<String>,
    /// Where the proxy serves it.
    door: Mutex<Option<SocketAddr>>,
}

impl Store {
    pub fn addr(&self) -> SocketAddr {
        self.door.lock().expect("the proxy was started")
    }

    /// Where its files lie.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn args(&self) -> StoreArgs {
        StoreArgs { data_dir: self.dir().to_owned(), database_url: self.database_url.clone() }
    }

    /// What a process that serves it is started with.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("AI_PROXY_DATA_DIR", self.dir().to_string_lossy().into_owned())];
        settings.extend(self.database_url.clone().map(|url| ("DATABASE_URL", url)));
        settings
    }

    /// The master key as its file holds it.
    pub fn master_key(&self) -> String {
        let file = std::fs::read_to_string(self.dir().join("master.key"));
        file.expect("a master key").trim().to_owned()
    }
}

/// Set up first, then started: what is in the catalog by then is in force.
pub struct Proxy {
    pub store: Arc<Store>,
    serving: Option<(Arc<App>, Running)>,
}

/// Another process's worth of proxy on the same store.
pub struct Replica {
    pub addr: SocketAddr,
    _running: Running,
}

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    config: Config,
}

impl Proxy {
    /// An empty catalog that is not served yet.
    pub async fn new() -> Self {
        Self::on(None).await
    }

    /// The same on PostgreSQL, where a URL of one is given.
    pub async fn on(database: Option<&Url>) -> Self {
        Self::over(TempDir::new().expect("a temporary folder"), database).await
    }

    /// The same on what a data folder and a database hold already.
    pub async fn over(dir: TempDir, database: Option<&Url>) -> Self {
        let database_url = database.map(Url::to_string);
        let args =
            StoreArgs { data_dir: dir.path().to_owned(), database_url: database_url.clone() };
        let (db, vault) = app::open_store(&args).await.expect("a store");
        let by = owner::local(&db, "local", now_ms()).await.expect("an owner").actor(now_ms());
        let store = Store { db, vault, by, dir, database_url, door: Mutex::default() };
        Self { store: Arc::new(store), serving: None }
    }

    /// Serves `backend` as `demo` in an open event, with one attendee.
    pub async fn serving(backend: &Backend) -> (Self, Attendee) {
        Self::serving_with(backend, |_| {}).await
    }

    pub async fn serving_with(
        backend: &Backend,
        set: impl FnOnce(&mut Config),
    ) -> (Self, Attendee) {
        let mut proxy = Self::new().await;
        proxy.resource("demo", &backend.url()).await;
        let attendee = proxy.event().open().await.attendee().await;
        proxy.start_with(set).await;
        (proxy, attendee)
    }

    /// The same with caps of the test's, and with two workers, to race.
    pub async fn capped(
        backend: &Backend,
        set: impl FnOnce(&mut event::Draft),
    ) -> (Self, Attendee) {
        let mut proxy = Self::new().await;
        proxy.resource("demo", &backend.url()).await;
        let attendee = proxy.event().with(set).open().await.attendee().await;
        proxy.start_with(|config| config.workers = NonZeroUsize::new(2)).await;
        (proxy, attendee)
    }

    pub async fn start(&mut self) {
        self.start_with(|_| {}).await;
    }

    /// Starts it with one worker, so that connections to backends are reused
    /// for certain, and with what `set` changes.
    pub async fn start_with(&mut self, set: impl FnOnce(&mut Config)) {
        let (app, running) = self.serve(set).await;
        *self.store.door.lock() = Some(running.addr());
        self.serving = Some((app, running));
    }

    /// Starts one more on the same store.
    pub async fn replica(&self) -> Replica {
        let (_, running) = self.serve(|_| {}).await;
        Replica { addr: running.addr(), _running: running }
    }

    async fn serve(&self, set: impl FnOnce(&mut Config)) -> (Arc<App>, Running) {
        let mut config =
            Serve::parse_from(["serve", "--listen", "127.0.0.1:0", "--health-interval", "0"])
                .config;
        config.workers = NonZeroUsize::new(1);
        config.store = self.store.args();
        set(&mut config);
        let app = App::open(config).await.expect("an app");
        let running = server::start(app.clone()).await.expect("a server");
        (app, running)
    }

    /// Drains it; it can be started again.
    pub async fn stop(&mut self) {
        let (_, running) = self.serving.take().expect("the proxy was started");
        running.shutdown().await.expect("a clean end");
    }

    /// The running proxy's inside, for what cannot be seen from outside.
    pub fn app(&self) -> &Arc<App> {
        &self.serving.as_ref().expect("the proxy was started").0
    }

    pub fn addr(&self) -> SocketAddr {
        self.store.addr()
    }

    /// Where its metrics are, which must be configured.
    pub fn metrics_addr(&self) -> SocketAddr {
        let (_, running) = self.serving.as_ref().expect("the proxy was started");
        running.metrics_addr().expect("metrics are served")
    }

    pub async fn wire(&self) -> Wire {
        Wire::connect(self.addr()).await
    }

    /// A request without a key.
    pub fn ask(&self, method: &str, target: &str) -> Ask {
        Ask::new(self.store.clone(), method, target)
    }

    /// Registers an MCP server that wants [`BACKEND_KEY`]; its id.
    pub async fn resource(&self, deployment: &str, endpoint: &str) -> String {
        self.save(resource::Draft {
            deployment: deployment.into(),
            endpoint: endpoint.into(),
            key: KeyChange::Set(BACKEND_KEY.to_owned().into()),
            ..resource::Draft::default()
        })
        .await
    }

    pub async fn save(&self, draft: resource::Draft) -> String {
        let Store { db, vault, by, .. } = &*self.store;
        resource::save(db, vault, by, &draft).await.expect("a resource").id
    }

    /// An event that is open and has all resources so far.
    pub fn event(&self) -> Plan {
        Plan::new(self.store.clone())
    }

    /// Waits until no request or stream holds anything.
    pub async fn nothing_is_open(&self) {
        self.are_open(0).await;
    }

    /// Waits until just so many requests and streams of all attendees are open.
    pub async fn are_open(&self, count: u32) {
        eventually(&format!("{count} requests are open"), async || {
            let lives = self.app().plane.lives.all();
            lives.iter().map(|live| live.open_requests()).sum::<u32>() == count
        })
        .await;
    }
}
