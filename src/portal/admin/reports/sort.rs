//! The order of the reports, as the address has it: a column's word, after `-`
//! where the greatest comes first.

use std::cmp::Ordering;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::catalog::usage::overview::Overview;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Event,
    Owner,
    Start,
    Attendees,
    Requests,
    Errors,
    Tokens,
}

impl Column {
    pub const ALL: &[Column] = &[
        Column::Event,
        Column::Owner,
        Column::Start,
        Column::Attendees,
        Column::Requests,
        Column::Errors,
        Column::Tokens,
    ];

    fn word(self) -> &'static str {
        match self {
            Column::Event => "event",
            Column::Owner => "owner",
            Column::Start => "start",
            Column::Attendees => "attendees",
            Column::Requests => "requests",
            Column::Errors => "errors",
            Column::Tokens => "tokens",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Column::Event => "Event",
            Column::Owner => "Owner",
            Column::Start => "Start",
            Column::Attendees => "Attendees",
            Column::Requests => "Requests",
            Column::Errors => "Errors",
            Column::Tokens => "Tokens",
        }
    }

    pub fn is_number(self) -> bool {
        !matches!(self, Column::Event | Column::Owner | Column::Start)
    }

    fn compare(self, a: &Overview, b: &Overview) -> Ordering {
        let tokens = |event: &Overview| event.sum.prompt_tokens + event.sum.completion_tokens;
        match self {
            Column::Event => a.name.to_lowercase().cmp(&b.name.to_lowercase()),
            Column::Owner => a.owner.to_lowercase().cmp(&b.owner.to_lowercase()),
            Column::Start => a.starts_at.cmp(&b.starts_at),
            Column::Attendees => a.registered.cmp(&b.registered),
            Column::Requests => a.sum.requests.cmp(&b.sum.requests),
            Column::Errors => a.sum.errors.cmp(&b.sum.errors),
            Column::Tokens => tokens(a).cmp(&tokens(b)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    column: Column,
    is_descending: bool,
}

impl Default for Sort {
    /// The latest event first.
    fn default() -> Self {
        Self { column: Column::Start, is_descending: true }
    }
}

impl Sort {
    /// Events that are alike in the column keep their order.
    pub fn apply(self, events: &mut [Overview]) {
        events.sort_by(|a, b| {
            let order = self.column.compare(a, b);
            if self.is_descending { order.reverse() } else { order }
        });
    }

    /// What comes of a press on a column's heading.
    pub fn pressed(self, column: Column) -> Self {
        let first = Self { column, is_descending: column.is_number() || column == Column::Start };
        if self == first { Self { is_descending: !first.is_descending, ..first } } else { first }
    }

    /// What `aria-sort` says of a column.
    pub fn aria(self, column: Column) -> &'static str {
        match (self.column == column, self.is_descending) {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        }
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_descending { "-" } else { "" };
        write!(f, "{sign}{}", self.column.word())
    }
}

impl<'de> Deserialize<'de> for Sort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (is_descending, word) = match text.strip_prefix('-') {
            Some(word) => (true, word),
            None => (false, &*text),
        };
        let column = Column::ALL.iter().copied().find(|column| column.word() == word);
        let column = column.ok_or_else(|| D::Error::custom("no such column"))?;
        Ok(Self { column, is_descending })
    }
}
