//! Adding many rows of figures to a table with few statements: a statement costs
//! the store far more than a row.

use std::collections::BTreeMap;

use super::{FIGURES, Figures, UsageKey};
use crate::catalog::Result;
use crate::db::{Parameters, Tx};

/// Rows of one statement, a power of two.
const ROWS: usize = 64;

/// A table of figures that are added up.
pub(super) struct Table {
    pub name: &'static str,
    /// Its key: texts, the event's id first, then the time.
    pub texts: &'static [&'static str],
    pub time: &'static str,
    /// The first of [`FIGURES`].
    pub figures: &'static [&'static str],
}

pub(super) const USAGE: Table = Table {
    name: "usage",
    texts: &["event_id", "attendee_id", "resource_id", "operation", "name"],
    time: "minute",
    figures: &FIGURES,
};

/// Figures by the texts and the time of their key.
pub(super) type Sums<'a> = BTreeMap<(Vec<&'a str>, i64), Figures>;

/// The rows of [`USAGE`].
pub(super) fn of_usage<'a>(usage: impl Iterator<Item = (&'a UsageKey, &'a Figures)>) -> Sums<'a> {
    let rows = usage.map(|(key, figures)| {
        let UsageKey { event_id, attendee_id, resource_id, operation, name, minute } = key;
        let texts: [&str; 5] = [event_id, attendee_id, resource_id, operation, name];
        ((texts.to_vec(), *minute), *figures)
    });
    rows.collect()
}

/// Attendees whose figures are taken; those of others are dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Events that exist.
    Present,
    /// Includes those that are hidden while they are restored.
    Hidden,
}

/// Adds figures to those that are there, in the order of keys.
pub(super) async fn add_rows(tx: &mut Tx, table: &Table, sums: Sums<'_>, of: Of) -> Result<()> {
    let sums: Vec<_> = sums.into_iter().collect();
    let nothing = ((vec![""; table.texts.len()], 0), Figures::default());
    for rows in sums.chunks(ROWS) {
        // Made up with rows of no event, the statement is of few lengths: it is
        // prepared once for each.
        let length = rows.len().next_power_of_two();
        let mut query = sqlx::query(sqlx::AssertSqlSafe(statement(tx, table, length, of)));
        for ((texts, time), figures) in rows.iter().chain(std::iter::repeat(&nothing)).take(length)
        {
            for text in texts {
                query = query.bind((*text).to_owned());
            }
            query = query.bind(*time);
            for figure in figures.columns().into_iter().take(table.figures.len()) {
                query = query.bind(figure);
            }
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

fn statement(tx: &Tx, table: &Table, rows: usize, of: Of) -> String {
    let Table { name, texts, time, figures } = table;
    let key = format!("{}, {time}", texts.join(", "));
    let columns = texts.len() + 1 + figures.len();
    let picked: Vec<_> = (1..=columns).map(|column| format!("column{column}")).collect();
    let add = |figure: &&str| format!("{figure} = {name}.{figure} + excluded.{figure}");
    format!(
        "insert into {name} ({key}, {}) select {} from (values {}) as added
         where exists (select 1 from event where event.id = column1{})
         on conflict ({key}) do update set {}",
        figures.join(", "),
        picked.join(", "),
        Parameters::on(tx).rows(columns, rows),
        if of == Of::Present { " and event.purge_at is null" } else { "" },
        figures.iter().map(add).collect::<Vec<_>>().join(", ")
    )
}
