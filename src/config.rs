//! What an operator may set, parsed once into meaning.
//!
//! Every setting is a flag of `ai-proxy serve` and an `AI_PROXY_…` variable of
//! the same name; the flag wins. Nothing below this module reads the
//! environment, save the master key (`catalog::seal`), which is never a flag; nor
//! are the client secrets of [`EntraArgs`] and [`GitHubArgs`].

mod entra;
mod github;
pub(crate) mod https;
mod oauth;
mod secret;
#[cfg(test)]
mod tests;
pub(crate) mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use ipnet::IpNet;

pub use entra::{EntraArgs, EntraSettings};
pub use github::{GitHubArgs, GitHubSettings};
pub use oauth::OauthMode;
pub use values::Seconds;

use crate::db::sqlite_url;
pub use crate::net::EndpointPolicy;

/// Where the rows live: shared by every command that opens the store.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// Folder of the SQLite database and the master key; made when missing.
    #[arg(long, env = "AI_PROXY_DATA_DIR", default_value = "./data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// `postgres://…` for several replicas on one store [default: SQLite in the data folder].
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
}

impl StoreArgs {
    /// The URL to open: as given, else the SQLite file in the data folder.
    pub fn url(&self) -> String {
        match &self.database_url {
            Some(url) if !url.is_empty() => url.clone(),
            _ => sqlite_url(&self.data_dir.join("ai-proxy.db")),
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a person at a terminal.
    Text,
    /// One JSON object a line, for a log collector.
    Json,
}

/// The settings of `ai-proxy serve`.
#[derive(Args, Clone, Debug)]
pub struct Config {
    #[command(flatten)]
    pub store: StoreArgs,

    /// Address and port to serve on.
    #[arg(long, env = "AI_PROXY_LISTEN", default_value = "127.0.0.1:8910", value_name = "ADDR")]
    pub listen: SocketAddr,

    /// The URL at which attendees reach this proxy, printed in pages and answers.
    #[arg(long, env = "AI_PROXY_PUBLIC_URL", value_parser = values::public_url, value_name = "URL")]
    pub public_url: Option<url::Url>,

    /// Address and port of /metrics (Prometheus); not served when left out.
    #[arg(long, env = "AI_PROXY_METRICS_LISTEN", value_name = "ADDR")]
    pub metrics_listen: Option<SocketAddr>,

    /// Threads of the data plane [default: one a core].
    #[arg(long, env = "AI_PROXY_WORKERS", value_parser = values::workers, value_name = "N")]
    pub workers: Option<std::num::NonZeroUsize>,

    /// Log lines for a person (text) or a collector (json).
    #[arg(long, env = "AI_PROXY_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// What to log, as in `info` or `ai_proxy=debug,warn`.
    #[arg(
        long,
        env = "AI_PROXY_LOG",
        default_value = "info,rmcp=warn,rustls=error",
        value_name = "FILTER"
    )]
    pub log: String,

