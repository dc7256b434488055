//! The door to the control runtime, on which everything runs that touches the store. Work
//! that is handed in runs to its end even if the client leaves, and for a bounded time.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;

use crate::catalog;
use crate::catalog::seal::Vault;
use crate::db::Db;

/// How long a call waits for the store; a connection that broke while a query
/// was under way may not be noticed for minutes.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// How long work in the store may take in all. What is not done by then hangs: it
/// is dropped, and with it the connection that it holds.
pub(super) const STORE_LIMIT: Duration = Duration::from_secs(30);

/// The store failed, or did not answer in time. The log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFailure;

/// The control runtime and the store. Clones are the same door.
#[derive(Clone)]
pub struct Control {
    runtime: Handle,
    pub db: Arc<Db>,
    pub vault: Arc<Vault>,
}

impl Control {
    pub fn new(runtime: Handle, db: Arc<Db>, vault: Arc<Vault>) -> Self {
        Self { runtime, db, vault }
    }

    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// [Runs](Self::run) work and waits for it, at most [`STORE_PATIENCE`].
    pub fn ask<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, StoreFailure>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, catalog::Error>> + Send + 'static,
    {
        // Spawned eagerly: a lazy future would be stored in every call.
        let work = tokio::time::timeout(STORE_PATIENCE, self.run(work));
        let failed = |error: &dyn Display| {
            tracing::warn!(%error, "the store could not be asked");
            StoreFailure
        };
        async move {
            match work.await {
                Ok(Ok(Ok(Ok(done)))) => Ok(done),
                Ok(Ok(Ok(Err(error)))) => Err(failed(&error)),
                Ok(Ok(Err(error))) => Err(failed(&error)),
                Ok(Err(error)) => Err(failed(&error)),
                Err(error) => Err(failed(&error)),
            }
        }
    }

    /// Runs what touches the store, for [`STORE_LIMIT`] at most, to its end even if nobody
    /// waits for it.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Result<T, Elapsed>> {
        self.runtime.spawn(async { tokio::time::timeout(STORE_LIMIT, work).await })
    }
}
