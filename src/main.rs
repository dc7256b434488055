//! The process, phase by phase: config, telemetry, store, app, serve, drain.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use ai_proxy::app::App;
use ai_proxy::cli::{Cli, Command};
use ai_proxy::config::{Config, LogFormat};
use ai_proxy::net::base_url::{BaseUrl, Fallback};
use ai_proxy::{demo, server, telemetry};
use anyhow::{Context as _, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The niceness of the control plane's threads: a third of a worker's share of a
/// core that both want. With much less, calls that need a lease would starve.
const NICE: i32 = 5;

fn main() -> ExitCode {
    match run(Cli::from_env().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, less those that the one before has named already.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| {
        if said.is_empty() {
            cause
        } else if said.contains(&cause) {
            said
        } else {
            format!("{said}: {cause}")
        }
    })
}

fn run(command: Command) -> anyhow::Result<()> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().expect("nobody has set TLS up before");
    match command {
        Command::Serve(config) => serve(*config, false),
        Command::Demo(demo) => serve(demo.config, true),
        Command::Task(task) => runtime(1)?.block_on(task.run()),
    }
}

fn serve(config: Config, with_demo: bool) -> anyhow::Result<()> {
    telemetry::start(&config)?;
    // The control runtime; the data plane has threads of its own.
    runtime(2)?.block_on(async {
        let mut stop = Stop::listen()?;
        let scheme = if config.tls_cert.is_some() { "https" } else { "http" };
        let app = App::open(config).await?;
        let running = server::start(app.clone()).await?;
        if let Some(addr) = running.metrics_addr() {
            tracing::info!("metrics on http://{addr}/metrics");
        }
        tracing::info!("listening on {scheme}://{}", running.addr());
        offer_first_link(&app, running.addr()).await?;
        let _demo = if with_demo {
            let demo = demo::prepare(&app).await?;
            writeln!(io::stdout(), "{}", demo.greeting(&app.config, running.addr()))
                .context("what to paste could not be printed")?;
            Some(demo)
        } else {
            None
        };
        stop.asked().await;
        tracing::info!("draining: no new work, running requests may finish");
        tokio::select! {
            drained = running.shutdown() => drained?,
            () = stop.asked() => bail!("stopped before the drain was done"),
        }
        // What SQLite keeps beside its file goes into it, so that the folder can be copied.
        app.db.close().await;
        Ok(())
    })
}

/// While nobody can sign in, prints the link that changes that: on stdout, because
/// a log is kept and read by others.
async fn offer_first_link(app: &App, listen: SocketAddr) -> anyhow::Result<()> {
    let Some(link) = app.identity.first_link().await? else { return Ok(()) };
    let fallback = Fallback::Local { https: app.config.tls_cert.is_some(), listen };
    let url = link.url(BaseUrl::new(app.config.public_url.as_ref(), fallback).as_str());
    let mut out = io::stdout();
    let printed = match app.config.log_format {
        LogFormat::Json => writeln!(out, "{}", serde_json::json!({ "setup_link": url })),
        LogFormat::Text => writeln!(
            out,
            "Nobody can sign in yet. Open this within the hour to become the administrator:\n  {url}"
        ),
    };
    printed.context("the link for the first administrator could not be printed")
}

fn runtime(threads: usize) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(threads)
        .on_thread_start(give_way)
        .enable_all()
        .build()
        .context("the runtime could not be made")
}

/// Where cores are fewer than threads, a page or a write to the store waits for
/// the calls, and not they for it. (Threads made by this one inherit it.)
fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the control plane runs at the priority of calls");
    }
}

/// SIGTERM and Ctrl-C.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one of either.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
