//! Whether MCP clients can sign in without a key, and by which URLs they know this proxy.

use std::net::IpAddr;

use clap::ValueEnum;
use http::header::HeaderMap;
use http::uri::Uri;
use url::Url;

use super::Config;
use super::https::asked_host;
use super::values::{is_address_alone, is_confidential};
use crate::net::base_url::{BaseUrl, is_loopback};

/// When MCP clients can sign in without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OauthMode {
    /// Where nobody on the way can read what they send.
    Auto,
    /// Also over plain HTTP, which hosted clients refuse.
    On,
    /// Never: they need a key.
    Off,
}

impl Config {
    /// Whether MCP clients can sign in without a key. Without a public URL it is certain only of a proxy
    /// that listens on loopback that nobody can read what is sent to it.
    pub fn has_oauth(&self) -> bool {
        match (self.oauth, &self.public_url) {
            (OauthMode::On, _) => true,
            (OauthMode::Off, _) => false,
            (OauthMode::Auto, Some(public)) => is_confidential(public),
            (OauthMode::Auto, None) => self.listen.ip().is_loopback(),
        }
    }

    /// The base of our URLs in the answer to a request.
    pub(crate) fn base_url(&self, peer: IpAddr, uri: &Uri, headers: &HeaderMap) -> BaseUrl {
        BaseUrl::new(self.public_url.as_ref(), self.asked(peer, uri, headers))
    }

    /// The base of the URL that the client was given. Clients compare what they are told with it, so it
    /// is the one that was asked for if that is ours, else [`base_url`](Self::base_url).
    pub(crate) fn asked_base_url(&self, peer: IpAddr, uri: &Uri, headers: &HeaderMap) -> BaseUrl {
        let scheme = if self.is_https(peer, uri, headers) { "https" } else { "http" };
        let asked = asked_host(uri, headers);
        let asked = asked.and_then(|host| Url::parse(&format!("{scheme}://{host}")).ok());
        match asked.filter(|url| is_address_alone(url) && self.is_own_origin(url)) {
            Some(own) => BaseUrl::public(&own),
            None => self.base_url(peer, uri, headers),
        }
    }

    /// Whether clients reach us by this URL's origin: the public one, one on this machine, or one that
    /// is configured.
    pub(crate) fn is_own_origin(&self, url: &Url) -> bool {
        let is_public =
            self.public_url.as_ref().is_some_and(|public| public.origin() == url.origin());
        is_public
            || is_loopback(url)
            || self.allowed_origins.contains(&url.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use http::header::HOST;

    use super::*;

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        config: Config,
    }

    fn config(line: &str) -> Config {
        Serve::parse_from(std::iter::once("serve").chain(line.split_whitespace())).config
    }

    #[test]
    fn it_is_on_where_nobody_on_the_way_can_read_along() {
        for (line, is_on) in [
            ("", true),
            ("--listen=[::1]:8910", true),
            ("--listen=0.0.0.0:8910", false),
            ("--listen=192.0.2.5:8910", false),
            ("--listen=0.0.0.0:8910 --public-url=https://proxy.example", true),
            ("--public-url=http://192.0.2.5:8910", false),
            ("--public-url=http://laptop.local", false),
            ("--public-url=http://localhost:8910 --listen=0.0.0.0:8910", true),
            ("--public-url=http://192.0.2.5:8910 --oauth=on", true),
            ("--listen=0.0.0.0:8910 --oauth=on", true),
            ("--public-url=https://proxy.example --oauth=off", false),
            ("--oauth=off", false),
        ] {
            assert_eq!(config(line).has_oauth(), is_on, "{line}");
        }
    }

    #[test]
    fn a_client_is_told_the_url_that_it_asked_for_where_that_is_ours() {
        let public = "--public-url=https://proxy.example --allowed-origins=http://lab.example:81";
        for (line, host, base) in [
            (public, "proxy.example", "https://proxy.example"),
            (public, "proxy.example:443", "https://proxy.example"),
            (public, "127.0.0.1:8910", "http://127.0.0.1:8910"),
            (public, "[::1]:8910", "http://[::1]:8910"),
            (public, "localhost", "http://localhost"),
            (public, "lab.example:81", "http://lab.example:81"),
            (public, "lab.example", "https://proxy.example"),
            (public, "192.0.2.5:8910", "https://proxy.example"),
            (public, "evil.example", "https://proxy.example"),
            (public, "evil.example@localhost", "https://proxy.example"),
            (public, "localhost/evil.example", "https://proxy.example"),
            (public, "localhost?evil.example", "https://proxy.example"),
            ("", "192.0.2.5:8910", "http://192.0.2.5:8910"),
            ("", "localhost:8910", "http://localhost:8910"),
            ("", "evil.example", "http://127.0.0.1:8910"),
        ] {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            let peer = "192.0.2.9".parse().unwrap();
            let asked = config(line).asked_base_url(peer, &Uri::from_static("/x"), &headers);
            assert_eq!(asked.as_str(), base, "{host}");
        }
    }
}
