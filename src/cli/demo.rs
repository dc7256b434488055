//! `ai-proxy demo`: what it may be told; the demo itself stands in [`crate::demo`].

use clap::Args;

use crate::config::Config;

/// All settings of `serve` are understood; two of them are worth knowing of.
#[derive(Args, Debug)]
#[command(mut_args(|arg| {
    let shown = ["listen", "data_dir"].contains(&arg.get_id().as_str());
    arg.hide(!shown)
}))]
// The real events are where these variables say.
#[command(mut_arg("data_dir", |arg| {
    let help = "Folder that keeps the demo's event and key from one start to the next";
    arg.default_value("./data/demo").env(None).help(help)
}))]
#[command(mut_arg("database_url", |arg| arg.env(None)))]
pub struct Demo {
    #[command(flatten)]
    pub config: Config,
}
