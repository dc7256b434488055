//! One request straight to the MCP server, on a connection of its own, and what came back.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde_json::Value;
use url::Url;

use super::body::read;
use super::failure::Failure;
use super::transport::{ProbeAnswer, ProbeTarget, Transport};
use crate::net::affinity;
use crate::net::client::{self, ClientConnection, ClientError, in_time};
use crate::net::redirect::{self, MAX_REDIRECTS};

impl Transport for ProbeTarget {
    fn target(&self) -> &ProbeTarget {
        self
    }

    /// Redirects on the registered origin are followed.
    async fn ask(
        &self,
        method: Method,
        mut headers: HeaderMap,
        body: Option<&Value>,
    ) -> Result<ProbeAnswer, Failure> {
        let mut url = self.url.clone();
        let is_https = url.scheme() == "https";
        for _ in 0..=MAX_REDIRECTS {
            let mut answer = ask_once(self, &url, method.clone(), headers.clone(), body).await?;
            let kept = headers.get(header::COOKIE);
            // Too many to be kept by the data plane are not kept here either.
            answer.affinity =
                affinity::collect(kept, &answer.headers, is_https).unwrap_or_default();
            if let Some(affinity) = &answer.affinity {
                headers.insert(header::COOKIE, affinity.clone());
            }
            if !redirect::is_redirect(answer.status) {
                return Ok(answer);
            }
            let to = answer.headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
            let next = to.and_then(|to| redirect::follow(&url, answer.status, to));
            match next {
                Some(next) => url = next,
                None => {
                    return Err(Failure::Redirect {
                        status: answer.status,
                        to: self.plain(to.unwrap_or("")),
                    });
                }
            }
        }
        Err(Failure::RedirectLoop)
    }
}

async fn ask_once(
    target: &ProbeTarget,
    url: &Url,
    method: Method,
    headers: HeaderMap,
    body: Option<&Value>,
) -> Result<ProbeAnswer, Failure> {
    let started = Instant::now();
    let (policy, limit) = (target.policy, target.connect_timeout);
    let mut connection = ClientConnection::open(&target.url, policy, limit).await?;
    let connected_in = started.elapsed();
    let request = request(target, url, method, headers, body)?;
    let id = body.and_then(|body| body.get("id")).cloned();
    let exchange = async {
        let response = connection.send(request).await.map_err(|error| broken(&error))?;
        let (head, body) = response.into_parts();
        let (content, bytes) = read(&head.headers, body, id.as_ref(), broken).await?;
        Ok(ProbeAnswer {
            status: head.status,
            headers: head.headers,
            content,
            bytes,
            affinity: None,
            connected_in,
            answered_in: started.elapsed() - connected_in,
        })
    };
    in_time(target.answer_timeout, "the answer", exchange).await?
}

fn request(
    target: &ProbeTarget,
    url: &Url,
    method: Method,
    headers: HeaderMap,
    body: Option<&Value>,
) -> Result<Request<Full<Bytes>>, Failure> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = client::request(url, client::path_and_query(url), method, body);
    let mut request = request.map_err(|_| ClientError::BadUrl)?;
    request.headers_mut().extend(headers);
    let headers = request.headers_mut();
    let agent = HeaderValue::from_static(concat!("ai-proxy/", env!("CARGO_PKG_VERSION")));
    headers.insert(header::USER_AGENT, agent);
    if let Some((name, value)) = &target.credential {
        let kept = headers.get(name).filter(|_| *name == header::COOKIE);
        let value = kept.map_or_else(|| value.clone(), |kept| affinity::beside(value, kept));
        headers.insert(name, value);
    }
    Ok(request)
}

fn broken(error: &hyper::Error) -> Failure {
    ClientError::broken(error).into()
}
