//! Log lines on stderr: for a person, or one JSON object a line.
//!
//! What is our own is logged as the filter says. Our dependencies stay at `info`
//! whatever it says: below that, rmcp writes down requests with their headers and
//! arguments, and rustls the names of backends.

use std::io::IsTerminal as _;

use anyhow::{Context as _, anyhow, ensure};
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::{Config, LogFormat};

/// Starts logging for the process.
///
/// # Errors
/// The filter cannot be read or leaves out the lines that are asked for, or logging has been
/// started already.
pub fn start(config: &Config) -> anyhow::Result<()> {
    let filter = &config.log;
    let wanted = EnvFilter::try_new(filter).map_err(|_| {
        anyhow!("--log '{filter}' is not a filter; write a level, or as in ai_proxy=debug,warn")
    })?;
    let harmless = filter_fn(|line| {
        *line.level() <= Level::INFO || line.target().split("::").next() == Some("ai_proxy")
    });
    let colours = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Text => Box::new(lines.with_filter(harmless)),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).with_filter(harmless)),
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(wanted)
        .try_init()
        .context("logging runs already")?;
    ensure!(
        !config.log_requests || tracing::enabled!(target: "ai_proxy::proxy", Level::INFO),
        "--log-requests writes its lines at info, which --log '{filter}' leaves out; add ai_proxy=info to it"
    );
    Ok(())
}
