//! Which headers pass, and which do not.
//!
//! End-to-end headers pass both ways, known to us or not. Withheld are those of
//! the single hop (RFC 9110 §7.6.1), those that carry the attendee's identity or
//! key to a backend, those that a front end in our place would vouch for, and those
//! by which a backend could act on the proxy's own origin.

use http::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

/// Names, few of them as a rule.
pub type Names = SmallVec<[HeaderName; 4]>;

/// The token of an `Authorization` header with the scheme Bearer (RFC 6750); an empty one is none.
pub(super) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
    Some(token.trim_ascii()).filter(|token| is_bearer && !token.is_empty())
}

/// Whether every byte is visible ASCII. It looks at all of them, several at once, which is
/// faster than stopping at the first one that is not.
pub(super) fn is_graphic(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |is_graphic, byte| is_graphic & byte.is_ascii_graphic())
}

/// Removes what no backend may get. Returns the names that were removed because of an
/// underscore: servers that fold `_` to `-` (CGI, FastCGI, Rack, WSGI) would read
/// `Mcp_Session_Id` or `X_Forwarded_For` as the header that was checked or removed.
pub fn strip_request(headers: &mut HeaderMap) -> Names {
    let mut folding = Names::new();
    strip(headers, |name| {
        let text = name.as_str();
        if text.contains('_') {
            folding.push(name.clone());
            return true;
        }
        is_hop_by_hop(name)
            || matches!(
                *name,
                header::HOST
                    | header::EXPECT
                    | header::ORIGIN
                    | header::AUTHORIZATION
                    | header::COOKIE
                    | header::FORWARDED
                    | header::CONTENT_LENGTH
            )
            || text == "api-key"
            || text == "cf-access-jwt-assertion"
            || text.strip_prefix("x-").is_some_and(is_vouched_for)
    });
    folding
}

/// Whether it is a header, named without its `x-`, that only a front end of the
/// backend's own may set, or that changes what the request asks for.
fn is_vouched_for(name: &str) -> bool {
    let names = ["api-key", "real-ip", "original-url", "rewrite-url", "http-method-override"];
    let families = ["forwarded-", "ms-client-principal", "ms-token-", "amzn-oidc-", "goog-iap-"];
    names.contains(&name) || families.iter().any(|family| name.starts_with(family))
}

/// Puts the backend's key on, in place of every header that a server could take for it.
pub fn put_credential(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    // The client's names have no underscore any more, so only ours can be the other
    // spelling of one of them.
    if name.as_str().contains('_') {
        let is_same = |other: &&HeaderName| fold(other.as_str()).eq(fold(name.as_str()));
        let others: Names = headers.keys().filter(is_same).cloned().collect();
        for other in others {
            headers.remove(other);
        }
    }
    headers.insert(name, value);
}

/// The name as servers that fold `_` to `-` read it.
fn fold(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| if byte == b'_' { b'-' } else { byte })
}

/// Removes what no client may get, and mends what it is given.
pub fn strip_response(headers: &mut HeaderMap) {
    strip(headers, |name| {
        is_hop_by_hop(name)
            || matches!(
                *name,
                header::SET_COOKIE
                    | header::WWW_AUTHENTICATE
                    | header::ALT_SVC
                    | header::STRICT_TRANSPORT_SECURITY
                    | header::CONTENT_LOCATION
                    | header::LINK
                    | header::REFRESH
                    | header::LOCATION
            )
            || acts_on_our_origin(name.as_str())
    });
    keep_private(headers);
}

/// Whether the header, which has no constant of its own, would make a browser or a
/// front end of ours do something in our name.
fn acts_on_our_origin(name: &str) -> bool {
    let names = [
        "clear-site-data",
        "nel",
        "report-to",
        "reporting-endpoints",
        "accept-ch",
        "service-worker-allowed",
        "x-error-source",
    ];
    name.starts_with("access-control-") || name.starts_with("x-accel-") || names.contains(&name)
}

/// Nothing of one attendee's may be kept by a shared cache.
fn keep_private(headers: &mut HeaderMap) {
    match headers.entry(header::CACHE_CONTROL) {
        Entry::Vacant(entry) => {
            entry.insert(HeaderValue::from_static("no-store"));
        }
        Entry::Occupied(mut entry) => {
            for value in entry.iter_mut() {
                if let Some(private) = private(value) {
                    *value = private;
                }
            }
        }
    }
}

