//! Sums of usage over attendees and over operations, kept with every write of
//! it: what pages about a whole event are read from.

use std::collections::BTreeMap;

use super::{FIGURES, Figures, UsageKey};
use crate::catalog::Result;
use crate::db::{Tx, values};

/// Hours and days of every time zone begin with a quarter of an hour.
pub const QUARTER_MS: i64 = 15 * 60_000;

/// Rows of one statement, a power of two.
const ROWS: usize = 16;

struct Table {
    name: &'static str,
    /// Its key: texts, the event's id first, then the time.
    texts: &'static [&'static str],
    time: &'static str,
    figures: &'static [&'static str],
}

const BY_MINUTE: Table = Table {
    name: "usage_minute",
    texts: &["event_id", "resource_id", "operation", "name"],
    time: "minute",
    figures: &FIGURES,
};

const BY_ATTENDEE: Table = Table {
    name: "usage_attendee",
    texts: &["event_id", "attendee_id"],
    time: "quarter",
    figures: FIGURES.split_at(4).0,
};

type Sums<'a> = BTreeMap<(Vec<&'a str>, i64), Figures>;

/// Adds rows that are written to `usage` in the same transaction, after them and
/// in the order of keys. What belongs to no event is dropped.
pub async fn add_in<'a>(
    tx: &mut Tx,
    usage: impl Iterator<Item = (&'a UsageKey, &'a Figures)>,
) -> Result<()> {
    let (mut by_minute, mut by_attendee) = (Sums::new(), Sums::new());
    for (key, figures) in usage {
        let operation = vec![&*key.event_id, &*key.resource_id, &*key.operation, &*key.name];
        by_minute.entry((operation, key.minute)).or_default().add(figures);
        let quarter = key.minute - key.minute.rem_euclid(QUARTER_MS);
        let attendee = vec![&*key.event_id, &*key.attendee_id];
        by_attendee.entry((attendee, quarter)).or_default().add(figures);
    }
    for (table, sums) in [(BY_ATTENDEE, by_attendee), (BY_MINUTE, by_minute)] {
        let statement = statement(&table);
        for rows in sums.into_iter().collect::<Vec<_>>().chunks(ROWS) {
            add_rows(tx, &table, &statement, rows).await?;
        }
    }
    Ok(())
}

fn statement(table: &Table) -> impl Fn(usize) -> String {
    let Table { name, texts, time, figures } = table;
    let key = format!("{}, {time}", texts.join(", "));
    let columns = texts.len() + 1 + figures.len();
    let picked: Vec<_> = (1..=columns).map(|column| format!("column{column}")).collect();
    let add = |figure: &&str| format!("{figure} = {name}.{figure} + excluded.{figure}");
    let head = format!(
        "insert into {name} ({key}, {}) select {} from (values ",
        figures.join(", "),
        picked.join(", ")
    );
    let tail = format!(
        ") as added where exists (select 1 from event where event.id = column1)
         on conflict ({key}) do update set {}",
        figures.iter().map(add).collect::<Vec<_>>().join(", ")
    );
    move |rows| format!("{head}{}{tail}", values(columns, 1, rows))
}

async fn add_rows(
    tx: &mut Tx,
    table: &Table,
    statement: &impl Fn(usize) -> String,
    rows: &[((Vec<&str>, i64), Figures)],
) -> Result<()> {
    // Made up with rows of no event, the statement is of few lengths: it is
    // prepared once for each.
    let length = rows.len().next_power_of_two();
    let mut query = sqlx::query(sqlx::AssertSqlSafe(statement(length)));
    let nothing = ((vec![""; table.texts.len()], 0), Figures::default());
    for ((texts, time), figures) in rows.iter().chain(std::iter::repeat(&nothing)).take(length) {
        for text in texts {
            query = query.bind((*text).to_owned());
        }
        query = query.bind(*time);
        for figure in figures.columns().into_iter().take(table.figures.len()) {
            query = query.bind(figure);
        }
    }
    query.execute(&mut **tx).await?;
    Ok(())
}
