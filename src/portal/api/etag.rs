//! Entity tags: which version of an event, a resource or an attendee an answer shows, and the
//! condition that a change is made to that version only (RFC 9110, section 13.1.1).
//!
//! A tag is a keyed digest of the answer and of the secret that the answer leaves out. So it
//! changes with a key or a shared code as well, is the same on every replica, and tells nothing.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, HeaderValue, IF_MATCH};
use http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use zeroize::Zeroizing;

use super::error::ApiError;
use crate::catalog::seal::Vault;
use crate::portal::Site;

/// Hexadecimal digits of a tag.
const DIGITS: usize = 32;

/// What `If-Match` looks like, for the description.
pub const PATTERN: &str = concat!(
    r#"^(?:\*|(?:W/)?"[\x21\x23-\x7E]*""#,
    r#"(?:[ \t]*,[ \t]*(?:W/)?"[\x21\x23-\x7E]*")*)$"#
);

/// A strong tag, without its quotes.
#[derive(Debug)]
pub struct Tag(String);

impl Tag {
    /// # Errors
    /// The answer cannot be written as JSON.
    pub fn of<T: Serialize>(
        vault: &Vault,
        answer: &T,
        secret: Option<&SecretString>,
    ) -> Result<Self, ApiError> {
        let shown = serde_json::to_string(answer).map_err(ApiError::internal)?;
        let secret = secret.map(ExposeSecret::expose_secret);
        // JSON holds no line break of its own. No API key, of which there are such digests as
        // well, begins so.
        let presence = if secret.is_some() { "with" } else { "without" };
        let all = format!("etag\n{shown}\n{presence}\n{}", secret.unwrap_or_default());
        let mut digits = vault.digest(&Zeroizing::new(all)).hex();
        digits.truncate(DIGITS);
        Ok(Self(digits))
    }

    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("\"{}\"", self.0)).ok()
    }
}

/// An answer with its tag.
pub struct Tagged<T>(pub Tag, pub T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let Self(tag, body) = self;
        let mut response = Json(body).into_response();
        response.headers_mut().extend(tag.header().map(|tag| (ETAG, tag)));
        response
    }
}

/// The condition that a call brings, if it does.
#[derive(Default)]
pub struct IfMatch(Option<Wanted>);

#[derive(Debug, PartialEq)]
enum Wanted {
    Any,
    /// Weak tags match nothing, so they are not kept.
    OneOf(Vec<Vec<u8>>),
}

impl IfMatch {
    /// Whether the call may change a row with this tag; a row that cannot be read has none.
    ///
    /// # Errors
    /// The condition does not hold.
    pub fn check(
        &self,
        current: impl FnOnce() -> Result<Option<Tag>, ApiError>,
    ) -> Result<(), ApiError> {
        let Some(Wanted::OneOf(tags)) = &self.0 else { return Ok(()) };
        let current = current()?;
        let matches = |current: &Tag| tags.iter().any(|tag| tag == current.0.as_bytes());
        if current.as_ref().is_some_and(matches) {
            return Ok(());
        }
        Err(ApiError::precondition_failed(current.as_ref().and_then(Tag::header)))
    }
}

impl FromRequestParts<Site> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Site) -> Result<Self, ApiError> {
        let given: Vec<_> =
            parts.headers.get_all(IF_MATCH).iter().map(HeaderValue::as_bytes).collect();
        if given.is_empty() {
            return Ok(Self(None));
        }
        // Several headers are one list.
        let wanted = parse(&given.join(&b','));
        wanted.map(|wanted| Self(Some(wanted))).ok_or_else(ApiError::malformed_if_match)
    }
}

fn parse(header: &[u8]) -> Option<Wanted> {
    if header.trim_ascii() == b"*" {
        return Some(Wanted::Any);
    }
    let (mut rest, mut tags, mut is_empty) = (header, Vec::new(), true);
    loop {
        // Empty elements of a list count for nothing.
        let is_between = |byte: &u8| matches!(byte, b' ' | b'\t' | b',');
        rest = &rest[rest.iter().take_while(|byte| is_between(byte)).count()..];
        if rest.is_empty() {
            return (!is_empty).then_some(Wanted::OneOf(tags));
        }
        is_empty = false;
        let strong = rest.strip_prefix(b"W/");
        let quoted = strong.unwrap_or(rest).strip_prefix(b"\"")?;
        let end = quoted.iter().position(|byte| *byte == b'"')?;
        let (tag, after) = quoted.split_at(end);
        if tag.iter().any(|byte| !matches!(byte, 0x21..=0x7e | 0x80..)) {
            return None;
        }
        if strong.is_none() {
            tags.push(tag.to_vec());
        }
        rest = after.get(1..)?.trim_ascii_start();
        if !rest.is_empty() && !rest.starts_with(b",") {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::string::string_regex;

    use super::*;

    fn tags(header: &str) -> Option<Vec<String>> {
        match parse(header.as_bytes())? {
            Wanted::Any => Some(vec!["*".to_owned()]),
            Wanted::OneOf(tags) => {
                Some(tags.into_iter().map(|tag| String::from_utf8(tag).unwrap()).collect())
            }
        }
    }

    #[test]
    fn a_condition_is_a_star_or_a_list_of_tags() {
        let list = |tags: &[&str]| Some(tags.iter().map(|tag| (*tag).to_owned()).collect());
        assert_eq!(tags(" * "), list(&["*"]));
        assert_eq!(tags(r#""a""#), list(&["a"]));
        assert_eq!(tags(r#""a", "b,c" ,,"*", """#), list(&["a", "b,c", "*", ""]));
        assert_eq!(tags(r#"W/"a""#), list(&[]), "a weak one matches nothing");
        assert_eq!(tags(r#"W/"a","b""#), list(&["b"]));
        for wrong in [
            "",
            ",",
            "a",
            "\"a",
            "a\"",
            "w/\"a\"",
            "\"a\"\"b\"",
            "\"a b\"",
            "*,\"a\"",
            "\"a\",*",
            "\"\u{7f}\"",
        ] {
            assert_eq!(tags(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_the_pattern_takes_is_a_condition(
            header in string_regex(PATTERN.trim_matches(['^', '$'])).unwrap(),
        ) {
            prop_assert!(parse(header.as_bytes()).is_some(), "{header:?}");
        }
    }
}
