//! Where a redirect of a backend leads, and which redirects are followed.
//!
//! This is the only place that interprets a `Location`. The next request always goes to the registered
//! origin: a redirect changes the path and the query and nothing else. The data plane follows
//! redirects for its clients, and the probe by the same rule, to find what those clients would find.

use http::StatusCode;
use url::Url;

/// Redirects followed in a row.
pub(crate) const MAX_REDIRECTS: usize = 3;

/// Where a redirect in the answer of `current` leads on that origin; `None` where it is not followed:
/// it leads elsewhere, cannot be read, or would change the method. A `Location` has any form of RFC 3986
/// §5. It stays if it names the same host, and the same port where it names one. The scheme may be the
/// other one: a server behind a TLS front says `http://` of itself.
#[expect(
    clippy::disallowed_methods,
    reason = "a Location is relative; its origin is checked below, and not used"
)]
pub(crate) fn follow(current: &Url, status: StatusCode, location: &str) -> Option<Url> {
    let to = current.join(location).ok()?;
    let is_same =
        to.host_str() == current.host_str() && is_http(&to) && names_port_of(&to, current);
    let mut next = current.clone();
    next.set_path(to.path());
    next.set_query(to.query());
    (keeps_method(status) && is_same).then_some(next)
}

/// Whether an answer with this status sends its client elsewhere.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    status.is_redirection() && status != StatusCode::NOT_MODIFIED
}

/// Whether the method and the body stay (RFC 9110 §15.4.8 and §15.4.9): only such redirects are
/// followed.
fn keeps_method(status: StatusCode) -> bool {
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
        let leads = |status: u16, location| {
            let status = StatusCode::from_u16(status).unwrap();
            follow(&current, status, location).map(|next| {
                assert_eq!(next.origin(), current.origin(), "{location}");
                next[url::Position::BeforePath..].to_owned()
            })
        };
        for (location, next) in [
            ("http://h:8000/x?a=b", Some("/x?a=b")),
            ("/x?a=b", Some("/x?a=b")),
            ("https://h/x", Some("/x")),
            ("http://h/x", Some("/x")),
            ("/x?", Some("/x?")),
            ("/../{x}", Some("/%7Bx%7D")),
            ("x", Some("/mcp/x")),
            ("?a=b", Some("/mcp/?a=b")),
            ("//h:8000/x", Some("/x")),
            ("/x#top", Some("/x")),
            ("", Some("/mcp/")),
            // Elsewhere.
            ("http://h:9000/x", None),
            ("ftp://h/x", None),
            ("http://other:8000/x", None),
            ("//other/x", None),
            ("http://h@other/x", None),
            ("http://", None),
        ] {
            for status in [307, 308] {
                assert_eq!(leads(status, location).as_deref(), next, "{location}");
            }
            for status in [300, 301, 302, 303, 305] {
                assert_eq!(leads(status, location), None, "{status} {location}");
            }
        }
    }
}
