//! The command line: what is asked for, handed to the module that does it.
//!
//! One file a family of commands. All of them but `serve` and `demo` open the
//! store themselves, so they work whether or not a server runs on it. Output is
//! for stdout, with `--json` for scripts; what goes wrong is one sentence on
//! stderr and exit code 1 (2 where the command line itself is wrong).

mod apply;
mod attendee;
mod demo;
mod event;
mod healthcheck;
mod output;
mod owner;
mod rekey;
mod resource;
mod store;
mod workshop;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::config::Config;

/// One binary in front of MCP servers: the attendees of a workshop reach them with one key each.
#[derive(Debug, Parser)]
#[command(name = "ai-proxy", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Without a command, ai-proxy serves: its settings may follow at once.

Examples:
  ai-proxy demo                                         See it work, with nothing prepared
  ai-proxy apply workshop.toml                          Make a workshop's resources and events
  ai-proxy resource check                               See whether its MCP servers answer
  ai-proxy attendee issue --event a1b2-c3d4 --count 30  Make 30 keys
  ai-proxy --listen 0.0.0.0:8910                        Serve the room";

/// What the command line asks for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve attendees until SIGTERM or Ctrl-C (the default)
    Serve(Box<Config>),
    /// Serve a built-in MCP server, an event and a key to try, and print what to paste
    Demo(Box<demo::Demo>),
    #[command(flatten)]
    Task(Task),
}

/// What is done and then over.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Make or update the resources and events that a workshop file describes
    Apply(Box<apply::Apply>),
    /// Issue, list and deactivate attendees
    #[command(subcommand)]
    Attendee(attendee::Attendee),
    /// List events
    #[command(subcommand)]
    Event(event::Event),
    /// List resources and check that they answer
    #[command(subcommand)]
    Resource(resource::Resource),
    /// Make one-time links for signing in
    #[command(subcommand)]
    Owner(owner::Owner),
    /// Seal every secret anew with the current master key
    Rekey(rekey::Rekey),
    /// Ask a running server whether it is ready; exit code 0 says yes
    Healthcheck(healthcheck::Healthcheck),
}

impl Task {
    /// # Errors
    /// One sentence that says what is wrong and what to do.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Task::Apply(apply) => apply.run().await,
            Task::Attendee(attendee) => attendee.run().await,
            Task::Event(event) => event.run().await,
            Task::Resource(resource) => resource.run().await,
            Task::Owner(owner) => owner.run().await,
            Task::Rekey(rekey) => rekey.run().await,
            Task::Healthcheck(healthcheck) => healthcheck.run().await,
        }
    }
}

impl Cli {
    /// Parses the process's arguments; wrong ones end the process with code 2.
    pub fn from_env() -> Self {
        Self::parse_from(with_command(std::env::args_os().collect()))
    }
}

/// Puts in `serve` where the first argument is a setting or nothing at all.
fn with_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let first = args.get(1).and_then(|arg| arg.to_str());
    let about_us = matches!(first, Some("-h" | "--help" | "-V" | "--version"));
    if args.len() == 1 || (!about_us && first.is_some_and(|arg| arg.starts_with('-'))) {
        args.insert(1, "serve".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        let args = line.split_whitespace().map(OsString::from).collect();
        Cli::try_parse_from(with_command(args)).map(|cli| cli.command)
    }

    #[test]
    fn the_definitions_hold_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn to_serve_is_what_is_meant_without_a_command() {
        for line in ["ai-proxy --listen 127.0.0.1:0", "ai-proxy serve --listen=127.0.0.1:0"] {
            let Ok(Command::Serve(config)) = parse(line) else { panic!("{line}") };
            assert_eq!(config.listen.port(), 0);
        }
        assert!(matches!(parse("ai-proxy"), Ok(Command::Serve(_))));
        assert!(parse("ai-proxy sevre").is_err());
    }
}
