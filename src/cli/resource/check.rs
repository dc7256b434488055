//! `ai-proxy resource check`: the probe, for the MCP servers of the catalog.

use anyhow::bail;
use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;

use crate::catalog::resource::{self, Resource};
use crate::cli::output::{self, Json};
use crate::cli::store::CatalogArgs;
use crate::config::{EndpointPolicy, Seconds, values};
use crate::probe::{self, Failure, ProbeTarget, Report};

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 0 says that every server that was asked can be used.

Examples:
  ai-proxy resource check             All active MCP servers
  ai-proxy resource check mcp-demo    One of them")]
pub struct Check {
    /// The deployment name of one MCP server [default: all that are active]
    deployment: Option<String>,

    /// Which backend addresses may be connected to: any or public
    #[arg(
        long,
        env = "AI_PROXY_ENDPOINT_POLICY",
        default_value = "any",
        value_name = "POLICY",
        hide_possible_values = true
    )]
    endpoint_policy: EndpointPolicy,

    /// How long connecting to each address of a backend may take
    #[arg(
        long, env = "AI_PROXY_CONNECT_TIMEOUT", default_value = "5",
        value_parser = values::time_limit, value_name = "SECONDS"
    )]
    connect_timeout: Seconds,

    /// How long each answer may take
    // Not AI_PROXY_BACKEND_TIMEOUT: that is for tools at work, and nobody waits two
    // minutes to learn that a server does not answer.
    #[arg(long, default_value = "15", value_parser = values::time_limit, value_name = "SECONDS")]
    answer_timeout: Seconds,

    #[command(flatten)]
    catalog: CatalogArgs,

    #[command(flatten)]
    output: Json,
}

/// What came of one resource, as `--json` prints it.
#[derive(Serialize)]
struct Checked<'a> {
    deployment: &'a str,
    ok: bool,
    #[serde(flatten)]
    report: Option<&'a Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Check {
    pub async fn run(self) -> anyhow::Result<()> {
        let resources = match self.catalog.open().await? {
            Some(catalog) => {
                let all = resource::all(&catalog.db, &catalog.vault, &catalog.by.owner_id).await?;
                output::unreadable(all.unreadable.iter())?;
                all.read
            }
            None => Vec::new(),
        };
        let resources = self.wanted(resources)?;
        let outcomes = join_all(resources.iter().map(|resource| self.ask(resource))).await;
        let checked: Vec<_> = resources.iter().zip(&outcomes).map(Checked::from).collect();
        if self.output.json {
            output::json(&checked)?;
        } else {
            checked.iter().try_for_each(|checked| output::line(&checked.to_text()))?;
        }
        match checked.iter().filter(|checked| !checked.ok).count() {
            0 => Ok(()),
            failed => bail!("{failed} of {} cannot be used", count(checked.len(), "MCP server")),
        }
    }

    fn wanted(&self, resources: Vec<Resource>) -> anyhow::Result<Vec<Resource>> {
        let Some(name) = &self.deployment else {
            let all: Vec<_> =
                resources.into_iter().filter(|r| r.kind.is_probed() && r.active).collect();
            if all.is_empty() {
                bail!("there is no active MCP server to check; `ai-proxy apply` makes one");
            }
            return Ok(all);
        };
        match resources.into_iter().find(|resource| *resource.deployment == **name) {
            Some(resource) if resource.kind.is_probed() => Ok(vec![resource]),
            Some(resource) => {
                bail!("{name} is a {}; only MCP servers can be checked", resource.kind.as_str())
            }
            None => bail!(
                "there is no resource \"{name}\"; `ai-proxy resource list` shows those there are"
            ),
        }
    }

    async fn ask(&self, resource: &Resource) -> Result<Report, Failure> {
        let target = ProbeTarget {
            url: resource.endpoint.url.clone(),
            credential: resource.credential(),
            policy: self.endpoint_policy,
            connect_timeout: self.connect_timeout.0,
            answer_timeout: self.answer_timeout.0,
        };
        probe::check(&target).await
    }
}

impl<'a> From<(&'a Resource, &'a Result<Report, Failure>)> for Checked<'a> {
    fn from((resource, outcome): (&'a Resource, &'a Result<Report, Failure>)) -> Self {
        let failure = outcome.as_ref().err();
        Self {
            deployment: &resource.deployment,
            ok: failure.is_none(),
            report: outcome.as_ref().ok(),
            code: failure.map(Failure::code),
            reason: failure.map(Failure::to_string),
        }
    }
}

impl Checked<'_> {
    fn to_text(&self) -> String {
        let deployment = self.deployment;
        let Some(report) = self.report else {
            return format!("{deployment}: FAILED: {}", self.reason.as_deref().unwrap_or_default());
        };
        let Report { server, protocol_version, tools, connect_ms, latency_ms, .. } = report;
        let mut text = format!(
            "{deployment}: ok: {} {}, MCP {protocol_version}, {}, connected in {connect_ms} ms, \
             answered in {latency_ms} ms",
            server.name,
            server.version,
            count(tools.len(), "tool")
        );
        for tool in tools {
            text.push_str("\n  ");
            text.push_str(tool);
        }
        text
    }
}

fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
