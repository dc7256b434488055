//! What a running proxy is made of: its settings, its store, and the data
//! plane on top of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Handle;

use crate::backup::Backups;
use crate::catalog::seal::{MasterKey, Vault};
use crate::catalog::snapshot::Snapshot;
use crate::clock::Clock;
use crate::config::{Config, StoreArgs};
use crate::db::Db;
use crate::health::Health;
use crate::identity::Identity;
use crate::identity::entra::Entra;
use crate::identity::github::GitHub;
use crate::oauth::Oauth;
use crate::preflight::Preflights;
use crate::proxy::plane::DataPlane;
use crate::turns::{Bounds, Turns};

/// Each holds a turn of the portal's visitors while a server is asked, so nobody waits for one.
const TRYOUTS: Bounds =
    Bounds { at_once: 16, each: 1, waiting: 0, waiting_each: 0, patience: Duration::ZERO };

pub struct App {
    pub config: Config,
    pub clock: Clock,
    pub db: Arc<Db>,
    pub vault: Arc<Vault>,
    pub identity: Identity,
    pub oauth: Oauth,
    pub backups: Backups,
    pub plane: Arc<DataPlane>,
    pub health: Arc<Health>,
    pub preflights: Preflights,
    /// Calls that attendees make on their page, by attendee.
    pub(crate) tryouts: Turns<String>,
}

impl App {
    /// Opens the store and reads the catalog. The runtime it is called on
    /// becomes the control runtime.
    ///
    /// # Errors
    /// One sentence for the operator: the store cannot be opened, the master
    /// key is not the one that sealed it, settings are given half or contradict each other.
    pub async fn open(config: Config) -> anyhow::Result<Arc<Self>> {
        config.check()?;
        let entra = config.entra.settings()?.map(Entra::new);
        let github = config.github.settings()?.map(GitHub::new);
        let (db, vault) = open_store(&config.store).await?;
        let (db, vault) = (Arc::new(db), Arc::new(vault));
        let snapshot = Snapshot::load(&db, &vault).await.context("the catalog cannot be read")?;
        snapshot.report_unreadable(&Snapshot::default());
        let control = Handle::current();
        let plane = DataPlane::new(config.clone(), db.clone(), vault.clone(), snapshot, control)?;
        let (plane, preflights) = (Arc::new(plane), Preflights::default());
        let (health, backups) = (Arc::default(), Backups::default());
        let clock = plane.clock.clone();
        let oauth = Oauth::new(db.clone(), vault.clone(), plane.snapshot.clone(), clock.clone());
        let identity = Identity::new(db.clone(), vault.clone(), entra, github, clock.clone());
        Ok(Arc::new(Self {
            config,
            clock,
            db,
            vault,
            identity,
            oauth,
            backups,
            health,
            plane,
            preflights,
            tryouts: Turns::new(TRYOUTS),
        }))
    }
}

/// Opens the store and proves that the master key is the one that sealed it.
///
/// # Errors
/// One sentence for the operator.
pub async fn open_store(store: &StoreArgs) -> anyhow::Result<(Db, Vault)> {
    let (current, old) = MasterKey::load_from_env(&store.data_dir)?;
    let db = Db::open(&store.url()).await?;
    let vault = Vault::new(&current, old.as_ref());
    vault.check(&db).await?;
    Ok((db, vault))
}
