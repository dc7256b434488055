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
  1. Where several servers share the store: give each the new key as AI_PROXY_MASTER_KEY_OLD, and
     restart them one after the other. All can read then what the new key seals.
  2. Make the new key the current one and the former one AI_PROXY_MASTER_KEY_OLD (or rename
     master.key to master.key.old), and restart them one after the other.
  3. Run `ai-proxy rekey`, which needs both. It may be interrupted and repeated.
  4. Remove the former key and restart.")]
pub struct Rekey {
    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    output: Json,
}

impl Rekey {
    pub async fn run(self) -> anyhow::Result<()> {
        let (db, vault) = open_store(&self.store).await?;
        let Rekeyed { endpoints, backend_keys, shared_codes, api_keys, card_codes } =
            rekey::run(&db, &vault).await?;
        if self.output.json {
            return output::json(&json!({
                "endpoints": endpoints,
                "backend_keys": backend_keys,
                "shared_codes": shared_codes,
                "api_keys": api_keys,
                "card_codes": card_codes,
            }));
        }
        Ok(output::line(&format!(
            "re-encrypted: {endpoints} endpoints, {backend_keys} backend keys, {shared_codes} shared \
             codes, {api_keys} API keys, {card_codes} card codes; the old master key is no longer \
             needed for this store"
        ))?)
    }
}
