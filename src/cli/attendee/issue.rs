//! `ai-proxy attendee issue`: API keys in bulk, for a spreadsheet or a script.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::catalog::attendee::{self, Issued};
use crate::cli::output::{self, Table};
use crate::cli::store::{CatalogArgs, no_event};
use crate::spreadsheet;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ai-proxy attendee issue --event a1b2-c3d4 --count 30 --format csv > keys.csv
  ai-proxy attendee issue --event \"Demo workshop\" --names people.txt
  ai-proxy attendee issue --event \"Demo workshop\" --names registered.csv

The keys are shown now and never again: keep the output. Whoever has one may use the event.")]
pub struct Issue {
    /// The event, by id or name
    #[arg(long, value_name = "EVENT")]
    event: String,

    /// How many keys to make [default: one a name]
    #[arg(long, value_name = "N", required_unless_present = "names")]
    count: Option<u32>,

    /// Names of attendees: one a line, or a CSV file; - for standard input
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,

    /// What to print
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    format: Format,

    #[command(flatten)]
    catalog: CatalogArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Csv,
    Json,
}

#[derive(Serialize)]
struct Row<'a> {
    attendee: &'a str,
    event: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    api_key: &'a str,
}

impl Issue {
    pub async fn run(self) -> anyhow::Result<()> {
        let names = self.names.as_deref().map(read_names).transpose()?.unwrap_or_default();
        let named = u32::try_from(names.len())?;
        let count = self.count.unwrap_or(named);
        if named > count {
            bail!("--names holds {named} names, which is more than --count {count}");
        }
        let catalog = self.catalog.open().await?.ok_or_else(|| no_event(&self.event))?;
        let event = catalog.event(&self.event).await?;
        let (db, vault, by) = (&catalog.db, &catalog.vault, &catalog.by);
        let issued = attendee::issue(db, vault, by, &event.id, count, &names).await?;
        let rows: Vec<_> = issued.iter().map(Row::from).collect();
        match self.format {
            Format::Json => output::json(&rows),
            Format::Csv => {
                let cells = rows.iter().map(Row::cells);
                Ok(output::print(&spreadsheet::csv(COLUMNS, cells))?)
            }
            Format::Text => {
                let mut table = Table::new(COLUMNS);
                rows.iter().for_each(|row| table.row(row.cells()));
                Ok(table.print()?)
            }
        }
    }
}

const COLUMNS: [&str; 4] = ["attendee", "event", "name", "api_key"];

impl<'a> From<&'a Issued> for Row<'a> {
    fn from(issued: &'a Issued) -> Self {
        Self {
            attendee: &issued.attendee_id,
            event: &issued.event_id,
            name: &issued.display_name,
            api_key: issued.api_key.expose_secret(),
        }
    }
}

impl Row<'_> {
    fn cells(&self) -> [String; 4] {
        [self.attendee, self.event, self.name, self.api_key].map(str::to_owned)
    }
}

/// Reads the names as the portal does: from a table or from a plain list.
fn read_names(file: &Path) -> anyhow::Result<Vec<String>> {
    let is_standard_input = file == Path::new("-");
    let shown = if is_standard_input { "on standard input".into() } else { file.to_string_lossy() };
    let content = if is_standard_input {
        let mut content = Vec::new();
        io::stdin().lock().read_to_end(&mut content).map(|_| content)
    } else {
        fs::read(file)
    };
    let content = content.with_context(|| format!("the file of names {shown} cannot be read"))?;
    let extension = file.extension().map(|extension| extension.to_ascii_lowercase());
    let is_table = extension.is_some_and(|extension| extension == "csv" || extension == "tsv");
    let names = spreadsheet::names(&content, is_table)
        .map_err(|reason| anyhow!("the file of names {shown} {reason}"))?;
    if names.is_empty() {
        bail!("the file of names {shown} holds none; write one a line, or in the first column");
    }
    Ok(names)
}
