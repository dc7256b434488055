//! From the path and query that a client sent to those that the backend gets.
//!
//! The remainder after the deployment name is appended to the endpoint URL's
//! path, unless that path already ends with it. Bytes pass as they came: what
//! was checked is what is sent.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Separators of a query's parameters; some servers read `;` as `&`.
const SEPARATORS: [char; 2] = ['&', ';'];

/// The remainder has a segment that could be read in two ways.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidPath;

/// Checks a remainder (empty, or beginning with `/`) by its decoded form: no
/// `.`, `..` or empty segment, no backslash, encoded slash or control
/// character. One slash at the end is fine.
///
/// A segment is judged up to its first `;`: servlet containers take off what follows
/// (path parameters) before they resolve `..`.
pub fn check(rest: &str) -> Result<(), InvalidPath> {
    let segments = rest.strip_prefix('/').unwrap_or(rest);
    let segments = segments.strip_suffix('/').unwrap_or(segments);
    if segments.is_empty() {
        return if rest.len() <= 1 { Ok(()) } else { Err(InvalidPath) };
    }
    for segment in segments.split('/') {
        let decoded: Cow<[u8]> = percent_decode_str(segment).into();
        let forbidden = |byte: &u8| matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f);
        let name = decoded.split(|byte| *byte == b';').next().unwrap_or_default();
        if matches!(name, b"" | b"." | b"..") || decoded.iter().any(forbidden) {
            return Err(InvalidPath);
        }
    }
    Ok(())
}

/// The backend's path and query, for a remainder that [`check`] passed.
///
/// `path` and `query` are the endpoint URL's; `rest` and `client_query` the
/// client's. Parameters that the endpoint URL itself sets are dropped from the
/// client's; which of them are the same is judged as the most lenient server does.
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
    match (query, client_query) {
        (None, None) => {}
        (None, Some(client)) => {
            joined.push('?');
            joined.push_str(client);
        }
        (Some(own), client) => {
            joined.push('?');
            joined.push_str(own);
            append_others(&mut joined, own, client);
        }
    }
    joined
}

/// Appends the parameters of `client` that `own` does not set, with the separators
/// that the client chose.
fn append_others(joined: &mut String, own: &str, client: Option<&str>) {
    let own: Vec<String> = own.split(SEPARATORS).map(name).collect();
    let mut left = client;
    // Behind the endpoint's last parameter a `;` would be part of its value to a server
    // that splits at `&` only.
    let mut separator = '&';
    let mut is_first = true;
    while let Some(query) = left {
        let (parameter, next) = match query.split_once(SEPARATORS) {
            Some((parameter, rest)) => (parameter, Some(rest)),
            None => (query, None),
        };
        if !own.contains(&name(parameter)) {
            joined.push(if std::mem::take(&mut is_first) { '&' } else { separator });
            joined.push_str(parameter);
        }
        separator = query[parameter.len()..].chars().next().unwrap_or('&');
        left = next;
    }
}

/// Whether `path` ends with `rest`, segment for segment; a slash at the end of
/// either makes no difference.
fn ends_with(path: &str, rest: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    path.ends_with(rest)
}

