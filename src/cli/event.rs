//! `ai-proxy event`: an owner's events.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{self, Json, Table, instant};
use super::store::CatalogArgs;
use crate::catalog::{Noun, event};
use crate::clock::now_ms;

#[derive(Debug, Subcommand)]
pub enum Event {
    /// List events: when they are open and what may be used in them
    List(List),
}

#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    catalog: CatalogArgs,

    #[command(flatten)]
    output: Json,
}

#[derive(Serialize)]
struct Listed {
    id: String,
    name: String,
    /// `live`, `next`, `ended`, or `off` where it is not active.
    state: &'static str,
    active: bool,
    start: String,
    end: String,
    time_zone: String,
    /// RFC 3339, in UTC.
    starts_at: String,
    ends_at: String,
    resources: Vec<String>,
    max_token_cap: u32,
    daily_request_cap: u32,
    requests_per_minute: u32,
}

impl Event {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Event::List(list) => list.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let events = match self.catalog.open().await? {
            Some(catalog) => {
                let all = event::all(&catalog.db, &catalog.vault, &catalog.by.owner_id).await?;
                output::unreadable(all.unreadable.iter().filter(|row| row.noun == Noun::Event))?;
                all.read
            }
            None => Vec::new(),
        };
        let now = now_ms();
        let events: Vec<_> = events.into_iter().map(|event| Listed::new(event, now)).collect();
        if self.output.json {
            return output::json(&events);
        }
        let mut table =
            Table::new(["id", "name", "state", "start", "end", "time zone", "resources"]);
        for Listed { id, name, state, start, end, time_zone, resources, .. } in events {
            table.row([id, name, state.into(), start, end, time_zone, resources.join(", ")]);
        }
        Ok(table.print()?)
    }
}

impl Listed {
    fn new(event: event::Event, now: i64) -> Self {
        Self {
            state: match event.active {
                false => "off",
                true if now < event.starts_at => "next",
                true if now > event.ends_at => "ended",
                true => "live",
            },
            id: event.id,
            name: event.name,
            active: event.active,
            start: event.start_local,
            end: event.end_local,
            time_zone: event.time_zone,
            starts_at: instant(event.starts_at),
            ends_at: instant(event.ends_at),
            resources: event.resources.iter().map(|r| r.deployment.to_string()).collect(),
            max_token_cap: event.max_token_cap,
            daily_request_cap: event.daily_request_cap,
            requests_per_minute: event.requests_per_minute,
        }
    }
}