/// The directive list with `private` in place of `public`, where it has one.
fn private(value: &HeaderValue) -> Option<HeaderValue> {
    let directives = value.to_str().ok()?;
    let is_public = |directive: &str| directive.trim().eq_ignore_ascii_case("public");
    if !directives.split(',').any(is_public) {
        return None;
    }
    let mended: Vec<&str> = directives
        .split(',')
        .map(|directive| if is_public(directive) { "private" } else { directive.trim() })
        .collect();
    HeaderValue::from_str(&mended.join(", ")).ok()
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Removes the headers that `unwanted` names and those that `Connection` names.
fn strip(headers: &mut HeaderMap, mut unwanted: impl FnMut(&HeaderName) -> bool) {
    let mut removed: SmallVec<[HeaderName; 8]> = SmallVec::new();
    for value in headers.get_all(header::CONNECTION) {
        // As bytes: one that is no text must not hide what stands beside it.
        let options = value.as_bytes().split(|byte| *byte == b',');
        removed
            .extend(options.filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok()));
    }
    removed.extend(headers.keys().filter(|name| unwanted(name)).cloned());
    for name in removed {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;

    use super::*;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn end_to_end_request_headers_pass_and_the_rest_stay() {
        let mut headers = map(&[
            ("accept", "application/json, text/event-stream"),
            ("mcp-session-id", "s"),
            ("mcp-param-anything", "x"),
            ("last-event-id", "7"),
            ("x-unknown", "x"),
            ("host", "proxy"),
            ("api-key", "attendee"),
            ("x-api-key", "attendee"),
            ("authorization", "Bearer attendee"),
            ("cookie", "c"),
            ("origin", "o"),
            ("expect", "100-continue"),
            ("forwarded", "for=x"),
            ("x-forwarded-for", "x"),
            ("x-forwarded-host", "x"),
            ("x-real-ip", "x"),
            ("x-ms-client-principal", "x"),
            ("x-ms-client-principal-id", "x"),
            ("x-ms-token-aad-access-token", "x"),
            ("cf-access-jwt-assertion", "x"),
            ("x-amzn-oidc-identity", "x"),
            ("x-goog-iap-jwt-assertion", "x"),
            ("x-original-url", "x"),
            ("x-rewrite-url", "x"),
            ("x-http-method-override", "DELETE"),
            ("mcp_session_id", "x"),
            ("x_forwarded_for", "x"),
            ("a_", "x"),
            ("connection", "close, X-Named , mcp-named"),
            ("x-named", "x"),
            ("mcp-named", "x"),
            ("keep-alive", "x"),
            ("proxy-connection", "x"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
        ]);
        let mut folding = strip_request(&mut headers);
        let mut passed = names(&headers);
        passed.sort_unstable();
        assert_eq!(
            passed,
            ["accept", "last-event-id", "mcp-param-anything", "mcp-session-id", "x-unknown"]
        );
        folding.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        assert_eq!(folding[..], ["a_", "mcp_session_id", "x_forwarded_for"]);
    }

    #[test]
    fn the_backends_key_has_no_rival_in_another_spelling() {
        let sent = [("x-t-k", "client"), ("x-tk", "client"), ("x-t-k-2", "client")];
        for name in ["x-t-k", "x_t_k", "x-t_k"] {
            let mut headers = map(&sent);
            headers.append("x-t-k", HeaderValue::from_static("client too"));
            put_credential(&mut headers, name.parse().unwrap(), HeaderValue::from_static("key"));
            let rivals = |(other, value): (&HeaderName, &HeaderValue)| {
                (other.as_str().replace('_', "-") == "x-t-k").then(|| value.clone())
            };
            assert_eq!(headers.iter().filter_map(rivals).collect::<Vec<_>>(), ["key"], "{name}");
            assert_eq!(headers.len(), 3, "{name}");
        }
    }

    #[test]
    fn what_connection_names_is_removed_whatever_else_it_holds() {
        let mut headers = map(&[("x-hop", "1"), ("x-end", "1")]);
        let value = HeaderValue::from_bytes(b"\xe9, x-hop").unwrap();
        headers.insert(header::CONNECTION, value);
        strip_request(&mut headers);
        assert_eq!(names(&headers), ["x-end"]);
    }

    #[test]
    fn a_backend_cannot_act_on_our_origin() {
        let mut headers = map(&[
            ("content-type", "text/event-stream"),
            ("content-encoding", "gzip"),
            ("content-length", "5"),
            ("mcp-session-id", "s"),
            ("mcp-protocol-version", "2025-06-18"),
            ("retry-after", "3"),
            ("set-cookie", "a=b"),
            ("www-authenticate", "Bearer"),
            ("alt-svc", "h3"),
            ("strict-transport-security", "max-age=1"),
            ("clear-site-data", "*"),
            ("content-location", "/x"),
            ("link", "</x>"),
            ("refresh", "0"),
            ("location", "http://backend/"),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "*"),
            ("nel", "{}"),
            ("report-to", "{}"),
            ("reporting-endpoints", "a=\"/x\""),
            ("accept-ch", "DPR"),
            ("service-worker-allowed", "/"),
            ("x-accel-redirect", "/x"),
            ("x-accel-buffering", "no"),
            ("x-error-source", "proxy"),
        ]);
        strip_response(&mut headers);
        let mut passed = names(&headers);
        passed.sort_unstable();
        assert_eq!(
            passed,
            [
                "cache-control",
                "content-encoding",
                "content-length",
                "content-type",
                "mcp-protocol-version",
                "mcp-session-id",
                "retry-after"
            ]
        );
    }

    #[test]
    fn answers_are_never_kept_by_shared_caches() {
        for (sent, given) in [
            ("public, max-age=60", "private, max-age=60"),
            ("max-age=60 , PUBLIC", "max-age=60, private"),
            ("no-cache", "no-cache"),
            ("private", "private"),
        ] {
            let mut headers = map(&[("cache-control", sent)]);
            strip_response(&mut headers);
            assert_eq!(headers["cache-control"], given);
        }
    }

    /// Names that must not get past, by any spelling of the rule.
    fn is_withheld(name: &str) -> bool {
        let prefixes = "x-forwarded- x-ms-client-principal x-ms-token- x-amzn-oidc- x-goog-iap-";
        let names = "cf-access-jwt-assertion x-original-url x-rewrite-url x-http-method-override \
                     host expect origin api-key x-api-key authorization cookie forwarded x-real-ip \
                     connection keep-alive proxy-connection te trailer transfer-encoding upgrade \
                     proxy-authenticate proxy-authorization content-length";
        name.contains('_')
            || prefixes.split_whitespace().any(|prefix| name.starts_with(prefix))
            || names.split_whitespace().any(|withheld| withheld == name)
    }

    /// Names by which a backend could act on our origin, or that are of the hop.
    fn is_kept_from_clients(name: &str) -> bool {
        let names = "set-cookie www-authenticate alt-svc strict-transport-security \
                     clear-site-data content-location link refresh location x-error-source \
                     connection keep-alive proxy-connection te trailer transfer-encoding upgrade \
                     proxy-authenticate proxy-authorization nel report-to reporting-endpoints \
                     accept-ch service-worker-allowed";
        name.starts_with("access-control-")
            || name.starts_with("x-accel-")
            || names.split_whitespace().any(|kept| kept == name)
    }

    type Sent = (Vec<(String, String)>, Option<String>);

    /// Headers, names of `special` among them, and perhaps one that Connection names.
    fn sent(special: &str) -> impl Strategy<Value = Sent> {
        let name = format!("(mcp-[a-z]{{1,6}}|x-[a-z]{{1,8}}|{special}|[a-z]{{1,6}})");
        let name = proptest::string::string_regex(&name).unwrap();
        let headers = proptest::collection::vec((name, "[ -~]{0,12}"), 0..12);
        (headers, proptest::option::of("x-[a-z]{1,8}"))
    }

    /// Whether `strip` takes off what is `withheld` and what Connection names, and nothing else.
    fn strips_only(
        (sent, named): Sent,
        strip: impl Fn(&mut HeaderMap),
        withheld: impl Fn(&str) -> bool,
    ) -> Result<(), TestCaseError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &sent {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        if let Some(named) = &named {
            headers.append(header::CONNECTION, named.parse().unwrap());
        }
        let before = headers.clone();
        strip(&mut headers);
        for name in before.keys() {
            let passed: Vec<_> = headers.get_all(name).iter().collect();
            if withheld(name.as_str()) || named.as_deref() == Some(name.as_str()) {
                prop_assert!(passed.is_empty(), "{} got past", name);
            } else {
                prop_assert_eq!(passed, before.get_all(name).iter().collect::<Vec<_>>());
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_other_request_header_passes_with_all_its_values(
            sent in sent(
                "te|cookie|accept|[a-z]{0,3}_[a-z_]{0,3}|cf-access-jwt-assertion|x-original-url|\
                 x-(forwarded|ms-token|ms-client-principal|amzn-oidc|goog-iap)-[a-z]{1,5}",
            ),
        ) {
            strips_only(sent, |headers| drop(strip_request(headers)), is_withheld)?;
        }

        #[test]
        fn every_other_response_header_passes_with_all_its_values(
            sent in sent("set-cookie|link|nel|accept-ch|(access-control|x-accel)-[a-z]{1,5}"),
        ) {
            strips_only(sent, strip_response, is_kept_from_clients)?;
        }

        /// Whatever a backend says, no shared cache is told to keep an answer.
        #[test]
        fn no_answer_is_public(
            sent in proptest::collection::vec(
                "(public|PUBLIC|private|no-cache|max-age=[0-9]|public-x)?[ ,]{1,3}(Public|x)?",
                0..4,
            ),
        ) {
            let mut headers = HeaderMap::new();
            for value in &sent {
                headers.append(header::CACHE_CONTROL, value.parse().unwrap());
            }
            strip_response(&mut headers);
            prop_assert!(headers.contains_key(header::CACHE_CONTROL));
            for value in headers.get_all(header::CACHE_CONTROL) {
                for directive in value.to_str().unwrap().split(',') {
                    prop_assert!(!directive.trim().eq_ignore_ascii_case("public"));
                }
            }
        }
    }
}
