//! Why an entry of a workshop file could not be applied, or the rows there not be read.

use crate::catalog::Error;

pub enum ApplyError {
    Invalid { field: String, reason: String },
    Conflict(String),
    Other(anyhow::Error),
}

impl ApplyError {
    /// It was there when the file was looked at.
    pub fn gone() -> Self {
        ApplyError::Conflict("it was deleted meanwhile; apply the file again".to_owned())
    }
}

impl From<Error> for ApplyError {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { field, reason } => ApplyError::Invalid { field: field.into(), reason },
            Error::Conflict { reason } => ApplyError::Conflict(reason),
            Error::NotFound { .. } => ApplyError::gone(),
            error => ApplyError::Other(error.into()),
        }
    }
}

impl From<anyhow::Error> for ApplyError {
    fn from(error: anyhow::Error) -> Self {
        ApplyError::Other(error)
    }
}

/// Where a refusal is about no entry of the file.
impl From<ApplyError> for anyhow::Error {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Invalid { field, reason } => anyhow::anyhow!("{field}: {reason}"),
            ApplyError::Conflict(reason) => anyhow::anyhow!(reason),
            ApplyError::Other(error) => error,
        }
    }
}
