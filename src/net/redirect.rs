//! Where a redirect of a backend leads, and which redirects are followed.
//!
//! This is the only place that interprets a `Location`. The next request always goes to the registered
//! origin: a redirect changes the path and the query and nothing else. The data plane follows
//! redirects for its clients, the probe to find what those clients would find. They accept slightly
//! different ones, so each has its own [`RedirectRule`].

use http::StatusCode;
use url::Url;

/// Redirects followed in a row.
pub(crate) const MAX_REDIRECTS: usize = 3;

/// Which redirects count as staying on the registered host.
pub(crate) struct RedirectRule {
    reference: Reference,
    scope: Scope,
}

/// How a `Location` may be written.
enum Reference {
    /// In any form, resolved against the current URL (RFC 3986 §5).
    Any,
    /// As a URL, or as a path from the root.
    UrlOrRoot,
}

/// What must be the same as in the registered URL.
enum Scope {
    /// The host, and the port where one is named. The scheme may be the other one: a server behind
    /// a TLS front says `http://` of itself.
    HostAndPort,
    /// The host. Scheme and port are those behind the front.
    Host,
}

impl RedirectRule {
    pub(crate) const DATA_PLANE: Self =
        Self { reference: Reference::Any, scope: Scope::HostAndPort };
    pub(crate) const PROBE: Self = Self { reference: Reference::UrlOrRoot, scope: Scope::Host };

    /// Where a `Location` in the answer of `current` leads on that origin; `None` where it leads
    /// elsewhere or cannot be read.
    #[expect(
        clippy::disallowed_methods,
        reason = "a Location is relative; its origin is checked below, and not used"
    )]
    pub(crate) fn follow(&self, current: &Url, location: &str) -> Option<Url> {
        let mut next = current.clone();
        let from_root = location.starts_with('/') && !location.starts_with("//");
        let to = match self.reference {
            Reference::Any => current.join(location).ok()?,
            Reference::UrlOrRoot if from_root => {
                let (path, query) = match location.split_once('?') {
                    Some((path, query)) => (path, Some(query)),
                    None => (location, None),
                };
                next.set_path(path);
                next.set_query(query);
                return Some(next);
            }
            Reference::UrlOrRoot => Url::parse(location).ok()?,
        };
        let is_same = to.host_str() == current.host_str()
            && match self.scope {
                Scope::HostAndPort => is_http(&to) && names_port_of(&to, current),
                Scope::Host => true,
            };
        next.set_path(to.path());
        next.set_query(to.query());
        is_same.then_some(next)
    }
}

/// Whether an answer with this status sends its client elsewhere.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    status.is_redirection() && status != StatusCode::NOT_MODIFIED
}

/// Whether the method and the body stay (RFC 9110 §15.4.8 and §15.4.9): only such redirects are
/// followed.
pub(crate) fn keeps_method(status: StatusCode) -> bool {
    matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT)
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn names_port_of(to: &Url, current: &Url) -> bool {
    to.port().is_none() || to.port_or_known_default() == current.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registered_origin_is_never_left() {
        let current: Url = "http://h:8000/mcp/".parse().unwrap();
        let leads = |rule: RedirectRule, location| {
            rule.follow(&current, location).map(|next| {
                assert_eq!(next.origin(), current.origin(), "{location}");
                next[url::Position::BeforePath..].to_owned()
            })
        };
        for (location, data_plane, probe) in [
            ("http://h:8000/x?a=b", Some("/x?a=b"), Some("/x?a=b")),
            ("/x?a=b", Some("/x?a=b"), Some("/x?a=b")),
            ("https://h/x", Some("/x"), Some("/x")),
            ("/x?", Some("/x?"), Some("/x?")),
            ("/../{x}", Some("/%7Bx%7D"), Some("/%7Bx%7D")),
            // Where the rules differ.
            ("x", Some("/mcp/x"), None),
            ("?a=b", Some("/mcp/?a=b"), None),
            ("//h:8000/x", Some("/x"), None),
            ("/x#top", Some("/x"), Some("/x%23top")),
            ("http://h:9000/x", None, Some("/x")),
            ("ftp://h/x", None, Some("/x")),
            // Elsewhere.
            ("http://other:8000/x", None, None),
            ("//other/x", None, None),
            ("http://h@other/x", None, None),
            ("", Some("/mcp/"), None),
        ] {
            assert_eq!(
                leads(RedirectRule::DATA_PLANE, location).as_deref(),
                data_plane,
                "{location}"
            );
            assert_eq!(leads(RedirectRule::PROBE, location).as_deref(), probe, "{location}");
        }
    }
}
