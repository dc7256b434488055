//! GitHub on the wire: where the browser is sent, the exchange of a code, and who a token is of.
//!
//! The token endpoint answers errors with status 200; what is in the answer decides.

use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::GitHubAccount;
use super::journey::Ticket;
use crate::config::GitHubSettings;
use crate::identity::fetch::{self, ProviderError};
use crate::oauth::pkce;

/// The error of a code that was used already, has expired, or was asked for by somebody else.
const BAD_CODE: &str = "bad_verification_code";

pub(super) struct Provider {
    settings: GitHubSettings,
}

/// What comes back for a code: a token, or what was wrong.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<SecretString>,
    error: Option<String>,
}

/// Of `GET /user`, what is used.
#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
}

impl Provider {
    pub(super) fn new(settings: GitHubSettings) -> Self {
        Self { settings }
    }

    /// Where the browser is sent. No scope is asked for: who somebody is, is public.
    pub(super) fn authorize(&self, ticket: &Ticket) -> String {
        let query = Serializer::new(String::new())
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &ticket.redirect_uri)
            .append_pair("state", &ticket.state)
            .append_pair("code_challenge", &pkce::challenge(&ticket.verifier))
            .append_pair("code_challenge_method", "S256")
            // Computers in a room are shared: whoever sits there chooses whose account it is.
            .append_pair("prompt", "select_account")
            .finish();
        format!("{}/login/oauth/authorize?{query}", self.settings.url)
    }

    /// Exchanges the code that the browser brought back; `None` where GitHub refuses it.
    pub(super) async fn redeem(
        &self,
        ticket: &Ticket,
        code: &SecretString,
    ) -> Result<Option<SecretString>, ProviderError> {
        let form = Serializer::new(String::new())
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("client_secret", self.settings.client_secret.expose_secret())
            .append_pair("code", code.expose_secret())
            .append_pair("redirect_uri", &ticket.redirect_uri)
            .append_pair("code_verifier", &ticket.verifier)
            .finish();
        let url = address(&format!("{}/login/oauth/access_token", self.settings.url))?;
        let (status, answer): (_, TokenAnswer) = fetch::post(&url, form, "token answer").await?;
        match (answer.access_token, answer.error.as_deref()) {
            (Some(token), None) if status == StatusCode::OK => Ok(Some(token)),
            (_, Some(BAD_CODE)) => Ok(None),
            (_, error) => {
                let reason = error_code(error.unwrap_or_default());
                Err(ProviderError::Refused { host: fetch::host(&url), status, reason })
            }
        }
    }

    /// Whose token it is.
    pub(super) async fn account(
        &self,
        token: &SecretString,
    ) -> Result<GitHubAccount, ProviderError> {
        let url = address(&format!("{}/user", self.settings.api))?;
        let user: User = fetch::get_with(&url, token, "account").await?;
        let name = user.name.filter(|name| !name.trim().is_empty());
        Ok(GitHubAccount { id: user.id, name: name.unwrap_or(user.login) })
    }
}

fn address(url: &str) -> Result<Url, ProviderError> {
    url.parse().map_err(|_| ProviderError::Malformed { host: url.to_owned(), what: "address" })
}

/// The code of an error: what may be shown and logged of a text that comes by way of the browser.
pub(super) fn error_code(error: &str) -> String {
    error.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(64).collect()
}
