//! `ai-proxy apply`: makes the catalog what a workshop file says.
//!
//! The whole file is read and checked before the first row is written. Applying
//! it again changes nothing; what the file does not name is left alone.

mod destination;
mod error;
mod key;
mod plan;
mod remote;
mod stored;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use self::destination::Destination;
use self::plan::Plan;
use self::remote::ServerArgs;
use super::output::{self, Json, Table};
use super::store::CatalogArgs;
use super::workshop::Source;

#[derive(Args, Debug)]
#[command(after_help = "\
Example of a workshop file:
  [[resource]]
  deployment = \"mcp-demo\"
  endpoint = \"http://127.0.0.1:8000/mcp\"
  key = \"env:MCP_API_KEY\"

  [[event]]
  name = \"Demo workshop\"
  description = \"# Welcome\"
  organizer_name = \"Ada\"
  organizer_email = \"ada@example.org\"
  start = \"2026-11-22T09:00\"
  end = \"2026-11-29T18:00\"
  time_zone = \"Europe/Berlin\"
  resources = [\"mcp-demo\"]

With --server, the file is applied to a proxy elsewhere, for the owner of the token. Keys that it
takes from the environment or from files are read here.

A running server takes the change up within two seconds.")]
pub struct Apply {
    /// The workshop file (TOML)
    file: PathBuf,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    catalog: CatalogArgs,

    #[command(flatten)]
    output: Json,
}

/// What was done, as `--json` prints it.
#[derive(Default, Serialize)]
struct Applied {
    resources: Vec<AppliedResource>,
    events: Vec<AppliedEvent>,
}

#[derive(Serialize)]
struct AppliedResource {
    deployment: String,
    id: String,
    change: &'static str,
}

#[derive(Serialize)]
struct AppliedEvent {
    id: String,
    name: String,
    change: &'static str,
}

impl Apply {
    pub async fn run(self) -> anyhow::Result<()> {
        let name = self.file.display().to_string();
        let text = std::fs::read_to_string(&self.file)
            .with_context(|| format!("the workshop file {name} cannot be read"))?;
        let source = Source { name: &name, text: &text };
        let workshop = source.read()?;
        let destination = match self.server.remote()? {
            Some(remote) => Destination::Server(remote),
            None => Destination::Store(Box::new(self.catalog.open_or_make_owner().await?)),
        };
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let plan = Plan::new(&source, &workshop, folder, &destination).await?;
        let applied = plan.carry_out(&source, &destination).await?;
        if self.output.json { output::json(&applied) } else { Ok(print(&applied)?) }
    }
}

fn print(applied: &Applied) -> io::Result<()> {
    let mut table = Table::new(["change", "what", "name", "id"]);
    for AppliedResource { deployment, id, change } in &applied.resources {
        table.row([(*change).into(), "resource".into(), deployment.clone(), id.clone()]);
    }
    for AppliedEvent { id, name, change } in &applied.events {
        table.row([(*change).into(), "event".into(), name.clone(), id.clone()]);
    }
    table.print()
}
