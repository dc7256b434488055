//! The address at which people and programs reach this proxy: the start of every URL of ours in a
//! page, an answer or a terminal.
//!
//! It is the public URL where one is set. Without one it depends on the caller ([`Fallback`]): a page
//! is shown only in the browser that asked for it, but an answer of the API may be passed on.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::socket::from_here;

/// Scheme, host and port, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// The address where no public URL is set. `https` says whether clients use HTTPS.
#[derive(Clone, Copy)]
pub enum Fallback<'a> {
    /// The host in the request, whatever its name.
    AskedHost { https: bool, host: Option<&'a str> },
    /// The host in the request if it is an address, otherwise the address that the server listens
    /// on: anybody can make a name that leads here.
    AskedAddress { https: bool, host: Option<&'a str>, listen: SocketAddr },
    /// The address that the server listens on, as a client on this machine finds it.
    Local { https: bool, listen: SocketAddr },
}

impl BaseUrl {
    pub fn new(public: Option<&Url>, fallback: Fallback<'_>) -> Self {
        match (public, fallback) {
            (Some(public), _) => Self::public(public),
            (None, Fallback::AskedHost { https, host }) => {
                Self::at(https, host.unwrap_or("localhost"))
            }
            (None, Fallback::AskedAddress { https, host, listen }) => {
                match host.filter(|host| is_address(host)) {
                    Some(host) => Self::at(https, host),
                    None => Self::at(https, listen),
                }
            }
            (None, Fallback::Local { https, listen }) => Self::at(https, from_here(listen)),
        }
    }

    /// The base of a public URL.
    pub fn public(url: &Url) -> Self {
        Self(url.as_str().trim_end_matches('/').to_owned())
    }

    fn at(https: bool, host: impl fmt::Display) -> Self {
        let scheme = if https { "https" } else { "http" };
        Self(format!("{scheme}://{host}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of a path, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || literal.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_are_taken_from_host() {
        for good in ["192.0.2.5:8910", "localhost", "localhost:80", "[::1]:8910"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["evil.example", "evil.example:80", "localhost.evil.example", ""] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn the_public_url_wins_and_each_caller_has_a_fallback_of_its_own() {
        let listen = "0.0.0.0:8910".parse().unwrap();
        let public = "https://proxy.example/".parse().unwrap();
        let (https, name, address) = (false, Some("evil.example"), Some("192.0.2.5:8910"));
        for (fallback, base) in [
            (Fallback::AskedHost { https, host: name }, "http://evil.example"),
            (Fallback::AskedHost { https: true, host: None }, "https://localhost"),
            (Fallback::AskedAddress { https, host: address, listen }, "http://192.0.2.5:8910"),
            (Fallback::AskedAddress { https, host: name, listen }, "http://0.0.0.0:8910"),
            (Fallback::AskedAddress { https: true, host: None, listen }, "https://0.0.0.0:8910"),
            (Fallback::Local { https, listen }, "http://127.0.0.1:8910"),
        ] {
            assert_eq!(BaseUrl::new(None, fallback).as_str(), base);
            let public = BaseUrl::new(Some(&public), fallback);
            assert_eq!(public.join("/claim"), "https://proxy.example/claim");
        }
    }
}
