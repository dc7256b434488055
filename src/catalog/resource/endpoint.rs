//! A backend's endpoint URL, parsed once into what connecting and forwarding
//! need.
//!
//! Only URLs are taken whose path and query mean the same as written and as
//! parsed, so that what was checked is what is sent.

use std::fmt;
use std::sync::Arc;

use http::header::HeaderValue;
use http::uri::PathAndQuery;
use url::{Host, Url};

use crate::catalog::Digest;

/// Maximum number of characters, as typed and as stored.
pub const MAX_LENGTH: usize = 2048;

/// An `http` or `https` URL without user-info or fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub url: Url,
    pub https: bool,
    /// Host name or IP address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
    /// Scheme, host and port: what connections to it can be shared by.
    pub origin: Arc<str>,
    /// The `Host` header: the port only where it is not the scheme's own.
    pub authority: String,
    /// [`authority`](Self::authority), ready to be sent.
    pub host_header: HeaderValue,
    /// As written; empty where nothing follows the authority.
    pub path: String,
    pub query: Option<String>,
    /// Of the origin alone. Two URLs on it may lead to one server (`/` and
    /// `/mcp`, or another query), so whose a session is must not depend on the
    /// rest of the URL.
    pub origin_digest: Digest,
}

impl Endpoint {
    /// # Errors
    /// A sentence for a person: what is wrong and what to do.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is required".into());
        }
        let too_long = || format!("has more than {MAX_LENGTH} characters");
        if text.len() > MAX_LENGTH {
            return Err(too_long());
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_ascii() {
            return Err("holds a character that must be percent-encoded".into());
        }
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return Err("holds a space, a backslash or a control character".into());
        }
        let (authority, rest) = split(text).ok_or("must begin with http:// or https://")?;
        if authority.contains('@') {
            return Err("must not hold a user name or password; give the key as the key".into());
        }
        if rest.contains('#') {
            return Err("must not hold a fragment (#…)".into());
        }
        let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        if (!path.is_empty() && url.path() != path) || url.query() != query {
            let meant = &url[url::Position::BeforePath..];
            return Err(format!("must be written in its normal form, ending in {meant}"));
        }
        if !rest.is_empty() && path_and_query(rest).is_none() {
            return Err("holds a character that must be percent-encoded".into());
        }
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => return Err("names no host".into()),
        };
        let (Some(port), Some(host_as_written)) = (url.port_or_known_default(), url.host_str())
        else {
            return Err("names no host".into());
        };
        let authority = match url.port() {
            Some(port) => format!("{host_as_written}:{port}"),
            None => host_as_written.to_owned(),
        };
        let endpoint = Self {
            https: url.scheme() == "https",
            host,
            port,
            origin: url.origin().ascii_serialization().into(),
            host_header: HeaderValue::from_str(&authority).map_err(|_| "names no host")?,
            authority,
            path: path.to_owned(),
            query: query.map(str::to_owned),
            origin_digest: Digest::sha256(url.origin().ascii_serialization().as_bytes()),
            url,
        };
        // What is stored is the normal form, which may be longer than what was typed
        // (127.1 is 127.0.0.1) and must be readable again.
        if endpoint.as_written().len() > MAX_LENGTH {
            return Err(too_long());
        }
        Ok(endpoint)
    }

    /// The URL with its path as written, from which it can be parsed again.
    pub fn as_written(&self) -> String {
        let mut text = format!("{}://{}{}", self.url.scheme(), self.authority, self.path);
        if let Some(query) = &self.query {
            text.push('?');
            text.push_str(query);
        }
        text
    }

    /// Whether `other` is on the same scheme, host and port.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        self.url.origin() == other.url.origin()
    }

    /// Whether the URL itself sets the query parameter `name`.
    pub fn sets(&self, name: &str) -> bool {
        self.url.query_pairs().any(|(key, _)| key == name)
    }
}

/// Nothing of a backend's address in logs.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoint(…)")
    }
}

/// The authority, and all that follows it, as written.
fn split(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    (!authority.is_empty()).then_some((authority, rest))
}

