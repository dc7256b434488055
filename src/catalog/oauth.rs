//! What attendees have allowed MCP clients that sign in without a key: a *grant* for each consent, its
//! authorization code, and the access and refresh tokens issued for it.
//!
//! Codes and tokens are found by a keyed digest, which is all that is stored of them. No digest can be
//! computed again, so those under an old master key end when that key is taken away: by then clients
//! have refreshed theirs. Backups hold none of it. What the protocol asks of a client, and who
//! may still use a grant, is decided by the callers.

mod code;
mod expire;
mod grant;
mod token;

use secrecy::{ExposeSecret, SecretString};

pub use self::code::{AuthorizationCode, NewCode, authorize, redeem};
pub use self::expire::expire;
pub use self::grant::{ConnectedApp, Grant, NewGrant, connected};
pub(super) use self::grant::{end_all_in, end_in};
pub use self::token::{AccessToken, TokenPair, find_access, revoke, rotate};
use super::Result;
use super::owner::token::random;
use super::seal::Vault;

/// How long an access token is good for, as clients are told.
pub const ACCESS_MS: i64 = 12 * 60 * 60_000;

/// How long it is accepted beyond that: a client that looks at its clock and then calls is not late.
pub const LEEWAY_MS: i64 = 60_000;

/// How long an authorization code is good for.
pub const CODE_MS: i64 = 60_000;

/// How long after its first use a refresh token gives another pair of tokens: several windows of an
/// editor share one store, and an answer can get lost.
pub const GRACE_MS: i64 = 10 * 60_000;

/// What access tokens begin with, so that they are told from keys and found by scanners for secrets.
pub const ACCESS_PREFIX: &str = "aipx_at_";

const REFRESH_PREFIX: &str = "aipx_rt_";

const CODE_PREFIX: &str = "aipx_ac_";

/// A new code or token.
fn new_secret(prefix: &str) -> Result<SecretString> {
    Ok(SecretString::from(format!("{prefix}{}", random()?.expose_secret())))
}

/// The digest under which a code or token is stored.
fn digest(vault: &Vault, secret: &SecretString) -> String {
    vault.digest(secret.expose_secret()).hex()
}

/// The digests under which one that was presented may be stored: that of the current master key and,
/// while keys are being changed, that of the old one. Without an old one it is the same twice.
fn digests(vault: &Vault, presented: &str) -> [String; 2] {
    let current = vault.digest(presented);
    [current.hex(), vault.old_digest(presented).unwrap_or(current).hex()]
}
