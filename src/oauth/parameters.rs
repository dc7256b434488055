//! The parameters of a request, from its query or its form: each at most once, save `resource`, and one
//! that is empty counts as left out (RFC 6749 §3.1).

use url::form_urlencoded;

use super::error::{Code, OauthError};

pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn read(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The values of a parameter that may be repeated.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a parameter, if it was sent.
    ///
    /// # Errors
    /// It was sent more than once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, OauthError> {
        match self.all(name)[..] {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => {
                let description = "A parameter was sent more than once.";
                Err(OauthError::new(Code::InvalidRequest, description))
            }
        }
    }

    /// The value of a parameter that must be sent; `missing` says that it was not.
    ///
    /// # Errors
    /// It was not sent, or more than once.
    pub(super) fn required(&self, name: &str, missing: &'static str) -> Result<&str, OauthError> {
        self.one(name)?.ok_or(OauthError::new(Code::InvalidRequest, missing))
    }
}
