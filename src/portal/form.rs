//! Forms: fields as they were typed, and what is wrong with each.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use super::body;
use super::error::PageError;
use crate::catalog;

/// The fields of a POST. Use `String` for what people type, `Vec<String>` with
/// `#[serde(default)]` for what may be given several times, `Option<String>` for
/// check boxes, and `SecretString` for what must not be shown again.
pub struct Form<T>(pub T);

impl<T, S> FromRequest<S> for Form<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let (head, body) = request.into_parts();
        let fields = body::read(Request::from_parts(head.clone(), body)).await?;
        if has_nul(&fields) {
            return Err(PageError::Nul);
        }
        let whole = Request::from_parts(head, Body::from(fields));
        match axum_extra::extract::Form::from_request(whole, state).await {
            Ok(axum_extra::extract::Form(fields)) => Ok(Form(fields)),
            Err(rejection) => {
                // Not its text, which may quote what was typed.
                tracing::debug!(status = %rejection.status(), "a form could not be read");
                Err(PageError::BadForm)
            }
        }
    }
}

/// Whether a field holds a NUL character, which nobody types and PostgreSQL takes in
/// no text, not even to look for it. Of the fields as sent: a percent sign that was
/// typed is `%25` there.
fn has_nul(fields: &[u8]) -> bool {
    fields.contains(&0) || fields.windows(3).any(|three| three == b"%00")
}

/// What is wrong, by field.
#[derive(Debug, Default)]
pub struct Problems(Vec<(&'static str, String)>);

impl Problems {
    pub fn none() -> Self {
        Self::default()
    }

    /// `reason` follows the field's label: "is required".
    pub fn one(field: &'static str, reason: impl Into<String>) -> Self {
        Self(vec![(field, reason.into())])
    }

    /// One is enough for a field: what comes later is not added.
    pub fn add(&mut self, field: &'static str, reason: impl Into<String>) {
        if self.of(field).is_empty() {
            self.0.push((field, reason.into()));
        }
    }

    /// The problem of a field; empty where there is none.
    pub fn of(&self, field: &str) -> &str {
        self.0.iter().find(|(name, _)| *name == field).map_or("", |(_, reason)| reason)
    }

    /// Forgets those of all other fields.
    pub fn keep(&mut self, fields: &[&str]) {
        self.0.retain(|(field, _)| fields.contains(field));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What the catalog found wrong with a field. Any other error is passed on.
    pub fn from_error(error: catalog::Error) -> Result<Self, PageError> {
        match error {
            catalog::Error::Invalid { field, reason } => Ok(Self::one(field, reason)),
            other => Err(other.into()),
        }
    }
}
