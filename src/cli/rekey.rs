//! `ai-proxy rekey`: after the master key was changed, the step that makes the
//! old one superfluous.

use clap::Args;
use serde_json::json;

use super::output::{self, Json};
use crate::app::open_store;
use crate::catalog::rekey::{self, Rekeyed};
use crate::config::StoreArgs;

#[derive(Args, Debug)]
#[command(after_help = "\
To change the master key without an interruption:
  1. Move it to AI_PROXY_MASTER_KEY_OLD (or master.key to master.key.old) and set a new one.
  2. Restart every server, one after the other: both keys open now, the new one seals.
  3. Run `ai-proxy rekey`. It may be interrupted and repeated.
  4. Remove the old key and restart.")]
pub struct Rekey {
    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    output: Json,
}

impl Rekey {
    pub async fn run(self) -> anyhow::Result<()> {
        let (db, vault) = open_store(&self.store).await?;
        let Rekeyed { endpoints, backend_keys, shared_codes, api_keys } =
            rekey::run(&db, &vault).await?;
        if self.output.json {
            return output::json(&json!({
                "endpoints": endpoints,
                "backend_keys": backend_keys,
                "shared_codes": shared_codes,
                "api_keys": api_keys,
            }));
        }
        Ok(output::line(&format!(
            "sealed anew: {endpoints} endpoints, {backend_keys} backend keys, {shared_codes} shared \
             codes, {api_keys} API keys; the old master key is not needed for this store any more"
        ))?)
    }
}
