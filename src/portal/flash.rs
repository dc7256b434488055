//! What a write did, said once on the page that follows it.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Done,
    /// Done, but there is something to know.
    Note,
    Failed,
}

/// Kept sealed in the session in between, so it may hold what is shown once.
#[derive(Clone, Serialize, Deserialize)]
pub struct Flash {
    pub kind: Kind,
    pub text: String,
    /// A link or key to copy now; it is not shown again.
    pub secret: Option<String>,
}

impl Flash {
    pub fn done(text: impl Into<String>) -> Self {
        Self { kind: Kind::Done, text: text.into(), secret: None }
    }

    pub fn note(text: impl Into<String>) -> Self {
        Self { kind: Kind::Note, text: text.into(), secret: None }
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, text: text.into(), secret: None }
    }

    pub fn with_secret(self, secret: impl Into<String>) -> Self {
        Self { secret: Some(secret.into()), ..self }
    }

    pub fn class(&self) -> &'static str {
        match self.kind {
            Kind::Done => "done",
            Kind::Note => "note",
            Kind::Failed => "failed",
        }
    }
}

impl std::fmt::Debug for Flash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flash").field("kind", &self.kind).finish_non_exhaustive()
    }
}
