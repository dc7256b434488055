//! In what coding a JSON-RPC body comes, by its headers.
//!
//! Some backends inflate a body, or decode it from UTF-7, before they parse it.
//! What is in such a body cannot be counted here: a thousand calls fit into a
//! hundred bytes of gzip, and `+AG0-ethod` is `method` to a reader of UTF-7.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// Whether the body is to be read as it lies there: as UTF-8, without a
/// content coding. JSON has no other charset (RFC 8259 §8.1). A value that is no
/// visible ASCII is read by each backend in its own way, hence as anything.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    let types = headers.get_all(CONTENT_TYPE).iter();
    codings.map(|value| value.to_str().unwrap_or("?")).all(is_identity)
        && types.map(|value| value.to_str()).all(|value| value.is_ok_and(has_utf8_only))
}

fn is_identity(codings: &str) -> bool {
    let mut codings = codings.split(',').map(str::trim);
    codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
}

/// Whether every `charset` in a media type, wherever it stands, says UTF-8.
fn has_utf8_only(media_type: &str) -> bool {
    if media_type.eq_ignore_ascii_case("application/json") {
        return true;
    }
    let media_type = media_type.to_ascii_lowercase();
    let says_utf8 = |parameter: &&str| {
        parameter.split_once('=').is_some_and(|(name, value)| {
            let value = value.trim().trim_matches('"');
            name.trim() == "charset" && matches!(value, "utf-8" | "utf8" | "us-ascii")
        })
    };
    media_type.matches("charset").count() == media_type.split(';').filter(says_utf8).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bodies_in_plain_utf_8_can_be_counted() {
        let judge = |name: &'static str, values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name, value.parse().unwrap());
            }
            is_plain(&headers)
        };
        for good in ["application/json", "application/json; charset=UTF-8", "a/b;charset=\"utf-8\""]
        {
            assert!(judge("content-type", &[good]), "{good}");
        }
        for bad in [
            &["application/json; charset=utf-7"][..],
            &["application/json; CHARSET = \"UTF-16\""],
            &["application/json; charset=utf-8; charset=utf-7"],
            &["application/json", "application/json; charset=utf-7"],
            &["application/json, charset=utf-7"],
            &["application/json; charset*=utf-7''x"],
        ] {
            assert!(!judge("content-type", bad), "{bad:?}");
        }
        for name in ["content-type", "content-encoding"] {
            let value = b"application/json; x=\"\xe9\"; charset=utf-7";
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                http::HeaderValue::from_bytes(value).unwrap(),
            )]);
            assert!(!is_plain(&headers), "{name}");
        }
        assert!(judge("content-encoding", &[]));
        assert!(judge("content-encoding", &["identity", "Identity, identity"]));
        for bad in [&["gzip"][..], &["identity, br"], &["identity", "deflate"], &["x-gzip"]] {
            assert!(!judge("content-encoding", bad), "{bad:?}");
        }
    }
}
