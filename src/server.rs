//! Sockets, threads and the drain: what stands between the network and the
//! data plane and the portal.
//!
//! Each worker thread has a runtime, a listening socket and backend connections
//! of its own, so that cores share nothing on a call's way. The store, and all
//! that is not a call, lives on the control runtime that `main` made.

pub mod connection;
mod dispatch;
mod head_guard;
mod hyper_body;
pub mod linger;
mod listener;
mod metrics;
mod progress;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::Connections;
use self::dispatch::Dispatch;
use self::linger::LingerLimits;
use crate::app::App;
use crate::health;
use crate::portal::Portal;
use crate::proxy::upkeep;
use crate::proxy::worker::Worker;

/// How long threads may take to end once told to.
const THREAD_PATIENCE: Duration = Duration::from_secs(2);

/// A proxy that serves.
pub struct Running {
    app: Arc<App>,
    addr: SocketAddr,
    metrics_addr: Option<SocketAddr>,
    connections: Arc<Connections>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// Binds the sockets and starts to serve. Called on the control runtime.
///
/// # Errors
/// One sentence for the operator: the address is taken, the certificate cannot
/// be read.
pub async fn start(app: Arc<App>) -> anyhow::Result<Running> {
    let config = &app.config;
    let portal = Portal::new(app.clone())?;
    let tls = tls::acceptor(config)?;
    let metrics = match config.metrics_listen {
        Some(address) => Some(metrics::listen(address).await?),
        None => None,
    };
    let workers = config
        .workers
        .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let listeners = listener::bind(config.listen, workers)?;
    let addr = listeners[0].local_addr()?;
    let stop = CancellationToken::new();
    let connections = Arc::new(Connections {
        tls,
        slots: Arc::new(Semaphore::new(config.max_connections)),
        open: TaskTracker::new(),
        header_timeout: config.header_timeout.0,
        max_header_bytes: config.max_header_bytes,
        linger_limits: LingerLimits::new(config.trusted_proxies.clone()),
        drain: CancellationToken::new(),
    });

    let mut threads = Vec::with_capacity(workers);
    for (n, listener) in listeners.into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("a worker's runtime could not be made")?;
        let worker = Arc::new(Worker::new(app.plane.clone()));
        let strict_transport = app.config.strict_transport();
        let (portal, has_oauth) = (portal.clone(), app.config.has_oauth());
        let dispatch = Arc::new(Dispatch { worker, portal, has_oauth, strict_transport });
        let (connections, stop) = (connections.clone(), stop.clone());
        let thread = std::thread::Builder::new().name(format!("worker-{n}")).spawn(move || {
            runtime.block_on(connections.serve(listener, dispatch, stop));
            runtime.shutdown_timeout(THREAD_PATIENCE);
        })?;
        threads.push(thread);
    }

    let guarded = app.clone();
    let mut tasks = vec![
        tokio::spawn(upkeep::run(app.plane.clone())),
        tokio::spawn(health::run(app.health.clone(), app.plane.clone())),
        tokio::spawn(async move { guarded.identity.keep_writing_failures().await }),
    ];
    let metrics_addr = metrics.map(|(address, serve)| {
        tasks.push(tokio::spawn(serve));
        address
    });
    Ok(Running { app, addr, metrics_addr, connections, stop, threads, tasks })
}

impl Running {
    /// The address that is served, with the port that was chosen for port 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where metrics are served, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// Drains: no new work, running requests get until the deadline, then
    /// everything is ended, leases go back and usage is written.
    ///
    /// # Errors
    /// The last figures or leases could not be written to the store.
    pub async fn shutdown(self) -> anyhow::Result<()> {
        self.app.plane.begin_drain();
        self.connections.drain.cancel();
        let deadline = self.app.config.drain_timeout.0;
        if tokio::time::timeout(deadline, self.connections.all_closed()).await.is_err() {
            tracing::warn!("requests were still running at the end of the drain; they are cut");
        }
        self.stop.cancel();
        for thread in self.threads {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("a worker thread had panicked");
            }
        }
        for task in self.tasks {
            task.abort();
        }
        self.app.identity.write_failures_in_time().await;
        upkeep::settle(&self.app.plane).await.context("the last usage could not be written")?;
        Ok(())
    }
}