/// A parameter's name as it may be understood: decoded, in any case, and as PHP reads
/// it, up to a `[` or a NUL, without leading spaces, `.` and a space being `_`.
fn name(parameter: &str) -> String {
    let name = parameter.split('=').next().unwrap_or_default().replace('+', " ");
    let name: Vec<u8> = percent_decode_str(&name).collect();
    let name = String::from_utf8_lossy(&name);
    let name = name.split(['[', '\0']).next().unwrap_or_default().trim_start();
    // Upper case first: some letters have only that in common with an ASCII letter.
    name.replace(['.', ' '], "_").to_uppercase().to_lowercase()
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
            ("/mcp", None, "", Some("a;b&&c=;"), "/mcp?a;b&&c=;"),
            ("/mcp", Some("t=1"), "", Some("a=b;c&d;"), "/mcp?t=1&a=b;c&d;"),
            ("/mcp", Some("t=1"), "", Some("a;t=2;b&T=3&c"), "/mcp?t=1&a;b&c"),
            // What is first behind the endpoint's own is never behind a `;`.
            ("/mcp", Some("t=1"), "", Some("t=2;b"), "/mcp?t=1&b"),
            ("/mcp", Some("t=1;u=2"), "", Some("u=3&v=4"), "/mcp?t=1;u=2&v=4"),
            ("/mcp", None, "/%C3%A9", None, "/mcp/%C3%A9"),
        ] {
            assert_eq!(join(path, query, rest, client), expected, "{path} + {rest}");
        }
    }

    #[test]
    fn another_spelling_of_the_endpoints_own_parameter_is_dropped() {
        for client in [
            "TENANT_id=2",
            "tenant_id[]=2",
            "Tenant_Id%5B0%5D=2",
            "tenant_id[a][b]=2",
            "tenant.id=2",
            "tenant+id=2",
            "+%20tenant_id=2",
            "tenant_id%00x=2",
            "tenant%5fid",
        ] {
            let joined = join("/mcp", Some("tenant_id=1"), "", Some(&format!("a=b;{client}")));
            assert_eq!(joined, "/mcp?tenant_id=1&a=b", "{client}");
        }
        assert_eq!(join("/", Some("s=1"), "", Some("%C5%BF=2&x=%ff")), "/?s=1&x=%ff");
        let others = "tenant=2&id=2&xtenant_id=2&tenant_id2=2&tenant-id=2";
        let joined = join("/mcp", Some("tenant_id=1"), "", Some(others));
        assert_eq!(joined, format!("/mcp?tenant_id=1&{others}"));
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
            "/..;",
            "/..;a=b/x",
            "/a/.;x",
            "/;x",
            "/a/;/b",
            "/%2e%2e%3bx",
            "/%2E.;",
        ] {
            assert_eq!(check(bad), Err(InvalidPath), "{bad}");
        }
        for good in [
            "",
            "/",
            "/mcp",
            "/mcp/",
            "/a/b/",
            "/...",
            "/a.b",
            "/%252e%252e",
            "/a%20b",
            "/a;..",
            "/..a;b",
            "/a;b=c/d;",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    proptest! {
        /// Whatever passes the check stays below the endpoint's path, byte for byte.
        #[test]
        fn what_passes_stays_below_the_endpoint(
            path in "(/[a-z]{1,4}){0,3}/?",
            rest in r"(/([a-z]|\.|;|%3b|%2[eE]|%41|%c3%a9|%252f){1,3}){0,4}/?",
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
                let name = decoded.split(|byte| *byte == b';').next().unwrap();
                prop_assert!(name != b".." && name != b"." && !decoded.contains(&b'/'));
            }
        }

        /// No parameter of the client overrides one that the endpoint URL sets.
        #[test]
        fn the_endpoints_own_parameters_win(
            own in "(tenant|a|b)=[0-9]",
            client in r"((tenant|a|b|%61|A|t%65nant|TENANT|tenant\[\]|b%5bx])=[0-9x][&;]?){0,6}",
        ) {
            let joined = join("/mcp", Some(&own), "", Some(&client));
            let (name, value) = own.split_once('=').unwrap();
            // As read by a server that splits at `&`, and by one that takes `;` for it.
            for joined in [joined.clone(), joined.replace(';', "&")] {
                let url = url::Url::parse(&format!("http://h{joined}")).unwrap();
                let is_same = |key: &str| key.split('[').next().unwrap().eq_ignore_ascii_case(name);
                let values: Vec<_> = url.query_pairs().filter(|(key, _)| is_same(key)).collect();
                prop_assert_eq!(values.len(), 1);
                prop_assert_eq!(&*values[0].1, value);
            }
        }
    }
}
