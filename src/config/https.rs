//! Whether clients use HTTPS, and what browsers are told about it.

use std::net::IpAddr;

use http::header::{HOST, HeaderMap, HeaderValue};
use http::uri::{Authority, Uri};

use super::Config;
use crate::net;
use crate::net::base_url::Fallback;

impl Config {
    /// Whether the client's side of a request is HTTPS: our own TLS, or that of a front that is
    /// trusted or named by the public URL.
    pub(crate) fn is_https(&self, peer: IpAddr, uri: &Uri, headers: &HeaderMap) -> bool {
        let forwarded = || headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
        if self.tls_cert.is_some() || (net::is_trusted(peer, &self.trusted_proxies) && forwarded())
        {
            return true;
        }
        let public = self.public_url.as_ref().filter(|url| url.scheme() == "https");
        public.is_some_and(|url| asked_host(uri, headers) == Some(url.authority()))
    }

    /// What a request says of the address at which its client reaches this proxy, for where no public
    /// URL is set.
    pub(super) fn asked<'a>(
        &self,
        peer: IpAddr,
        uri: &'a Uri,
        headers: &'a HeaderMap,
    ) -> Fallback<'a> {
        Fallback::Asked {
            https: self.is_https(peer, uri, headers),
            host: asked_host(uri, headers),
            listen: self.listen,
        }
    }

    /// The value of `Strict-Transport-Security`; `None` where it is never sent. Other names below
    /// the host are none of ours, so it is for the host alone.
    pub(crate) fn strict_transport(&self) -> Option<HeaderValue> {
        let may_be_https = self.tls_cert.is_some()
            || !self.trusted_proxies.is_empty()
            || self.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
        let value = HeaderValue::try_from(format!("max-age={}", self.hsts)).ok();
        value.filter(|_| may_be_https && self.hsts > 0)
    }
}

/// The host that the client asked for.
pub(super) fn asked_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let header = || headers.get(HOST).and_then(|value| value.to_str().ok());
    uri.authority().map(Authority::as_str).or_else(header)
}
