//! `ai-proxy attendee`: who may use an event, and with which key.

mod issue;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::output::{self, Json, Table, instant};
use super::store::{Catalog, CatalogArgs, no_event};
use crate::catalog::{Error, attendee};

#[derive(Debug, Subcommand)]
pub enum Attendee {
    /// Make API keys for an event
    Issue(issue::Issue),
    /// List the attendees of an event, without their keys
    List(List),
    /// Switch an attendee's key off; a running server refuses it within two seconds
    Deactivate(Deactivate),
}

#[derive(Args, Debug)]
pub struct List {
    /// The event, by id or name
    #[arg(long, value_name = "EVENT")]
    event: String,

    #[command(flatten)]
    catalog: CatalogArgs,

    #[command(flatten)]
    output: Json,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ai-proxy attendee deactivate 0193a5c4d5e67f8090a1b2c3d4e5f607
  ai-proxy attendee deactivate --event a1b2-c3d4 issued:7")]
pub struct Deactivate {
    /// The attendee's id; with --event, a user id such as issued:7 as well
    id: String,

    /// The event, by id or name
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,

    #[command(flatten)]
    catalog: CatalogArgs,

    #[command(flatten)]
    output: Json,
}

#[derive(Serialize)]
struct Listed {
    attendee: String,
    event: String,
    user: String,
    name: String,
    active: bool,
    /// Instead of the event's.
    daily_request_cap: Option<u32>,
    /// RFC 3339, in UTC.
    created_at: String,
    last_seen_at: Option<String>,
    /// The code of the last refusal.
    last_error: Option<String>,
    last_error_at: Option<String>,
}

impl Attendee {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Attendee::Issue(issue) => issue.run().await,
            Attendee::List(list) => list.run().await,
            Attendee::Deactivate(deactivate) => deactivate.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let catalog = self.catalog.open().await?.ok_or_else(|| no_event(&self.event))?;
        let event = catalog.event(&self.event).await?;
        let attendees = attendee::list(&catalog.db, &catalog.by.owner_id, &event.id).await?;
        let attendees: Vec<_> = attendees.into_iter().map(Listed::from).collect();
        if self.output.json {
            return output::json(&attendees);
        }
        let mut table =
            Table::new(["attendee", "user", "name", "active", "last seen", "last refusal"]);
        for Listed { attendee, user, name, active, last_seen_at, last_error, .. } in attendees {
            let active = if active { "yes" } else { "no" }.to_owned();
            let seen = last_seen_at.unwrap_or_else(|| "never".to_owned());
            table.row([attendee, user, name, active, seen, last_error.unwrap_or_default()]);
        }
        Ok(table.print()?)
    }
}

impl From<attendee::Attendee> for Listed {
    fn from(attendee: attendee::Attendee) -> Self {
        Self {
            attendee: attendee.id,
            event: attendee.event_id,
            user: attendee.user_id,
            name: attendee.display_name,
            active: attendee.active,
            daily_request_cap: attendee.daily_request_cap,
            created_at: instant(attendee.created_at),
            last_seen_at: attendee.last_seen_at.map(instant),
            last_error: attendee.last_error,
            last_error_at: attendee.last_error_at.map(instant),
        }
    }
}

impl Deactivate {
    async fn run(self) -> anyhow::Result<()> {
        let Some(catalog) = self.catalog.open().await? else { return self.unknown() };
        let id = match &self.event {
            Some(event) => self.find(&catalog, event).await?,
            None => Some(self.id.clone()),
        };
        let Some(id) = id else { return self.unknown() };
        match attendee::set_active(&catalog.db, &catalog.by, &id, false).await {
            Err(Error::NotFound { .. }) => self.unknown(),
            Err(error) => Err(error.into()),
            Ok(()) if self.output.json => output::json(&json!({"attendee": id, "active": false})),
            Ok(()) => Ok(output::line(&format!("attendee {id} is deactivated"))?),
        }
    }

    /// The id of the attendee that is meant by id or user id.
    async fn find(&self, catalog: &Catalog, event: &str) -> anyhow::Result<Option<String>> {
        let event = catalog.event(event).await?;
        let attendees = attendee::list(&catalog.db, &catalog.by.owner_id, &event.id).await?;
        let meant = |a: &attendee::Attendee| a.id == self.id || a.user_id == self.id;
        Ok(attendees.into_iter().find(meant).map(|attendee| attendee.id))
    }

    fn unknown(&self) -> anyhow::Result<()> {
        bail!(
            "there is no attendee \"{}\"; `ai-proxy attendee list --event EVENT` shows the ids",
            self.id
        )
    }
}
