//! `ai-proxy owner`: one-time links, by which an owner sets a password.

use clap::{Args, Subcommand};
use serde_json::json;
use url::Url;

use super::output::{self, Json, instant};
use crate::app::open_store;
use crate::catalog::owner::link::{self, SetupLink};
use crate::clock::now_ms;
use crate::config::{StoreArgs, values};

#[derive(Debug, Subcommand)]
pub enum Owner {
    /// Make the link by which the first administrator signs in
    SetupLink(LinkArgs),
    /// Make a link by which an owner sets a new password
    Reset(Reset),
}

#[derive(Args, Debug)]
pub struct Reset {
    /// The owner's name
    name: String,

    #[command(flatten)]
    link: LinkArgs,
}

#[derive(Args, Debug)]
pub struct LinkArgs {
    /// Where the portal is reached
    #[arg(
        long,
        env = "AI_PROXY_PUBLIC_URL",
        default_value = "http://127.0.0.1:8910/",
        value_parser = values::public_url,
        value_name = "URL"
    )]
    public_url: Url,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    output: Json,
}

impl Owner {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Owner::SetupLink(args) => {
                let (db, _) = open_store(&args.store).await?;
                args.print(&link::first(&db, now_ms()).await?)
            }
            Owner::Reset(Reset { name, link: args }) => {
                let (db, _) = open_store(&args.store).await?;
                args.print(&link::reset(&db, &name, now_ms()).await?)
            }
        }
    }
}

impl LinkArgs {
    fn print(&self, link: &SetupLink) -> anyhow::Result<()> {
        let url = link.url(self.public_url.as_str());
        let expires_at = instant(link.expires_at);
        if self.output.json {
            return output::json(&json!({"url": url, "expires_at": expires_at}));
        }
        Ok(output::line(&format!("{url}\nIt works once, until {expires_at}."))?)
    }
}
