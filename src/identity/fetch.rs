//! One HTTP exchange with an identity provider, Microsoft or GitHub. Redirects are not followed:
//! the client secret goes where the settings say and nowhere else.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use crate::net::EndpointPolicy;
use crate::net::client::{self, ClientError, ExchangeError, Limits};

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(10),
    // Ten times what the documents of either take.
    largest: 256 * 1024,
};

/// Why there is no answer. For the log: it names no secret.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error("{host} cannot be reached ({code})")]
    Unreachable { host: String, code: &'static str },
    #[error("{host} failed a moment ago and is not asked yet")]
    JustFailed { host: String },
    #[error("{host} did not answer in time, or not with HTTP of a reasonable size")]
    Broken { host: String },
    #[error("{host} answered {} {reason}", status.as_u16())]
    Refused { host: String, status: StatusCode, reason: String },
    #[error("{host} answered with what is no {what}")]
    Malformed { host: String, what: &'static str },
}

/// Reads a JSON document; `what` names it in errors.
pub(super) async fn get<T: DeserializeOwned>(
    url: &Url,
    what: &'static str,
) -> Result<T, ProviderError> {
    read(url, None, what).await
}

/// The same for a document that only whoever holds the access token can read.
pub(super) async fn get_with<T: DeserializeOwned>(
    url: &Url,
    token: &SecretString,
    what: &'static str,
) -> Result<T, ProviderError> {
    read(url, Some(token), what).await
}

async fn read<T: DeserializeOwned>(
    url: &Url,
    token: Option<&SecretString>,
    what: &'static str,
) -> Result<T, ProviderError> {
    let (status, body) = exchange(url, Method::GET, Bytes::new(), token).await?;
    if status != StatusCode::OK {
        return Err(ProviderError::Refused { host: host(url), status, reason: String::new() });
    }
    parse(url, what, &body)
}

/// Sends a form, whose fields may be secret, and reads the JSON that comes
/// back, with a status that says whether it is good news.
pub(super) async fn post<T: DeserializeOwned>(
    url: &Url,
    form: String,
    what: &'static str,
) -> Result<(StatusCode, T), ProviderError> {
    let (status, body) = exchange(url, Method::POST, form.into(), None).await?;
    Ok((status, parse(url, what, &body)?))
}

fn parse<T: DeserializeOwned>(
    url: &Url,
    what: &'static str,
    body: &[u8],
) -> Result<T, ProviderError> {
    serde_json::from_slice(body).map_err(|_| ProviderError::Malformed { host: host(url), what })
}

pub(super) fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

async fn exchange(
    url: &Url,
    method: Method,
    body: Bytes,
    token: Option<&SecretString>,
) -> Result<(StatusCode, Bytes), ProviderError> {
    let unreachable = |code: &'static str| ProviderError::Unreachable { host: host(url), code };
    let is_form = method == Method::POST;
    let request = client::request(url, client::path_and_query(url), method, body);
    let mut request = request.map_err(|_| unreachable(ClientError::BadUrl.code()))?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    // GitHub answers nobody who does not say what they are.
    headers.insert(USER_AGENT, HeaderValue::from_static("ai-proxy"));
    if let Some(token) = token {
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
        let mut value =
            value.map_err(|_| ProviderError::Malformed { host: host(url), what: "token" })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if is_form {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, kind);
    }
    // The operator chose the address, not an organiser.
    let answer = client::exchange(url, EndpointPolicy::Any, &LIMITS, request).await;
    let answer = answer.map_err(|error| match error {
        ExchangeError::Connect(error) => unreachable(error.code()),
        _ => ProviderError::Broken { host: host(url) },
    })?;
    Ok((answer.status(), answer.into_body()))
}
