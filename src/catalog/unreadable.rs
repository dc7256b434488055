//! Rows that cannot be read: altered, moved, sealed with a lost key, or written
//! by rules that no longer hold. One such row is left out and reported to its
//! owner; it must not take the others with it.

use super::{Error, Noun};

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub noun: Noun,
    pub id: String,
    pub owner_id: String,
    /// An event's name, a resource's deployment name.
    pub name: String,
    /// For the operator: what is wrong with it.
    pub reason: String,
}

/// Rows that could be read, and rows that could not.
#[derive(Debug)]
pub struct Rows<T> {
    pub read: Vec<T>,
    pub unreadable: Vec<Unreadable>,
}

impl<T> Rows<T> {
    /// Sorts rows by whether they could be read.
    pub(super) fn of(rows: impl Iterator<Item = Result<T, Unreadable>>) -> Self {
        let mut sorted = Self { read: Vec::new(), unreadable: Vec::new() };
        for row in rows {
            match row {
                Ok(row) => sorted.read.push(row),
                Err(row) => sorted.unreadable.push(row),
            }
        }
        sorted
    }

    /// The only row that was asked for, if it is there.
    ///
    /// # Errors
    /// [`Error::Conflict`] with what to do where it cannot be read.
    pub fn one(mut self) -> Result<Option<T>, Error> {
        match self.unreadable.pop() {
            Some(row) => Err(Error::Conflict { reason: row.remedy() }),
            None => Ok(self.read.pop()),
        }
    }
}

impl Unreadable {
    /// For its owner: what is wrong, and what to do.
    pub fn remedy(&self) -> String {
        let Self { noun, name, .. } = self;
        format!(
            "the stored {noun} \"{name}\" cannot be read and is not served; enter {} again \
             with `ai-proxy apply` or the API, or delete it and create it again",
            self.lost()
        )
    }

    /// What has to be entered again.
    pub fn lost(&self) -> &'static str {
        match self.noun {
            Noun::Resource => "its endpoint URL and backend key",
            _ => "all its fields",
        }
    }
}
