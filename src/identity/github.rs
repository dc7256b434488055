//! Signing in with GitHub, for attendees: OAuth's authorization code flow with PKCE.
//!
//! [`Identity::begin_github`] says where to send the browser and what it must keep meanwhile
//! ([`ticket`](super::ticket)); [`Identity::finish_github`] takes it back: once, in the same browser, with a code that
//! GitHub (`provider`) exchanges for a token. The token is used to ask who it is, and dropped. Whether
//! the person may join the event is the catalog's business.

mod journey;
mod provider;

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::SecretString;

pub(crate) use self::journey::Journey;
use self::journey::Ticket;
use self::provider::Provider;
use super::throttle::{Bucket, Wait};
use super::{Identity, fetch};
use crate::catalog;
use crate::catalog::sign_in_state;
use crate::config::GitHubSettings;

/// GitHub, where people can sign in with it.
pub struct GitHub {
    provider: Provider,
}

impl GitHub {
    pub fn new(settings: GitHubSettings) -> Self {
        Self { provider: Provider::new(settings) }
    }
}

/// A sign-in that has begun.
pub struct GitHubRequest {
    /// Where to send the browser.
    pub url: String,
    /// What the browser keeps until it is back.
    pub ticket: String,
}

/// What the browser brings back.
pub struct GitHubResponse<'a> {
    pub ticket: &'a str,
    pub state: &'a str,
    pub code: Option<&'a SecretString>,
    pub error: Option<&'a str>,
    pub source: IpAddr,
}

/// Somebody, as GitHub says who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHubAccount {
    /// It never changes and is never given to somebody else, as the login is.
    pub id: u64,
    /// Their name, or their login where they have not said one.
    pub name: String,
}

/// Why nobody was signed in.
#[derive(Debug)]
pub enum GitHubRefusal {
    /// The way back is not that of a sign-in that this browser has begun, or it came a second time, or
    /// too late.
    Stale,
    /// The person changed their mind.
    Cancelled,
    /// GitHub let them through to nothing, for a reason with this code.
    Denied(String),
    /// The code was used already, or is too old, or another browser asked for it.
    CodeRefused,
    /// GitHub does not answer, or not as it should. The log says more.
    Unavailable,
    Throttled(Wait),
    Catalog(catalog::Error),
}

impl From<catalog::Error> for GitHubRefusal {
    fn from(error: catalog::Error) -> Self {
        GitHubRefusal::Catalog(error)
    }
}

impl From<fetch::ProviderError> for GitHubRefusal {
    fn from(error: fetch::ProviderError) -> Self {
        tracing::warn!(reason = %error, "nobody can sign in with GitHub");
        GitHubRefusal::Unavailable
    }
}

impl Identity {
    /// Whether people can sign in with GitHub.
    pub fn has_github(&self) -> bool {
        self.github.is_some()
    }

    /// Begins a sign-in that comes back to `redirect_uri`; `None` where nobody can sign in
    /// this way. It writes nothing.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn begin_github(
        &self,
        redirect_uri: String,
        journey: Journey,
    ) -> catalog::Result<Option<GitHubRequest>> {
        let Some(github) = &self.github else { return Ok(None) };
        let ticket = Ticket::new(redirect_uri, journey, self.clock.now_ms())?;
        let url = github.provider.authorize(&ticket);
        Ok(Some(GitHubRequest { url, ticket: ticket.seal(&self.vault)? }))
    }

    /// What a browser has begun to sign in for, as long as it can be finished.
    pub fn github_journey(&self, ticket: &str) -> Option<Journey> {
        Some(Ticket::open(&self.vault, ticket, self.clock.now_ms())?.journey)
    }

    /// Ends a sign-in: who it is. Whatever comes of it, it cannot come back again.
    pub async fn finish_github(
        &self,
        back: GitHubResponse<'_>,
    ) -> Result<GitHubAccount, GitHubRefusal> {
        let now = self.clock.now_ms();
        let github = self.github.as_ref().ok_or(GitHubRefusal::Stale)?;
        let ticket = Ticket::open(&self.vault, back.ticket, now).ok_or(GitHubRefusal::Stale)?;
        if verify_slices_are_equal(ticket.state.as_bytes(), back.state.as_bytes()).is_err() {
            return Err(GitHubRefusal::Stale);
        }
        // Only codes that GitHub refuses stay counted: they would use up its patience with everybody.
        let buckets = [Bucket::github(back.source)];
        self.throttle.attempt(&buckets, now).map_err(GitHubRefusal::Throttled)?;
        let account = self.who(github, &ticket, &back).await;
        if !matches!(account, Err(GitHubRefusal::CodeRefused)) {
            self.throttle.forgive(&buckets);
        }
        account
    }

    async fn who(
        &self,
        github: &GitHub,
        ticket: &Ticket,
        back: &GitHubResponse<'_>,
    ) -> Result<GitHubAccount, GitHubRefusal> {
        let now = self.clock.now_ms();
        if !sign_in_state::spend(&self.db, &ticket.state, ticket.expires_at, now).await? {
            return Err(GitHubRefusal::Stale);
        }
        match (back.error, back.code) {
            (Some("access_denied"), _) => Err(GitHubRefusal::Cancelled),
            (Some(error), _) => {
                let code = provider::error_code(error);
                tracing::warn!(code, "GitHub let somebody through to nothing");
                Err(GitHubRefusal::Denied(code))
            }
            (None, None) => Err(GitHubRefusal::Stale),
            (None, Some(code)) => {
                let token = github.provider.redeem(ticket, code).await?;
                let token = token.ok_or(GitHubRefusal::CodeRefused)?;
                Ok(github.provider.account(&token).await?)
            }
        }
    }
}
