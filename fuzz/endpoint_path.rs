//! Path joining: whatever remainder and query a client sends, the backend gets
//! a path under the endpoint's own, as the strictest normaliser reads it, and
//! the endpoint's own parameters unchanged.

#![no_main]

use ai_proxy::proxy::endpoint_path::{check, join};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::{Corpus, fuzz_target};
use percent_encoding::percent_decode_str;
use url::Url;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// Path and query of the endpoint URL, as an owner typed them.
    endpoint: &'a str,
    /// What follows the deployment name, as a client typed it.
    rest: &'a str,
    query: Option<&'a str>,
}

fuzz_target!(|input: Input| -> Corpus {
    let Ok(endpoint) = Url::parse(&format!("http://backend.test/{}", input.endpoint)) else {
        return Corpus::Reject;
    };
    // What arrives has passed the HTTP parser.
    let query = input.query.map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(sent) = format!("/{}{query}", input.rest).parse::<http::Uri>() else {
        return Corpus::Reject;
    };
    let rest = if sent.path() == "/" { "" } else { sent.path() };
    assert_eq!(check(rest).is_err(), is_ambiguous(rest), "{rest}");
    if check(rest).is_err() {
        return Corpus::Keep;
    }

    let joined = join(endpoint.path(), endpoint.query(), rest, sent.query());
    assert!(joined.parse::<http::Uri>().is_ok(), "{joined} can be sent");
    let path = joined.split('?').next().unwrap_or_default();
    assert!(
        path.trim_end_matches('/').ends_with(rest.trim_end_matches('/')),
        "{path} lacks {rest}"
    );

    let read = Url::parse(&format!("http://backend.test{joined}")).expect("a URL");
    assert_eq!(read.host_str(), Some("backend.test"));
    let decoded = |path: &str| percent_decode_str(path).collect::<Vec<u8>>();
    assert_eq!(decoded(read.path()), decoded(path), "{path} is read as {}", read.path());
    let own = endpoint.path().trim_end_matches('/');
    let below = read.path().strip_prefix(own).expect("under the endpoint's path");
    assert!(below.is_empty() || below.starts_with('/'), "{joined} is beside {own}");

    for (name, _) in endpoint.query_pairs() {
        let values = |url: &Url| -> Vec<String> {
            let named = url.query_pairs().filter(|pair| pair.0 == name);
            named.map(|pair| pair.1.into_owned()).collect()
        };
        // Bytes that are no UTF-8 all read as one replacement character.
        if !name.contains(char::REPLACEMENT_CHARACTER) {
            assert_eq!(values(&read), values(&endpoint), "{name} in {joined}");
        }
    }
    Corpus::Keep
});

/// The rule of the contract, told by substitution instead of by decoding.
fn is_ambiguous(rest: &str) -> bool {
    let text = rest.to_ascii_lowercase();
    let has_control = (0..=0x1f_u8)
        .chain([0x7f])
        .any(|byte| text.contains(&format!("%{byte:02x}")) || text.contains(char::from(byte)));
    let text = text.replace("%2e", ".").replace("%3b", ";");
    let mut segments: Vec<&str> = text.split('/').skip(1).collect();
    if segments.last() == Some(&"") {
        segments.pop();
    }
    has_control
        || ["\\", "%5c", "%2f"].iter().any(|bad| text.contains(bad))
        || segments
            .iter()
            .any(|segment| matches!(segment.split(';').next(), None | Some("" | "." | "..")))
}
