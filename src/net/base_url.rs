//! The address at which people and programs reach this proxy: the start of every URL of ours in a
//! page, an answer or a terminal.
//!
//! It is the public URL where one is set. Without one it is the host in the request, but only if that
//! is an address or a name that nobody outside the local network can give out: any other name may have
//! been made to lead here, and would then receive the keys that are sent to our URLs.

use std::fmt;
use std::net::SocketAddr;

use url::{Host, Url};

use super::policy::{EndpointPolicy, is_allowed};
use super::socket::from_here;

/// Scheme, host and port, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    url: String,
    is_confirmed: bool,
}

/// The address where no public URL is set. `https` says whether clients use HTTPS.
#[derive(Clone, Copy)]
pub enum Fallback<'a> {
    /// The host in the request if it can be believed, otherwise the address that the server
    /// listens on.
    Asked { https: bool, host: Option<&'a str>, listen: SocketAddr },
    /// The address that the server listens on, as a client on this machine finds it.
    Local { https: bool, listen: SocketAddr },
}

impl BaseUrl {
    pub fn new(public: Option<&Url>, fallback: Fallback<'_>) -> Self {
        match (public, fallback) {
            (Some(public), _) => Self::public(public),
            (None, Fallback::Asked { https, host, listen }) => match host.and_then(believed) {
                Some(host) => Self::at(https, host),
                None => Self { is_confirmed: false, ..Self::at(https, listen) },
            },
            (None, Fallback::Local { https, listen }) => Self::at(https, from_here(listen)),
        }
    }

    /// The base of a public URL.
    pub fn public(url: &Url) -> Self {
        Self { url: url.as_str().trim_end_matches('/').to_owned(), is_confirmed: true }
    }

    fn at(https: bool, host: impl fmt::Display) -> Self {
        let scheme = if https { "https" } else { "http" };
        Self { url: format!("{scheme}://{host}"), is_confirmed: true }
    }

    /// Whether it leads here for whoever asked. If not, it is only the address that the server
    /// listens on: a page that shows it says so.
    pub fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The URL of a path, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

/// Whether a URL leads to the machine on which it is opened.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A host, with its port, that can be believed: `Host` says what the client's user typed or followed.
fn believed(host: &str) -> Option<String> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse::<u16>().ok()?)),
        _ => (host, None),
    };
    let parsed = Host::parse(name).ok()?;
    if matches!(&parsed, Host::Domain(name) if !is_local(name)) {
        return None;
    }
    Some(port.map_or_else(|| parsed.to_string(), |port| format!("{parsed}:{port}")))
}

/// Whether programs elsewhere on the internet can be expected to find the host of this URL: it has a name
/// of the internet or a public address.
pub fn is_on_the_internet(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => !is_local(name),
        Some(Host::Ipv4(address)) => is_allowed(address.into(), EndpointPolicy::Public),
        Some(Host::Ipv6(address)) => is_allowed(address.into(), EndpointPolicy::Public),
        None => false,
    }
}

/// Whether only the local network gives out this name: it has no dot, or ends as no name on the
/// internet does (RFC 6761, 6762 and 8375, and ICANN's `internal`).
fn is_local(name: &str) -> bool {
    const ENDINGS: [&str; 4] = [".local", ".localhost", ".internal", ".home.arpa"];
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let name = name.trim_end_matches('.');
    name.bytes().all(is_name)
        && (!name.contains('.') || ENDINGS.iter().any(|ending| name.ends_with(ending)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_is_where_names_and_addresses_are_public() {
        for (url, expected) in [
            ("https://proxy.example.org", true),
            ("https://192.0.2.1.example", true),
            ("https://8.8.8.8", true),
            ("https://[2606:4700::1111]", true),
            ("https://laptop.local", false),
            ("https://laptop", false),
            ("https://10.0.0.5", false),
            ("https://100.64.0.1", false),
            ("https://[fe80::1]", false),
            ("https://[::ffff:10.0.0.5]", false),
        ] {
            assert_eq!(is_on_the_internet(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn only_addresses_and_local_names_are_believed() {
        for good in [
            "192.0.2.5:8910",
            "localhost",
            "localhost:80",
            "[::1]:8910",
            "[2001:db8::1]",
            "laptop:8910",
            "laptop.local:8910",
            "proxy.internal",
            "box.home.arpa",
        ] {
            assert_eq!(believed(good).as_deref(), Some(good));
        }
        for bad in [
            "evil.example",
            "evil.example:80",
            "evil.example.:80",
            "localhost.evil.example",
            "evillocal.example",
            "laptop:80.evil.example",
            "evil.example@localhost",
            "localhost/evil.example",
            "localhost\"",
            "laptop:port",
            "laptop:99999",
            "",
        ] {
            assert_eq!(believed(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_public_url_wins_and_each_caller_has_a_fallback_of_its_own() {
        let listen = "0.0.0.0:8910".parse().unwrap();
        let public = "https://proxy.example/".parse().unwrap();
        let (https, name, address) = (false, Some("evil.example"), Some("192.0.2.5:8910"));
        for (fallback, base) in [
            (Fallback::Asked { https, host: address, listen }, "http://192.0.2.5:8910"),
            (Fallback::Asked { https, host: name, listen }, "http://0.0.0.0:8910"),
            (Fallback::Asked { https: true, host: None, listen }, "https://0.0.0.0:8910"),
            (Fallback::Local { https, listen }, "http://127.0.0.1:8910"),
        ] {
            let found = BaseUrl::new(None, fallback);
            assert_eq!(found.as_str(), base);
            assert_eq!(found.is_confirmed(), !base.contains("0.0.0.0"));
            let public = BaseUrl::new(Some(&public), fallback);
            assert_eq!(public.join("/claim"), "https://proxy.example/claim");
        }
    }
}
