//! Another proxy's catalog, by its JSON API.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Position, Url};

use super::error::ApplyError;
use super::stored::{StoredEvent, StoredResource};
use crate::catalog::{Outcome, Saved, event, resource};
use crate::net::EndpointPolicy;
use crate::net::client::{self, ExchangeError, Limits};

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(10),
    answer: Duration::from_secs(30),
    // Far more than the events of one owner take.
    largest: 16 * 1024 * 1024,
};

/// Which proxy, and the token it is asked with.
#[derive(Args, Debug)]
pub(super) struct ServerArgs {
    /// Apply the file to the proxy at this address, in place of the store on this machine
    #[arg(long, value_name = "URL", conflicts_with = "owner")]
    server: Option<Url>,

    /// API token; other users of this machine can read it in the list of processes, so prefer
    /// the variable or a file
    #[arg(long, env = "AI_PROXY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<SecretString>,

    /// File with the API token, in place of the others
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
}

impl ServerArgs {
    /// The proxy that is meant, if it is another one.
    pub(super) fn remote(self) -> anyhow::Result<Option<Remote>> {
        let Some(server) = self.server else { return Ok(None) };
        let is_http = matches!(server.scheme(), "http" | "https") && server.host().is_some();
        ensure!(is_http, "--server must be an address such as https://proxy.example.org");
        let token = match (self.token, self.token_file) {
            (_, Some(file)) => {
                let text = std::fs::read_to_string(&file);
                let text = zeroize::Zeroizing::new(
                    text.with_context(|| format!("the file {} cannot be read", file.display()))?,
                );
                SecretString::from(text.trim_end())
            }
            (Some(token), None) => token,
            (None, None) => bail!(
                "there is no token for {server}; make one in its portal, at Account, API tokens, \
                 and set AI_PROXY_TOKEN"
            ),
        };
        let authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
        let mut authorization =
            authorization.context("the token is not one: copy it again, without line breaks")?;
        authorization.set_sensitive(true);
        Ok(Some(Remote { server, authorization }))
    }
}

/// A proxy elsewhere.
pub(super) struct Remote {
    server: Url,
    authorization: HeaderValue,
}

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}

/// A new event as the API takes it.
#[derive(Serialize)]
struct EventFields<'a> {
    id: Option<&'a str>,
    #[serde(flatten)]
    draft: &'a event::Draft,
    active: bool,
}

#[derive(Deserialize)]
struct Written {
    id: String,
    change: String,
}

#[derive(Deserialize)]
struct Problem {
    error: Cause,
}

#[derive(Deserialize)]
struct Cause {
    code: String,
    message: String,
    field: Option<String>,
}

impl Remote {
    pub(super) async fn resources(&self) -> Result<Vec<StoredResource>, ApplyError> {
        let List { items } = self.call(Method::GET, "/resources", None).await?;
        Ok(items)
    }

    pub(super) async fn events(&self) -> Result<Vec<StoredEvent>, ApplyError> {
        let List { items } = self.call(Method::GET, "/events", None).await?;
        Ok(items)
    }

    pub(super) async fn save_resource(
        &self,
        id: Option<&str>,
        changes: &resource::Changes,
    ) -> Result<Saved, ApplyError> {
        self.save("/resources", id, changes).await
    }

    pub(super) async fn create_event(&self, draft: &event::Draft) -> Result<Saved, ApplyError> {
        let id = draft.id.as_deref();
        self.save("/events", None, EventFields { id, draft, active: draft.active }).await
    }

    pub(super) async fn update_event(
        &self,
        id: &str,
        changes: &event::Changes,
    ) -> Result<Saved, ApplyError> {
        self.save("/events", Some(id), changes).await
    }

    async fn save(
        &self,
        noun: &str,
        id: Option<&str>,
        fields: impl Serialize,
    ) -> Result<Saved, ApplyError> {
        let body = serde_json::to_value(fields).map_err(anyhow::Error::from)?;
        let (method, path) = match id {
            None => (Method::POST, noun.to_owned()),
            Some(id) => (Method::PATCH, format!("{noun}/{id}")),
        };
        let Written { id, change } = self.call(method, &path, Some(body)).await?;
        let outcomes = [Outcome::Created, Outcome::Updated, Outcome::Unchanged];
        let outcome = outcomes.into_iter().find(|outcome| outcome.as_str() == change);
        let outcome = outcome.ok_or_else(|| self.odd())?;
        Ok(Saved { id, outcome })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, ApplyError> {
        let is_change = method == Method::PATCH;
        let (status, answer) = self.exchange(method, path, body).await?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&answer).map_err(|_| self.odd())?);
        }
        let Ok(Problem { error }) = serde_json::from_slice(&answer) else {
            return Err(anyhow!("{}; it answered {status}", self.odd()).into());
        };
        match (error.field, error.code.as_str()) {
            (Some(field), _) => {
                let reason = error.message.strip_prefix(&format!("{field}: "));
                let reason = reason.unwrap_or(&error.message).to_owned();
                Err(ApplyError::Invalid { field, reason })
            }
            (None, "not_found") if is_change => Err(ApplyError::gone()),
            (None, "conflict") => Err(ApplyError::Conflict(error.message)),
            (None, _) => Err(anyhow!("{} refused: {}", self.server, error.message).into()),
        }
    }

    fn odd(&self) -> anyhow::Error {
        anyhow!("{} does not answer as an AI Proxy does; is the address right?", self.server)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let prefix = self.server[Position::BeforePath..Position::AfterPath].trim_end_matches('/');
        let path = format!("{prefix}{}{path}", crate::portal::api::BASE);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = client::request(&self.server, &path, method, body)?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, self.authorization.clone());
        let answer = client::exchange(&self.server, EndpointPolicy::Any, &LIMITS, request).await;
        let answer = answer.map_err(|error| match error {
            ExchangeError::BrokenOff => anyhow!("{} broke off its answer", self.server),
            ExchangeError::Late(cause) => {
                anyhow::Error::new(cause).context(format!("{} did not answer in time", self.server))
            }
            cause => {
                anyhow::Error::new(cause).context(format!("{} cannot be reached", self.server))
            }
        })?;
        Ok((answer.status(), answer.into_body()))
    }
}
