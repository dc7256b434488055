//! The cookies by which a load balancer keeps a session at one instance of a server
//! (Azure Container Apps, AWS ALB): read from answers, sent back as one header.
//!
//! They belong to one session at one origin, so their path and domain are ignored. They are
//! dropped with the session, so an expiry counts only if it lies in the past. Clients of the
//! proxy never see them.

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

/// Largest `Cookie` header that is kept, in bytes.
pub(crate) const LARGEST: usize = 2_048;

/// The cookies have more than [`LARGEST`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// A cookie that is kept.
struct Cookie<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

/// A parsed `Set-Cookie` (RFC 6265 §5.2, as far as it matters here).
struct Set<'a> {
    cookie: Cookie<'a>,
    is_secure: bool,
    is_over: bool,
}

/// The `Cookie` header after an answer, where `kept` was the one before it. A cookie
/// replaces one of the same name.
///
/// # Errors
/// [`TooLarge`]: then none is to be sent.
pub(crate) fn collect(
    kept: Option<&HeaderValue>,
    answer: &HeaderMap,
    is_https: bool,
) -> Result<Option<HeaderValue>, TooLarge> {
    let mut cookies = read(kept);
    for set in answer.get_all(SET_COOKIE).iter().filter_map(parse) {
        if set.is_secure && !is_https {
            continue;
        }
        cookies.retain(|cookie| cookie.name != set.cookie.name);
        if !set.is_over {
            cookies.push(set.cookie);
        }
    }
    write(&cookies)
}

/// The `Cookie` header after a later answer of the session, if it is another one: only
/// cookies that the session has are replaced.
///
/// # Errors
/// [`TooLarge`]: then none is to be sent.
pub(crate) fn renew(
    kept: &HeaderValue,
    answer: &HeaderMap,
    is_https: bool,
) -> Result<Option<HeaderValue>, TooLarge> {
    let mut cookies = read(Some(kept));
    for set in answer.get_all(SET_COOKIE).iter().filter_map(parse) {
        let same = cookies.iter_mut().find(|cookie| cookie.name == set.cookie.name);
        if let Some(cookie) = same.filter(|_| is_https || !set.is_secure) {
            *cookie = set.cookie;
        }
    }
    Ok(write(&cookies)?.filter(|renewed| renewed != kept))
}

/// Both in one header, where the backend key is a cookie as well.
pub(crate) fn beside(key: &HeaderValue, kept: &HeaderValue) -> HeaderValue {
    let both = [key.as_bytes(), kept.as_bytes()].join(&b"; "[..]);
    // Parts of header values make a header value.
    let mut both = HeaderValue::from_bytes(&both).unwrap_or_else(|_| key.clone());
    both.set_sensitive(true);
    both
}

fn read(header: Option<&HeaderValue>) -> Vec<Cookie<'_>> {
    let bytes = header.map(HeaderValue::as_bytes).unwrap_or_default();
    bytes.split(|byte| *byte == b';').filter_map(pair).collect()
}

fn write(cookies: &[Cookie<'_>]) -> Result<Option<HeaderValue>, TooLarge> {
    if cookies.is_empty() {
        return Ok(None);
    }
    let pairs: Vec<_> =
        cookies.iter().map(|cookie| [cookie.name, cookie.value].join(&b'=')).collect();
    let header = pairs.join(&b"; "[..]);
    if header.len() > LARGEST {
        return Err(TooLarge);
    }
    // Every byte was checked to be visible.
    let Ok(mut header) = HeaderValue::from_bytes(&header) else { return Ok(None) };
    header.set_sensitive(true);
    Ok(Some(header))
}

fn parse(header: &HeaderValue) -> Option<Set<'_>> {
    let mut parts = header.as_bytes().split(|byte| *byte == b';');
    let cookie = pair(parts.next()?)?;
    let mut set = Set { cookie, is_secure: false, is_over: false };
    for attribute in parts {
        let attribute = attribute.trim_ascii();
        if attribute.eq_ignore_ascii_case(b"secure") {
            set.is_secure = true;
        } else if let Some(Cookie { name, value }) = pair(attribute)
            && name.eq_ignore_ascii_case(b"max-age")
        {
            set.is_over = value == b"0" || value.starts_with(b"-");
        }
    }
    Some(set)
}

/// `name=value`, if both can be sent as they are.
fn pair(text: &[u8]) -> Option<Cookie<'_>> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (text[..at].trim_ascii(), text[at + 1..].trim_ascii());
    let is_plain = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    (!name.is_empty() && is_plain(name) && is_plain(value)).then_some(Cookie { name, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(cookies: &[&str]) -> HeaderMap {
        cookies.iter().map(|cookie| (SET_COOKIE, cookie.parse().unwrap())).collect()
    }

    fn after(kept: &'static str, cookies: &[&str], is_https: bool) -> String {
        let kept = (!kept.is_empty()).then(|| HeaderValue::from_static(kept));
        let header = collect(kept.as_ref(), &answer(cookies), is_https).unwrap();
        header.map(|header| header.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn all_cookies_of_an_answer_are_kept_as_one_header() {
        let aws = ["AWSALB=a+b/c=; Expires=Thu, 03 Dec 2026 20:00:00 GMT; Path=/", "AWSALBCORS=x"];
        assert_eq!(after("", &aws, false), "AWSALB=a+b/c=; AWSALBCORS=x");
        assert_eq!(after("a=1; b=2", &["a=3; HttpOnly"], false), "b=2; a=3");
        assert_eq!(after("a=1; b=2", &["a=; Max-Age=0"], false), "b=2");
        assert_eq!(after("a=1", &["a=; max-age=-5"], false), "");
        assert_eq!(after("", &[], false), "");
        for nonsense in ["", "=x", "a", ";", "a\u{e9}=1", "a=\t\u{7f}"] {
            let header = HeaderValue::from_bytes(nonsense.as_bytes()).ok();
            let headers = header.into_iter().map(|value| (SET_COOKIE, value)).collect();
            assert_eq!(collect(None, &headers, false), Ok(None), "{nonsense:?}");
        }
    }

    #[test]
    fn a_secure_cookie_is_sent_over_tls_only() {
        let azure = ["acaAffinity=\"7c\"; Path=/; HttpOnly; SECURE; SameSite=None"];
        assert_eq!(after("", &azure, true), "acaAffinity=\"7c\"");
        assert_eq!(after("", &azure, false), "");
    }

    #[test]
    fn a_later_answer_replaces_only_what_the_session_has() {
        let kept = HeaderValue::from_static("a=1; b=2");
        let renewed = |cookies: &[&str]| renew(&kept, &answer(cookies), false).unwrap();
        assert_eq!(renewed(&["c=3", "a=1"]), None);
        assert_eq!(renewed(&["b=4", "c=3"]).unwrap(), "a=1; b=4");
        assert_eq!(renewed(&["b=4; Secure"]), None);
        let large = format!("a={}", "x".repeat(LARGEST));
        assert_eq!(renew(&kept, &answer(&[&large]), false), Err(TooLarge));
    }

    #[test]
    fn cookies_that_are_too_large_are_not_kept_and_none_is_printed() {
        let largest = format!("a={}", "x".repeat(LARGEST - 2));
        let kept = collect(None, &answer(&[&largest]), false).unwrap().unwrap();
        assert_eq!(kept.len(), LARGEST);
        assert!(!format!("{kept:?}").contains('x'), "cookies are secrets");
        let large = format!("{largest}x");
        assert_eq!(collect(None, &answer(&[&large]), false), Err(TooLarge));
    }
}
