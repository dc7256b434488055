//! One HTTP exchange with the identity provider. Redirects are not followed:
//! the client secret goes where the settings say and nowhere else.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde::de::DeserializeOwned;
use url::Url;

use crate::config::EndpointPolicy;
use crate::probe::{Target, connect};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Ten times what Entra's documents take.
const LARGEST_ANSWER: usize = 256 * 1024;

/// Why there is no answer. For the log: it names no secret.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
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
pub async fn get<T: DeserializeOwned>(url: &Url, what: &'static str) -> Result<T, Failure> {
    let (status, body) = exchange(url, Method::GET, Bytes::new()).await?;
    if status != StatusCode::OK {
        return Err(Failure::Refused { host: host(url), status, reason: String::new() });
    }
    parse(url, what, &body)
}

/// Sends a form, whose fields may be secret, and reads the JSON that comes
/// back, with a status that says whether it is good news.
pub async fn post<T: DeserializeOwned>(
    url: &Url,
    form: String,
    what: &'static str,
) -> Result<(StatusCode, T), Failure> {
    let (status, body) = exchange(url, Method::POST, form.into()).await?;
    Ok((status, parse(url, what, &body)?))
}

fn parse<T: DeserializeOwned>(url: &Url, what: &'static str, body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| Failure::Malformed { host: host(url), what })
}

pub fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

async fn exchange(url: &Url, method: Method, body: Bytes) -> Result<(StatusCode, Bytes), Failure> {
    let broken = || Failure::Broken { host: host(url) };
    let target = Target {
        url: url.clone(),
        credential: None,
        // The operator chose it, not an organiser.
        policy: EndpointPolicy::Any,
        connect_timeout: CONNECT_TIMEOUT,
        answer_timeout: ANSWER_TIMEOUT,
    };
    let unreachable = |code: &'static str| Failure::Unreachable { host: host(url), code };
    let mut connection =
        connect::open(&target).await.map_err(|failure| unreachable(failure.code()))?;
    let authority = connect::authority(url).map_err(|failure| unreachable(failure.code()))?;
    let is_form = method == Method::POST;
    let mut request = Request::new(Full::from(body));
    *request.method_mut() = method;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    *request.uri_mut() = path.parse().map_err(|_| unreachable("bad_url"))?;
    let headers = request.headers_mut();
    headers.insert(HOST, authority.parse().map_err(|_| unreachable("bad_url"))?);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if is_form {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, kind);
    }
    let answer = async {
        let response = connection.sender.send_request(request).await.map_err(|_| broken())?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|_| broken())?;
        Ok((head.status, body.to_bytes()))
    };
    tokio::time::timeout(ANSWER_TIMEOUT, answer).await.map_err(|_| broken())?
}
