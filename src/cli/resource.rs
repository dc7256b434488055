//! `ai-proxy resource`: an owner's backends, and whether they answer.

mod check;

use clap::{Args, Subcommand};
use serde::Serialize;
use url::Url;

use super::output::{self, Json, Table};
use super::store::CatalogArgs;
use crate::catalog::resource;

#[derive(Debug, Subcommand)]
pub enum Resource {
    /// List resources, without their keys
    List(List),
    /// Connect to MCP servers as an attendee's client would and list their tools
    Check(check::Check),
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
    deployment: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Without its query, which may hold a credential.
    endpoint: String,
    auth: String,
    has_key: bool,
    region: String,
    active: bool,
}

impl Resource {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Resource::List(list) => list.run().await,
            Resource::Check(check) => check.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let resources = match self.catalog.open().await? {
            Some(catalog) => {
                let all = resource::all(&catalog.db, &catalog.vault, &catalog.by.owner_id).await?;
                output::unreadable(all.unreadable.iter())?;
                all.read
            }
            None => Vec::new(),
        };
        let resources: Vec<_> = resources.into_iter().map(Listed::from).collect();
        if self.output.json {
            return output::json(&resources);
        }
        let mut table =
            Table::new(["deployment", "name", "type", "endpoint", "auth", "key", "active"]);
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        for Listed { deployment, name, kind, endpoint, auth, has_key, active, .. } in resources {
            table.row([deployment, name, kind.into(), endpoint, auth, yes(has_key), yes(active)]);
        }
        Ok(table.print()?)
    }
}

impl From<resource::Resource> for Listed {
    fn from(resource: resource::Resource) -> Self {
        Self {
            id: resource.id,
            deployment: resource.deployment.to_string(),
            name: resource.name,
            kind: resource.kind.as_str(),
            endpoint: without_query(&resource.endpoint.url),
            auth: resource.auth.to_string(),
            has_key: resource.key.is_some(),
            region: resource.region,
            active: resource.active,
        }
    }
}

fn without_query(url: &Url) -> String {
    url[..url::Position::AfterPath].to_owned()
}
