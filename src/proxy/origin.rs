//! Which pages in a browser may call the proxy.
//!
//! A page of a foreign origin could reach a proxy on the LAN through a name
//! that it makes resolve there (DNS rebinding), so an `Origin` header must be
//! one that was agreed: the public URL's, a loopback one, or a configured one.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Response, StatusCode};
use url::{Host, Url};

use super::error::ProxyError;
use super::response_body::Body;
use crate::net::base_url::is_loopback;

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "mcp-session-id, mcp-protocol-version, www-authenticate, x-request-id, x-error-source, retry-after, \
     x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, \
     x-proxy-ratelimit-limit-requests, x-proxy-ratelimit-remaining-requests, \
     x-proxy-ratelimit-reset-requests",
);

/// The origins that were agreed.
pub struct Origins {
    public: Option<String>,
    allowed: Vec<String>,
}

impl Origins {
    /// `allowed` as browsers send them, which is how settings are read.
    pub fn new(public_url: Option<&Url>, allowed: &[String]) -> Self {
        Self { public: public_url.map(serialised), allowed: allowed.to_owned() }
    }

    /// The request's `Origin`, where it has one and that is agreed.
    pub fn check(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, ProxyError> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(value) = origins.next() else { return Ok(None) };
        let agreed = origins.next().is_none()
            && value.to_str().is_ok_and(|origin| self.allows(origin, headers.get(HOST)));
        if agreed { Ok(Some(value.clone())) } else { Err(ProxyError::OriginNotAllowed) }
    }

    fn allows(&self, origin: &str, host: Option<&HeaderValue>) -> bool {
        if self.allowed.iter().any(|allowed| allowed == origin) {
            return true;
        }
        let Ok(url) = Url::parse(origin) else { return false };
        if serialised(&url) != origin {
            return false;
        }
        if is_loopback(&url) {
            return true;
        }
        match &self.public {
            Some(public) => public == origin,
            // A name in `Host` proves nothing: it is what a rebinding page would
            // send. An address is where the browser really connected to.
            None => {
                let host = host.and_then(|host| host.to_str().ok());
                matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)))
                    && host == origin.split_once("://").map(|(_, authority)| authority)
            }
        }
    }
}

fn serialised(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Whether a browser asks for leave before it sends the real request.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight of an agreed origin.
pub(super) fn preflight(allow: &'static str, request: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(allow));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(wanted) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}

/// Lets the page of an agreed origin read the answer.
pub(super) fn grant(origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(public: Option<&str>, origin: &str, host: &str) -> bool {
        let public = public.map(|url| Url::parse(url).unwrap());
        let allowed = ["https://lab.example".into(), "app://editor".into()];
        let origins = Origins::new(public.as_ref(), &allowed);
        origins.allows(origin, Some(&HeaderValue::from_str(host).unwrap()))
    }

    #[test]
    fn agreed_origins_are_the_public_one_loopback_and_configured_ones() {
        let public = Some("https://proxy.example/");
        assert!(allows(public, "https://proxy.example", "anything"));
        assert!(allows(public, "https://lab.example", "proxy.example"));
        assert!(allows(public, "app://editor", "proxy.example"));
        assert!(allows(public, "http://localhost:5173", "proxy.example"));
        assert!(allows(public, "http://[::1]:5173", "proxy.example"));
        assert!(!allows(public, "http://proxy.example", "proxy.example"));
        assert!(!allows(public, "null", "proxy.example"));
        assert!(!allows(public, "https://evil.example", "evil.example"));
    }

    #[test]
    fn without_a_public_url_only_an_address_in_host_is_believed() {
        assert!(allows(None, "http://192.0.2.5:8910", "192.0.2.5:8910"));
        assert!(!allows(None, "http://192.0.2.6:8910", "192.0.2.5:8910"));
        assert!(!allows(None, "http://rebound.example:8910", "rebound.example:8910"));
        assert!(!allows(None, "http://localhost.evil.example", "localhost.evil.example"));
    }
}
