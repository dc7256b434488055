//! What a code and a refresh token give, and how a client ends what it was allowed.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::client::ClientId;
use super::error::{Code, OauthError};
use super::parameters::Parameters;
use super::{Oauth, SCOPE, pkce};
use crate::catalog::oauth::{self, ACCESS_MS, AuthorizationCode, Grant, TokenPair};
use crate::oauth::audience::Audience;

/// Why a request got no tokens.
#[derive(Debug, PartialEq, Eq)]
pub enum NoTokens {
    /// Nobody has this code or token, or no longer.
    Unknown,
    Refused(OauthError),
}

impl From<OauthError> for NoTokens {
    fn from(error: OauthError) -> Self {
        NoTokens::Refused(error)
    }
}

impl NoTokens {
    /// What the client is told, which opens a browser then.
    pub fn told(self) -> OauthError {
        match self {
            NoTokens::Unknown => {
                invalid_grant("This code or token is not known, or no longer valid. Sign in again.")
            }
            NoTokens::Refused(error) => error,
        }
    }
}

impl Oauth {
    /// Answers a form of the token endpoint.
    ///
    /// # Errors
    /// It got no tokens.
    pub async fn tokens(&self, form: &[u8]) -> Result<Value, NoTokens> {
        let form = Parameters::read(form);
        let tokens = match form.required("grant_type", "The grant_type is missing.")? {
            "authorization_code" => self.redeem(&form).await?,
            "refresh_token" => self.refresh(&form).await?,
            _ => {
                let description = "The grant_type is authorization_code or refresh_token.";
                return Err(OauthError::new(Code::UnsupportedGrantType, description).into());
            }
        };
        let tokens = tokens.ok_or(NoTokens::Unknown)?;
        Ok(json!({
            "access_token": tokens.access.expose_secret(),
            "token_type": "Bearer",
            "expires_in": ACCESS_MS / 1000,
            "refresh_token": tokens.refresh.expose_secret(),
            "scope": SCOPE,
        }))
    }

    async fn redeem(&self, form: &Parameters) -> Result<Option<TokenPair>, OauthError> {
        let code = form.required("code", "The code is missing.")?;
        let missing = "The code_verifier is missing: PKCE is needed here.";
        let verifier = form.required("code_verifier", missing)?;
        let (client_id, redirect_uri) = (client_id(form)?, form.one("redirect_uri")?);
        let allow = |stored: &AuthorizationCode| {
            self.check(&stored.grant, client_id, form)?;
            // OAuth 2.1 has no redirect URI here any more, and earlier clients send it.
            if redirect_uri.is_some_and(|sent| sent != stored.redirect_uri) {
                return Err(invalid_grant("The redirect_uri is not the one of the authorization."));
            }
            if !pkce::is_verified(&stored.challenge, verifier) {
                return Err(invalid_grant("The code_verifier does not belong to the code."));
            }
            Ok(())
        };
        oauth::redeem(&self.db, &self.vault, code, self.clock.now_ms(), allow).await
    }

    async fn refresh(&self, form: &Parameters) -> Result<Option<TokenPair>, OauthError> {
        let token = form.required("refresh_token", "The refresh_token is missing.")?;
        let client_id = client_id(form)?;
        let allow = |grant: &Grant| self.check(grant, client_id, form);
        oauth::rotate(&self.db, &self.vault, token, self.clock.now_ms(), allow).await
    }

    /// Ends what the client of a token was allowed (RFC 7009).
    ///
    /// # Errors
    /// There is no token in the form, or it is another client's.
    pub async fn revoke(&self, form: &[u8]) -> Result<(), OauthError> {
        let form = Parameters::read(form);
        let token = form.required("token", "The token is missing.")?;
        // Whoever holds the token could use it as well.
        let client_id = form.one("client_id")?;
        oauth::revoke(&self.db, &self.vault, token, |grant| match client_id {
            Some(id) if id != grant.client_id => Err(another_clients()),
            _ => Ok(()),
        })
        .await
    }

    /// Whether the client may have tokens of the grant at this moment. It may while the event is paused
    /// or has not begun, and while the attendee is switched off: that ends nothing.
    fn check(&self, grant: &Grant, client_id: &str, form: &Parameters) -> Result<(), OauthError> {
        if client_id != grant.client_id {
            return Err(another_clients());
        }
        // The name decides: the address may have changed since.
        let audience = Audience::of(&form.all("resource"), |_| true).ok();
        let is_same = audience.is_some_and(|audience| match (&grant.deployment, &audience) {
            (Some(granted), Audience::Deployment(asked)) => asked == granted,
            _ => true,
        });
        if !is_same {
            return Err(invalid_grant("The token is for another resource. Sign in again."));
        }
        let snapshot = self.snapshot.load();
        let event = snapshot.events.get(&grant.event_id);
        let Some(event) = event.filter(|event| self.clock.now_ms() <= event.ends_at) else {
            return Err(invalid_grant("The event has ended."));
        };
        let code = event.shared_code.as_ref().map(ExposeSecret::expose_secret);
        if !grant.stands_with(&self.vault, code) {
            return Err(invalid_grant("The event's shared code has changed. Sign in again."));
        }
        Ok(())
    }
}

/// Who the client says it is.
fn client_id(form: &Parameters) -> Result<&str, OauthError> {
    let id = form.one("client_id")?;
    id.filter(|id| ClientId::parse(id).is_some()).ok_or_else(|| {
        let description =
            "This client is not known here. Register again, at the registration endpoint.";
        OauthError::new(Code::InvalidClient, description)
    })
}

fn another_clients() -> OauthError {
    invalid_grant("The code or token was given to another client.")
}

fn invalid_grant(description: &'static str) -> OauthError {
    OauthError::new(Code::InvalidGrant, description)
}
