//! What a write did, said once on the page that follows it.

use serde::{Deserialize, Serialize};

/// Kept sealed in the session in between, so it may hold what is shown once.
#[derive(Clone, Serialize, Deserialize)]
pub struct Flash {
    pub text: String,
    /// A link to copy now; it is not shown again.
    pub secret: Option<String>,
}

impl Flash {
    pub fn done(text: impl Into<String>) -> Self {
        Self { text: text.into(), secret: None }
    }

    pub fn with_secret(self, secret: impl Into<String>) -> Self {
        Self { secret: Some(secret.into()), ..self }
    }
}

impl std::fmt::Debug for Flash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flash").finish_non_exhaustive()
    }
}
