//! The browser's trip to Entra: the request that it carries there and the response that it brings
//! back.
//!
//! The `oauth2` crate is not used for this: it brings `chrono`, which deny.toml bans, and its errors
//! keep the whole answer of the token endpoint, including tokens.

use std::net::IpAddr;

use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

use super::journey::{MAX_AGE_SECONDS, Ticket};
use crate::catalog::owner::session::OwnerSession;
use crate::oauth::pkce;

/// A sign-in that has begun.
pub struct AuthorizationRequest {
    /// Where to send the browser.
    pub url: String,
    /// What the browser keeps until it is back.
    pub ticket: String,
}

/// What the browser brings back.
pub struct AuthorizationResponse<'a> {
    pub ticket: &'a str,
    pub state: &'a str,
    pub code: Option<&'a SecretString>,
    pub error: Option<&'a str>,
    pub error_description: &'a str,
    pub source: IpAddr,
    /// The session of this browser, where somebody is signed in.
    pub session: Option<&'a OwnerSession>,
}

/// Where the browser is sent: the request of the code flow with PKCE (RFC 6749, 4.1.1; RFC 7636,
/// 4.3), for a person's ID token (OpenID Connect Core 1.0, 3.1.2.1).
pub(super) fn url(endpoint: &Url, client_id: Uuid, ticket: &Ticket) -> String {
    let mut url = endpoint.clone();
    url.query_pairs_mut()
        .append_pair("client_id", &client_id.to_string())
        .append_pair("response_type", "code")
        .append_pair("response_mode", "query")
        .append_pair("redirect_uri", &ticket.redirect_uri)
        .append_pair("scope", "openid profile")
        .append_pair("state", &ticket.state)
        .append_pair("nonce", &ticket.journey.nonce)
        .append_pair("code_challenge", &pkce::challenge(&ticket.verifier))
        .append_pair("code_challenge_method", "S256");
    match ticket.journey.confirms {
        // Entra asks again who it is, and says in the ID token when they answered.
        Some(_) => url
            .query_pairs_mut()
            .append_pair("prompt", "login")
            .append_pair("max_age", &MAX_AGE_SECONDS.to_string()),
        // Whoever was refused with one account must be able to take another.
        None => url.query_pairs_mut().append_pair("prompt", "select_account"),
    };
    url.into()
}

/// Entra's number for what was wrong, else the code of the standard: what may be
/// shown and logged of texts that hold names and come by way of the browser.
pub(super) fn error_code(error: &str, description: &str) -> String {
    let number = description.split_once("AADSTS").map(|(_, rest)| rest);
    let digits: String =
        number.unwrap_or_default().chars().take_while(char::is_ascii_digit).take(9).collect();
    if digits.is_empty() {
        error.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(64).collect()
    } else {
        format!("AADSTS{digits}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_error_only_its_code_is_kept() {
        let long = "x".repeat(100);
        for (error, description, code) in [
            ("access_denied", "AADSTS50105: ada@example.org is not assigned", "AADSTS50105"),
            ("server_error", "something", "server_error"),
            ("<b>bad\n", "AADSTS", "bbad"),
            (&long, "", &long[..64]),
        ] {
            assert_eq!(error_code(error, description), code);
        }
    }
}