    /// Write one line at `info` for each request.
    #[arg(
        long, env = "AI_PROXY_LOG_REQUESTS", action = clap::ArgAction::Set,
        num_args = 0..=1, default_value = "false", default_missing_value = "true", value_name = "BOOL"
    )]
    pub log_requests: bool,

    /// Networks whose `X-Forwarded-For` is believed, comma-separated (10.0.0.0/8,::1).
    #[arg(
        long, env = "AI_PROXY_TRUSTED_PROXIES", value_delimiter = ',',
        value_parser = values::network, value_name = "NETS"
    )]
    pub trusted_proxies: Vec<IpNet>,

    /// Networks of gateways whose `x-ms-client-principal` is believed, comma-separated.
    #[arg(
        long, env = "AI_PROXY_TRUSTED_GATEWAYS", value_delimiter = ',',
        value_parser = values::network, value_name = "NETS"
    )]
    pub trusted_gateways: Vec<IpNet>,

    /// Browser origins that may call the data plane, besides our own and loopback, comma-separated.
    #[arg(
        long, env = "AI_PROXY_ALLOWED_ORIGINS", value_delimiter = ',',
        value_parser = values::origin, value_name = "ORIGINS"
    )]
    pub allowed_origins: Vec<String>,

    /// Which backend addresses may be connected to.
    #[arg(long, env = "AI_PROXY_ENDPOINT_POLICY", default_value = "any", value_name = "POLICY")]
    pub endpoint_policy: EndpointPolicy,

    /// How long a backend may take until its response headers, without the client's upload.
    #[arg(
        long, env = "AI_PROXY_BACKEND_TIMEOUT", default_value = "120",
        value_parser = values::time_limit, value_name = "SECONDS"
    )]
    pub backend_timeout: Seconds,

    /// How long connecting to each address of a backend may take.
    #[arg(
        long, env = "AI_PROXY_CONNECT_TIMEOUT", default_value = "5",
        value_parser = values::time_limit, value_name = "SECONDS"
    )]
    pub connect_timeout: Seconds,

    /// Silence after which an event stream gets a comment line that keeps it alive; 0 sends none.
    #[arg(
        long, env = "AI_PROXY_SSE_KEEP_ALIVE", default_value = "25",
        value_parser = values::interval, value_name = "SECONDS"
    )]
    pub sse_keep_alive: Seconds,

    /// How often the MCP servers of events that are open or near are checked; 0 checks none.
    #[arg(
        long, env = "AI_PROXY_HEALTH_INTERVAL", default_value = "300",
        value_parser = values::interval, value_name = "SECONDS"
    )]
    pub health_interval: Seconds,

    /// How long running requests may finish after SIGTERM.
    #[arg(long, env = "AI_PROXY_DRAIN_TIMEOUT", default_value = "30", value_name = "SECONDS")]
    pub drain_timeout: Seconds,

    /// How long a client may take to send its request headers.
    #[arg(
        long, env = "AI_PROXY_HEADER_TIMEOUT", default_value = "10",
        value_parser = values::time_limit, value_name = "SECONDS"
    )]
    pub header_timeout: Seconds,

    /// Largest request head, in bytes.
    #[arg(
        long, env = "AI_PROXY_MAX_HEADER_BYTES", default_value_t = 64 * 1024,
        value_parser = values::number::<usize>(8192..=1024 * 1024), value_name = "BYTES"
    )]
    pub max_header_bytes: usize,

    /// Largest request body, in bytes.
    #[arg(
        long, env = "AI_PROXY_MAX_BODY_BYTES", default_value_t = 16 * 1024 * 1024,
        value_parser = values::number::<u64>(1024..=1024 * 1024 * 1024), value_name = "BYTES"
    )]
    pub max_body_bytes: u64,

    /// Maximum number of client connections at once.
    #[arg(
        long, env = "AI_PROXY_MAX_CONNECTIONS", default_value_t = 20_000,
        value_parser = values::number::<usize>(1..=1_000_000), value_name = "N"
    )]
    pub max_connections: usize,

    /// Certificate chain (PEM) to serve HTTPS with; needs --tls-key.
    #[arg(long, env = "AI_PROXY_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Private key (PEM) of --tls-cert.
    #[arg(long, env = "AI_PROXY_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// How long browsers that were here over HTTPS refuse plain HTTP at this host; 0 for not at all.
    #[arg(
        long, env = "AI_PROXY_HSTS", default_value_t = 86_400,
        value_parser = values::number::<u32>(0..=63_072_000), value_name = "SECONDS"
    )]
    pub hsts: u32,

    /// Whether MCP clients can sign in without a key: `auto` where the public URL has HTTPS or is this
    /// machine's own, `on` over plain HTTP too.
    #[arg(long, env = "AI_PROXY_OAUTH", default_value = "auto", value_name = "WHEN")]
    pub oauth: OauthMode,

    #[command(flatten)]
    pub entra: EntraArgs,

    #[command(flatten)]
    pub github: GitHubArgs,
}

impl Config {
    /// Whether all settings can hold together.
    ///
    /// # Errors
    /// One sentence for the operator: which of them contradict each other.
    pub fn check(&self) -> anyhow::Result<()> {
        if let Some(metrics) = self.metrics_listen {
            let is_shared = metrics.ip() == self.listen.ip()
                || metrics.ip().is_unspecified()
                || self.listen.ip().is_unspecified();
            ensure!(
                metrics.port() == 0 || metrics.port() != self.listen.port() || !is_shared,
                "--metrics-listen {metrics} is taken by --listen {}: give it another port",
                self.listen
            );
        }
        if let (Some(public), Some(_)) = (&self.public_url, self.entra.settings()?) {
            ensure!(
                values::is_confidential(public),
                "--public-url {public} must begin with https://, because Microsoft sends nobody who signs in \
                 back to another address than https:// or this machine's own"
            );
        }
        Ok(())
    }
}
