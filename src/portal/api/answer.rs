//! What the answers of all nouns share: a list, and a row as a write left it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::{self, Outcome};

/// Several of a noun.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Where there are more: what to ask for as the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub next: Option<String>,
    /// Rows that are missing because they cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<Unreadable>,
}

impl<T> List<T> {
    pub fn whole(items: impl IntoIterator<Item = T>) -> axum::Json<Self> {
        axum::Json(Self::page(items.into_iter().collect(), None))
    }

    pub fn page(items: Vec<T>, next: Option<String>) -> Self {
        Self { items, next, unreadable: Vec::new() }
    }
}

/// A stored row that cannot be read and is not served.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unreadable {
    id: String,
    name: String,
    /// What the owner should do.
    message: String,
}

impl From<&catalog::Unreadable> for Unreadable {
    fn from(row: &catalog::Unreadable) -> Self {
        Self { id: row.id.clone(), name: row.name.clone(), message: row.remedy() }
    }
}

/// What a write did.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Created,
    Updated,
    /// Everything was so already.
    Unchanged,
}

impl From<Outcome> for Change {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Created => Change::Created,
            Outcome::Updated => Change::Updated,
            Outcome::Unchanged => Change::Unchanged,
        }
    }
}

/// A row as a write left it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Saved<T> {
    pub change: Change,
    #[serde(flatten)]
    pub item: T,
}
