//! What somebody signs in for at Microsoft.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::catalog;
use crate::catalog::owner::token;
use crate::catalog::seal::Place;
use crate::identity::ticket;

/// How long ago somebody may have signed in at Microsoft to show who they are, in seconds.
pub(super) const MAX_AGE_SECONDS: i64 = 300;

pub(super) type Ticket = ticket::Ticket<Journey>;

#[derive(Serialize, Deserialize)]
pub(super) struct Journey {
    /// What the ID token must hold (OpenID Connect Core 1.0, 3.1.2.1).
    pub nonce: String,
    /// Where to go on to.
    pub next: String,
    /// The one-time link that is being redeemed, if there is one.
    pub invitation: Option<String>,
    /// The session whose owner shows once more who they are, where nobody signs in.
    pub confirms: Option<String>,
    /// The session whose owner adds an account by that link; nobody signs in there either.
    pub adds: Option<String>,
}

impl Journey {
    pub(super) fn new(next: &str, invitation: Option<&SecretString>) -> catalog::Result<Self> {
        Ok(Self {
            nonce: token::random()?.expose_secret().to_owned(),
            next: next.to_owned(),
            invitation: invitation.map(|token| token.expose_secret().to_owned()),
            confirms: None,
            adds: None,
        })
    }
}

impl ticket::Journey for Journey {
    const PLACE: Place<'static> = Place { table: "entra", row: "sign-in", column: "ticket" };
}
