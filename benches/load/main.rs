//! What `benches/run`, `benches/soak` and `benches/arrivals` need on both ends of a proxy: a
//! backend that costs next to nothing, and the clients that wrk cannot play.
//!
//! Every command prints one JSON object a line and nothing else. Nothing here is
//! part of the product, and only loopback addresses are meant.

mod arrivals;
mod backend;
mod bare;
mod certificate;
mod http;
mod paced;
mod sessions;
mod soak;
mod streams;
mod times;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

// As in the product, whose hot path one of these commands runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer as an MCP server would, until killed.
    Backend(backend::Args),
    /// Relay to a backend as the product does, without its duties.
    Bare(bare::Args),
    /// Open GET streams: measure their events, or hold them open.
    Streams(streams::Args),
    /// Call at the pace of people, as so many attendees.
    Paced(paced::Args),
    /// Open cards, evenly over a while.
    Arrivals(arrivals::Args),
    /// Go through whole sessions: initialize, calls, DELETE.
    Sessions(sessions::Args),
    /// Sessions and streams for a long time, on a backend that comes and goes.
    Soak(soak::Args),
    /// Write a certificate for localhost and its key: cert.pem, key.pem.
    Certificate { folder: PathBuf },
}

/// Where a client connects to, and as whom.
#[derive(Args, Clone)]
pub struct To {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long, default_value = "/mcp")]
    path: String,
    /// One API key a line, used in turn.
    #[arg(long)]
    keys: PathBuf,
}

impl To {
    fn keys(&self) -> anyhow::Result<Vec<String>> {
        let text = std::fs::read_to_string(&self.keys).context("--keys cannot be read")?;
        let keys: Vec<String> = text.lines().map(str::to_owned).collect();
        anyhow::ensure!(!keys.is_empty(), "--keys holds none");
        Ok(keys)
    }
}

/// One thread: `benches/run` gives each process a core.
fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match Cli::parse().command {
            Command::Backend(args) => backend::run(args).await,
            Command::Bare(args) => bare::run(args).await,
            Command::Streams(args) => streams::run(args).await,
            Command::Paced(args) => paced::run(args).await,
            Command::Arrivals(args) => arrivals::run(args).await,
            Command::Sessions(args) => sessions::run(args).await,
            Command::Soak(args) => soak::run(args).await,
            Command::Certificate { folder } => certificate::write(&folder),
        }
    })
}
