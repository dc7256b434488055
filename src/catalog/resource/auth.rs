//! How a backend wants its key.

use std::fmt;
use std::str::FromStr;

use http::header::{self, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::catalog::validate::quoted;

/// The header that carries the backend key.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Auth {
    /// `api-key: K`
    #[default]
    ApiKey,
    /// `Authorization: Bearer K`
    Bearer,
    None,
    /// `<name>: K`
    Header(HeaderName),
}

impl Auth {
    /// Headers that frame or route a message, or belong to one connection: a key in
    /// one of these could break requests apart.
    pub(in crate::catalog) const REFUSED: [&str; 12] = [
        "host",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "upgrade",
        "expect",
    ];

    /// Headers that begin so belong to MCP.
    pub(in crate::catalog) const REFUSED_PREFIX: &str = "mcp-";

    /// The header to send with `key`. `None` where the key cannot stand in a
    /// header, which validation excludes.
    pub(super) fn header(&self, key: &SecretString) -> Option<(HeaderName, HeaderValue)> {
        let key = key.expose_secret();
        let (name, value) = match self {
            Auth::ApiKey => (HeaderName::from_static("api-key"), HeaderValue::from_str(key)),
            Auth::Bearer => {
                (header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}")))
            }
            Auth::Header(name) => (name.clone(), HeaderValue::from_str(key)),
            Auth::None => return None,
        };
        let mut value = value.ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Auth::ApiKey => f.write_str("api-key"),
            Auth::Bearer => f.write_str("bearer"),
            Auth::None => f.write_str("none"),
            Auth::Header(name) => write!(f, "header:{name}"),
        }
    }
}

impl Auth {
    /// Reads what is stored, also where today's rule would refuse it.
    ///
    /// # Errors
    /// A key cannot be sent in this way.
    pub(super) fn stored(text: &str) -> Result<Self, String> {
        match text.trim() {
            "api-key" => Ok(Auth::ApiKey),
            "bearer" => Ok(Auth::Bearer),
            "none" => Ok(Auth::None),
            text => {
                let name = text
                    .strip_prefix("header:")
                    .ok_or("must be api-key, bearer, none or header:<Name>")?
                    .trim();
                let name =
                    name.parse().map_err(|_| format!("{} is not a header name", quoted(name)))?;
                Ok(Auth::Header(name))
            }
        }
    }
}

impl FromStr for Auth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let auth = Self::stored(text)?;
        if let Auth::Header(name) = &auth {
            // Many servers read an underscore as a hyphen.
            let read = name.as_str().replace('_', "-");
            if Self::REFUSED.contains(&&*read) || read.starts_with(Self::REFUSED_PREFIX) {
                return Err(format!("the header {name} cannot carry a key; name another"));
            }
        }
        Ok(auth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_as_it_is_written() {
        for text in ["api-key", "bearer", "none", "header:x-token", "header:authorization"] {
            assert_eq!(text.parse::<Auth>().unwrap().to_string(), text);
        }
        assert_eq!("header: X-Token ".parse::<Auth>().unwrap().to_string(), "header:x-token");
        assert_eq!(Auth::default(), Auth::ApiKey);
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_can_be_read_again(
            text in "[ \t]{0,2}(api-key|bearer|none|header:[ -~]{0,12}|header: ?[A-Za-z0-9_.-]{1,300})[ ]{0,2}",
        ) {
            if let Ok(auth) = text.parse::<Auth>() {
                proptest::prop_assert_eq!(auth.to_string().parse(), Ok(auth));
            }
        }
    }

    #[test]
    fn a_header_that_frames_or_routes_cannot_carry_a_key() {
        for name in [
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "TE",
            "Trailer",
            "Connection",
            "Keep-Alive",
            "Proxy-Connection",
            "Proxy-Authorization",
            "Upgrade",
            "Mcp-Session-Id",
            "MCP-Protocol-Version",
            "Mcp_Session_Id",
            "content_length",
            "Transfer_Encoding",
            "",
            "a b",
            "a:b",
            "é",
            "x\r\ny",
        ] {
            assert!(format!("header:{name}").parse::<Auth>().is_err(), "{name}");
        }
        for text in ["", "API-KEY", "basic", "header", "x-token"] {
            assert!(text.parse::<Auth>().is_err(), "{text}");
        }
    }
}
