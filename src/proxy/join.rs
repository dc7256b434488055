//! From the path and query that a client sent to those that the backend gets.
//!
//! The remainder after the deployment name is appended to the endpoint URL's
//! path, unless that path already ends with it. Bytes pass as they came: what
//! was checked is what is sent.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The remainder has a segment that could be read in two ways.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidPath;

/// Checks a remainder (empty, or beginning with `/`) by its decoded form: no
/// `.`, `..` or empty segment, no backslash, encoded slash or control
/// character. One slash at the end is fine.
pub fn check(rest: &str) -> Result<(), InvalidPath> {
    let segments = rest.strip_prefix('/').unwrap_or(rest);
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    if segments.is_empty() {
        return if rest.len() <= 1 { Ok(()) } else { Err(InvalidPath) };
    }
    for segment in segments.split('/') {
        let decoded: Cow<[u8]> = percent_decode_str(segment).into();
        let forbidden = |byte: &u8| matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f);
        if matches!(&*decoded, b"" | b"." | b"..") || decoded.iter().any(forbidden) {
            return Err(InvalidPath);
        }
    }
    Ok(())
}

/// The backend's path and query, for a remainder that [`check`] passed.
///
/// `path` and `query` are the endpoint URL's; `rest` and `client_query` the
/// client's. Parameters that the endpoint URL itself sets are dropped from the
/// client's.
pub fn join(path: &str, query: Option<&str>, rest: &str, client_query: Option<&str>) -> String {
    let mut joined = String::with_capacity(
        path.len() + rest.len() + query.map_or(0, str::len) + client_query.map_or(0, str::len) + 3,
    );
    if ends_with(path, rest) {
        joined.push_str(path);
    } else {
        joined.push_str(path.strip_suffix('/').unwrap_or(path));
        joined.push_str(rest);
    }
    if joined.is_empty() {
        joined.push('/');
    }
    let mut separator = '?';
    let mut append = |part: &str| {
        joined.push(separator);
        joined.push_str(part);
        separator = '&';
    };
    match (query, client_query) {
        (None, None) => {}
        (None, Some(client)) => append(client),
        (Some(own), client) => {
            append(own);
            client
                .into_iter()
                .flat_map(|client| client.split('&'))
                .filter(|parameter| !sets(own, name(parameter)))
                .for_each(append);
        }
    }
    joined
}

/// Whether `path` ends with `rest`, segment for segment; a slash at the end of
/// either makes no difference.
fn ends_with(path: &str, rest: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    path.ends_with(rest)
}

fn name(parameter: &str) -> Cow<'_, [u8]> {
    let name = parameter.split('=').next().unwrap_or_default();
    if name.contains('+') {
        return Cow::Owned(percent_decode_str(&name.replace('+', " ")).collect());
    }
    percent_decode_str(name).into()
}

fn sets(query: &str, wanted: Cow<'_, [u8]>) -> bool {
    query.split('&').any(|parameter| name(parameter) == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn remainders_join_as_documented() {
        for (path, query, rest, client, expected) in [
            ("/mcp", None, "", None, "/mcp"),
            ("/mcp", None, "/", None, "/mcp"),
            ("/mcp", None, "/mcp", None, "/mcp"),
            ("/mcp", None, "/mcp/", None, "/mcp"),
            ("", None, "/mcp", None, "/mcp"),
            ("/", None, "/mcp", None, "/mcp"),
            ("", None, "", None, "/"),
            ("/a/mcp", None, "/mcp", None, "/a/mcp"),
            ("/a/mcp", None, "/a/mcp", None, "/a/mcp"),
            ("/a/mcp", None, "/x/y", None, "/a/mcp/x/y"),
            ("/a/mcp/", None, "/x", None, "/a/mcp/x"),
            ("/xmcp", None, "/mcp", None, "/xmcp/mcp"),
            (
                "/mcp",
                Some("tenant=1"),
                "/mcp",
                Some("a=b&a=c&e=&tenant=2"),
                "/mcp?tenant=1&a=b&a=c&e=",
            ),
            ("/mcp", Some("tenant=1"), "", Some("%74enant=2&x=%2f"), "/mcp?tenant=1&x=%2f"),
            ("/mcp", None, "", Some("a=%20&&b"), "/mcp?a=%20&&b"),
            ("/mcp", None, "/%C3%A9", None, "/mcp/%C3%A9"),
        ] {
            assert_eq!(join(path, query, rest, client), expected, "{path} + {rest}");
        }
    }

    #[test]
    fn ambiguous_segments_are_refused() {
        for bad in [
            "/..",
            "/.",
            "/a/../b",
            "/%2e%2e",
            "/%2E/x",
            "//",
            "/a//b",
            "/a//",
            "/a%2fb",
            "/a%2Fb",
            "/a\\b",
            "/a%5cb",
            "/a%00",
            "/a%0d%0ab",
            "/%7f",
        ] {
            assert_eq!(check(bad), Err(InvalidPath), "{bad}");
        }
        for good in ["", "/", "/mcp", "/mcp/", "/a/b/", "/...", "/a.b", "/%252e%252e", "/a%20b"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    proptest! {
        /// Whatever passes the check stays below the endpoint's path, byte for byte.
        #[test]
        fn what_passes_stays_below_the_endpoint(
            path in "(/[a-z]{1,4}){0,3}/?",
            rest in r"(/([a-z]|\.|%2[eE]|%41|%c3%a9|%252f){1,3}){0,4}/?",
            query in proptest::option::of("[a-z=&%0-9]{0,12}"),
        ) {
            prop_assume!(check(&rest).is_ok());
            let joined = join(&path, None, &rest, query.as_deref());
            let (target, joined_query) = match joined.split_once('?') {
                Some((target, query)) => (target, Some(query)),
                None => (&*joined, None),
            };
            prop_assert_eq!(joined_query, query.as_deref());
            let base = path.trim_end_matches('/');
            prop_assert!(target.starts_with(base));
            let below = &target[base.len()..];
            prop_assert!(below == rest || (below.len() <= 1 && ends_with(&path, &rest)));
            for segment in target.split('/') {
                let decoded: Vec<u8> = percent_decode_str(segment).collect();
                prop_assert!(decoded != b".." && decoded != b"." && !decoded.contains(&b'/'));
            }
        }

        /// No parameter of the client overrides one that the endpoint URL sets.
        #[test]
        fn the_endpoints_own_parameters_win(
            own in "(tenant|a|b)=[0-9]",
            client in "((tenant|a|b|%61|t%65nant)=[0-9x]&?){0,6}",
        ) {
            let joined = join("/mcp", Some(&own), "", Some(&client));
            let (name, value) = own.split_once('=').unwrap();
            let url = url::Url::parse(&format!("http://h{joined}")).unwrap();
            let values: Vec<_> = url.query_pairs().filter(|(key, _)| key == name).collect();
            prop_assert_eq!(values.len(), 1);
            prop_assert_eq!(&*values[0].1, value);
        }
    }
}
