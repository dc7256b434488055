//! What commands print: tables for people, JSON for scripts.

use std::io::{self, Write};

use clap::Args;
use serde::Serialize;

use crate::catalog::Unreadable;

/// The choice that every command offers to scripts.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints text on stdout. A reader that has gone, as `head` does, is no error.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Prints one line on stdout.
pub(super) fn line(text: &str) -> io::Result<()> {
    print(&format!("{text}\n"))
}

/// Prints a JSON document on stdout.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(line(&serde_json::to_string_pretty(value)?)?)
}

/// Names rows that are missing from a list on stderr, and says what to do.
pub(super) fn unreadable<'a>(rows: impl Iterator<Item = &'a Unreadable>) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    for row in rows {
        writeln!(stderr, "{}", row.remedy().replace(char::is_control, " "))?;
    }
    Ok(())
}

/// UTC milliseconds as RFC 3339.
pub(super) fn instant(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).map(|at| at.to_string()).unwrap_or_default()
}

/// Rows under headings, in columns as wide as they need to be.
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_uppercase)] }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        // A name must not steer the terminal that it is shown on.
        self.rows.push(cells.map(|cell| cell.replace(char::is_control, " ")));
    }

    pub(super) fn print(&self) -> io::Result<()> {
        print(&self.to_text())
    }

    fn to_text(&self) -> String {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max();
        let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or_default());
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["id", "name"]);
        table.row(["a1b2-c3d4".into(), "Übung\u{1b}[31m".into()]);
        table.row(["x".into(), String::new()]);
        assert_eq!(table.to_text(), "ID         NAME\na1b2-c3d4  Übung [31m\nx\n");
    }
}