fn path_and_query(rest: &str) -> Option<PathAndQuery> {
    if rest.starts_with('/') { rest.parse().ok() } else { format!("/{rest}").parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"))
    }

    #[test]
    fn what_connecting_needs_is_read_from_the_url() {
        for (text, https, host, port, authority, path, query) in [
            ("http://h", false, "h", 80, "h", "", None),
            ("http://h/", false, "h", 80, "h", "/", None),
            ("http://h:80/mcp", false, "h", 80, "h", "/mcp", None),
            ("https://h/mcp/", true, "h", 443, "h", "/mcp/", None),
            ("https://h:8443/a?b=c&d", true, "h", 8443, "h:8443", "/a", Some("b=c&d")),
            ("http://h?x=1", false, "h", 80, "h", "", Some("x=1")),
            (
                " HTTP://H.Example:8000/Mcp ",
                false,
                "h.example",
                8000,
                "h.example:8000",
                "/Mcp",
                None,
            ),
            ("http://[::1]:8000/mcp", false, "::1", 8000, "[::1]:8000", "/mcp", None),
            ("http://[2001:db8::1]", false, "2001:db8::1", 80, "[2001:db8::1]", "", None),
            ("http://127.1/mcp", false, "127.0.0.1", 80, "127.0.0.1", "/mcp", None),
            ("http://h/a%2Fb/%C3%A9?q=%20", false, "h", 80, "h", "/a%2Fb/%C3%A9", Some("q=%20")),
        ] {
            let endpoint = parse(text);
            assert_eq!(
                (endpoint.https, endpoint.host.as_str(), endpoint.port),
                (https, host, port)
            );
            assert_eq!(endpoint.authority, authority);
            assert_eq!(endpoint.host_header, authority);
            assert_eq!(
                (endpoint.path.as_str(), endpoint.query.as_deref()),
                (path, query),
                "{text}"
            );
            assert!(parse(&endpoint.as_written()) == endpoint, "{text} survives being stored");
            assert_eq!(format!("{endpoint:?}"), "Endpoint(…)");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "h/mcp",
            "ftp://h/",
            "file:///etc/passwd",
            "http:/h",
            "http:h",
            "http://",
            "http:///mcp",
            "http://?x",
            "http://user@h/",
            "http://user:password@h/",
            "http://@h/",
            "http://h/#top",
            "http://h#",
            "http://h/a b",
            "http://h/a\tb",
            "http://h/\r\nHost: x",
            "http://h\\@evil/",
            "http://h/é",
            "http://höst/",
            "http://h/../x",
            "http://h/a/./b",
            "http://h/a/%2e%2e/b",
            "http://h/a/%2E",
            "http://h/{x}",
            "http://h/a\"b",
            "http://h/?a\"b",
            "http://h:0x50/",
            "http://h:65536/",
            "http://h h/",
            "http://[::1/",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
        assert!(Endpoint::parse(&format!("http://h/{}", "a".repeat(2040))).is_err());
        let normal = Endpoint::parse("http://h/a/../b?c=d").unwrap_err();
        assert!(normal.contains("/b?c=d"), "says what to write instead: {normal}");
    }

    #[test]
    fn the_normal_form_is_within_the_limit_as_well() {
        let typed = format!("http://127.1/{}", "a".repeat(2035));
        assert_eq!(typed.len(), MAX_LENGTH);
        assert!(Endpoint::parse(&typed).is_err(), "stored, it would be 4 characters longer");
        assert!(Endpoint::parse(&typed[..typed.len() - 4]).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_can_be_read_again(
            scheme in "(http|HTTPS)://",
            host in r"[a-zA-Z0-9.-]{1,12}|127\.1|0x7f\.1|2130706433|\[[0-9a-f:.]{2,12}\]|xn--[a-z0-9-]{1,8}",
            port in "(:[0-9]{0,5})?",
            rest in r"(/[!-~]{0,12}){0,3}([?][!-~]{0,12})?",
            filled in proptest::option::of(2000_usize..2060),
        ) {
            let mut text = format!("{scheme}{host}{port}{rest}");
            if let Some(length) = filled {
                text.push('/');
                while text.len() < length {
                    text.push('a');
                }
            }
            if let Ok(endpoint) = Endpoint::parse(&text) {
                let again = Endpoint::parse(&endpoint.as_written());
                proptest::prop_assert!(again.is_ok_and(|again| again == endpoint), "{}", text);
            }
        }
    }

    #[test]
    fn the_digest_is_of_the_server_and_not_of_a_path_on_it() {
        let digest = |text| parse(text).origin_digest;
        for same in ["http://h", "http://h/mcp/", "HTTP://H:80/mcp?tenant=2"] {
            assert!(digest(same) == digest("http://h/mcp"), "{same}");
        }
        for other in ["https://h/mcp", "http://h:8000/mcp", "http://g/mcp"] {
            assert!(digest(other) != digest("http://h/mcp"), "{other}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let endpoint = parse("https://h/mcp");
        assert!(endpoint.same_origin(&parse("https://H:443/x?y")));
        for other in ["http://h/mcp", "https://h:444/mcp", "https://g/mcp"] {
            assert!(!endpoint.same_origin(&parse(other)), "{other}");
        }
    }

    #[test]
    fn a_parameter_is_found_by_its_decoded_name() {
        let endpoint = parse("http://h/?a=1&api%2Dversion=2");
        assert!(endpoint.sets("a") && endpoint.sets("api-version") && !endpoint.sets("version"));
    }
}
