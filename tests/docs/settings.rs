//! The tables of settings and commands, and what the command line knows.

use std::collections::BTreeSet;

use ai_proxy::cli::Cli;
use clap::{Arg, Command, CommandFactory};

use crate::pages::{quoted, read, rows};

fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    let hidden = ["help", "version"];
    command.get_arguments().filter(move |arg| !hidden.contains(&arg.get_id().as_str()))
}

fn long(arg: &Arg) -> String {
    format!("--{}", arg.get_long().expect("a flag has a name"))
}

#[test]
fn every_setting_is_described_with_its_variable_and_default() {
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve").unwrap();
    let known: BTreeSet<_> = flags(serve)
        .map(|arg| {
            let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
            let default: Vec<_> = (arg.get_default_values().iter())
                .map(|value| value.to_string_lossy().into_owned())
                .collect();
            (long(arg), variable.unwrap_or_default(), default.join(","))
        })
        .collect();
    let table = rows(&read("docs/configuration.md"), "Serving");
    let described: BTreeSet<_> = (table.iter().skip(1))
        .map(|row| {
            // A default in words stands for none: what happens without the flag.
            let [flag, variable, default] = [0, 1, 2].map(|n| quoted(&row[n]).join(","));
            (flag, variable, default)
        })
        .collect();
    assert_eq!(described, known);
}

/// The commands that do something, by their full names.
fn commands<'a>(command: &'a Command, name: String, found: &mut Vec<(String, &'a Command)>) {
    if !command.has_subcommands() {
        found.push((name, command));
        return;
    }
    for sub in command.get_subcommands() {
        commands(sub, format!("{name} {}", sub.get_name()), found);
    }
}

/// `ai-proxy apply FILE` without what is to be filled in.
fn without_arguments(usage: &str) -> String {
    let words: Vec<_> =
        usage.split(' ').take_while(|word| word.starts_with(char::is_lowercase)).collect();
    words.join(" ")
}

/// What several commands have; the text above the table tells of it.
const SHARED: [&str; 4] = ["--data-dir", "--database-url", "--owner", "--json"];

#[test]
fn every_command_is_described_with_its_flags() {
    let cli = Cli::command();
    let mut known = Vec::new();
    commands(&cli, "ai-proxy".into(), &mut known);
    let table = rows(&read("docs/configuration.md"), "Commands");
    let rows = &table[1..];
    assert_eq!(rows.len(), known.len());
    for (name, command) in known {
        let row = rows.iter().find(|row| without_arguments(quoted(&row[0])[0]) == name);
        let row = row.unwrap_or_else(|| panic!("{name} is not described"));
        let has_owner = command.get_arguments().any(|arg| arg.get_id() == "owner");
        assert_eq!(row[1].contains("as owner"), has_owner, "{name}");
        if name == "ai-proxy serve" {
            continue;
        }
        let own: BTreeSet<_> = (flags(command))
            .filter(|arg| !arg.is_positional() && !arg.is_hide_set())
            .map(long)
            .filter(|flag| !SHARED.contains(&&**flag) || name == "ai-proxy demo")
            .collect();
        let described = quoted(&row[2]).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(described, own, "{name}");
    }
}
