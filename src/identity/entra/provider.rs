//! What Entra publishes about itself, kept for half a day: its addresses and
//! the keys that it signs with. And the exchange of a code for an ID token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use super::authorization::error_code;
use super::journey::Ticket;
use crate::config::EntraSettings;
use crate::identity::fetch::{self, ProviderError};

const KEPT: Duration = Duration::from_secs(12 * 3600);

/// Between two fetches because of a key that is not known: a stranger's token
/// must not make us ask Entra each time.
const AGAIN: Duration = Duration::from_secs(30);

/// After a failure: nobody else waits meanwhile for what is not there.
const REST: Duration = Duration::from_secs(3);

/// In an issuer, what stands for the tenant where several may sign in.
const ANY_TENANT: &str = "{tenantid}";

/// Entra's word for tenants of companies and schools, whichever they are.
const ORGANIZATIONS: &str = "organizations";

/// What Entra publishes, as of one moment.
pub(super) struct ProviderMetadata {
    pub authorization_endpoint: Url,
    token_endpoint: Url,
    issuer: String,
    keys: Vec<Key>,
    at: Instant,
}

/// The public part of an RSA key (RFC 7517).
#[derive(Deserialize)]
pub(super) struct Key {
    kid: String,
    pub n: String,
    pub e: String,
    /// For whose tokens it is good; [`ANY_TENANT`] may stand in it.
    issuer: Option<String>,
}

impl ProviderMetadata {
    pub(super) fn key(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// The issuer of the tokens of a tenant.
    pub(super) fn issuer_of(&self, tenant: Uuid) -> String {
        self.issuer.replace(ANY_TENANT, &tenant.to_string())
    }
}

impl Key {
    pub(super) fn may_sign_for(&self, issuer: &str, tenant: Uuid) -> bool {
        let own = self.issuer.as_ref();
        own.is_none_or(|own| own.replace(ANY_TENANT, &tenant.to_string()) == issuer)
    }
}

pub(super) struct Provider {
    settings: Arc<EntraSettings>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    metadata: Option<Arc<ProviderMetadata>>,
    /// When it was last fetched because of an unknown key.
    asked_again: Option<Instant>,
    failed: Option<Instant>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

/// Keys of other kinds than ours are passed over.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// What comes back for a code: a token, or what was wrong (RFC 6749, 5.2).
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: Option<SecretString>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Provider {
    pub(super) fn new(settings: Arc<EntraSettings>) -> Self {
        Self { settings, cache: Mutex::default() }
    }

    /// What Entra publishes, from memory where that is fresh.
    pub(super) async fn metadata(&self) -> Result<Arc<ProviderMetadata>, ProviderError> {
        let mut cache = self.cache.lock().await;
        match &cache.metadata {
            Some(metadata) if metadata.at.elapsed() < KEPT => Ok(metadata.clone()),
            _ => self.fetch_into(&mut cache).await,
        }
    }

    /// What Entra publishes now that a key was not in `seen`; the same again
    /// where that was asked a moment ago.
    pub(super) async fn newer_than(
        &self,
        seen: &Arc<ProviderMetadata>,
    ) -> Result<Arc<ProviderMetadata>, ProviderError> {
        let mut cache = self.cache.lock().await;
        let is_soon = cache.asked_again.is_some_and(|at| at.elapsed() < AGAIN);
        match &cache.metadata {
            Some(metadata) if is_soon || !Arc::ptr_eq(metadata, seen) => Ok(metadata.clone()),
            _ => {
                cache.asked_again = Some(Instant::now());
                self.fetch_into(&mut cache).await
            }
        }
    }

    async fn fetch_into(&self, cache: &mut Cache) -> Result<Arc<ProviderMetadata>, ProviderError> {
        if cache.failed.is_some_and(|at| at.elapsed() < REST) {
            return Err(ProviderError::JustFailed { host: self.settings.authority.clone() });
        }
        let fetched = self.fetch().await;
        cache.failed = fetched.is_err().then(Instant::now);
        let metadata = Arc::new(fetched?);
        cache.metadata = Some(metadata.clone());
        Ok(metadata)
    }

    async fn fetch(&self) -> Result<ProviderMetadata, ProviderError> {
        let authority = &self.settings.authority;
        let tenant = match self.settings.tenants.as_slice() {
            [only] => only.to_string(),
            _ => ORGANIZATIONS.to_owned(),
        };
        let url = format!("{authority}/{tenant}/v2.0/.well-known/openid-configuration");
        let malformed = |what| ProviderError::Malformed { host: authority.clone(), what };
        let url: Url = url.parse().map_err(|_| malformed("address"))?;
        let discovery: Discovery = fetch::get(&url, "OpenID configuration").await?;
        // The secret goes to the token endpoint, and trust comes from the keys.
        let place = |text: &str| {
            let place = Url::parse(text).ok().filter(|place| place.origin() == url.origin());
            place.ok_or_else(|| malformed("OpenID configuration of that host"))
        };
        let set: KeySet = fetch::get(&place(&discovery.jwks_uri)?, "list of keys").await?;
        let keys = set.keys.into_iter().filter(|key| key["kty"] == "RSA" && key["use"] != "enc");
        Ok(ProviderMetadata {
            authorization_endpoint: place(&discovery.authorization_endpoint)?,
            token_endpoint: place(&discovery.token_endpoint)?,
            issuer: discovery.issuer,
            keys: keys.filter_map(|key| serde_json::from_value(key).ok()).collect(),
            at: Instant::now(),
        })
    }

    /// Exchanges the code that the browser brought back.
    pub(super) async fn redeem(
        &self,
        metadata: &ProviderMetadata,
        ticket: &Ticket,
        code: &SecretString,
    ) -> Result<SecretString, ProviderError> {
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("client_id", &self.settings.client_id.to_string())
            .append_pair("client_secret", self.settings.client_secret.expose_secret())
            .append_pair("code", code.expose_secret())
            .append_pair("redirect_uri", &ticket.redirect_uri)
            .append_pair("code_verifier", &ticket.verifier)
            .finish();
        let url = &metadata.token_endpoint;
        let (status, answer): (_, TokenAnswer) = fetch::post(url, form, "token answer").await?;
        match answer.id_token {
            Some(token) if status == StatusCode::OK => Ok(token),
            _ => {
                let error = answer.error.as_deref().unwrap_or_default();
                let description = answer.error_description.as_deref().unwrap_or_default();
                let reason = error_code(error, description);
                Err(ProviderError::Refused { host: fetch::host(url), status, reason })
            }
        }
    }
}
