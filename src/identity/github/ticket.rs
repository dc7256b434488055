//! What a browser keeps while somebody is away at GitHub: sealed, so that it is ours and unread, and
//! good for ten minutes.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::catalog;
use crate::catalog::owner::token;
use crate::catalog::seal::{Place, Vault};

/// How long a sign-in may take, in seconds: what its cookie says as well.
pub(crate) const VALID_SECONDS: i64 = 600;

const PLACE: Place<'static> = Place { table: "github", row: "sign-in", column: "ticket" };

/// What somebody signs in for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose {
    /// The event that they sign in to.
    pub event_id: String,
    /// Where on this site they go then, and where they begin again if nothing came of it.
    pub next: String,
}

/// Of one sign-in.
#[derive(Serialize, Deserialize)]
pub(super) struct Ticket {
    /// What the way back must carry (RFC 6749, 10.12).
    pub state: String,
    /// What proves that the code is redeemed by whoever asked for it (RFC 7636).
    pub verifier: String,
    pub redirect_uri: String,
    pub purpose: Purpose,
    /// UTC milliseconds.
    pub expires_at: i64,
}

impl Ticket {
    pub(super) fn new(
        redirect_uri: String,
        purpose: Purpose,
        now_ms: i64,
    ) -> catalog::Result<Self> {
        let token = || Ok::<_, catalog::Error>(token::random()?.expose_secret().to_owned());
        Ok(Self {
            state: token()?,
            verifier: token()?,
            redirect_uri,
            purpose,
            expires_at: now_ms + VALID_SECONDS * 1000,
        })
    }

    pub(super) fn seal(&self, vault: &Vault) -> catalog::Result<String> {
        let text = serde_json::to_string(self).map_err(|_| catalog::seal::Error::Failed)?;
        Ok(vault.seal(PLACE, &text)?)
    }

    /// `None` where it is not ours or its time is over.
    pub(super) fn open(vault: &Vault, sealed: &str, now_ms: i64) -> Option<Self> {
        let text: SecretString = vault.open(PLACE, sealed).ok()?;
        let ticket: Self = serde_json::from_str(text.expose_secret()).ok()?;
        Some(ticket).filter(|ticket| ticket.expires_at >= now_ms)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::catalog::seal::MasterKey;

    fn vault(byte: u8) -> Vault {
        let key = MasterKey::from_base64(&STANDARD.encode([byte; 32]), "the test").unwrap();
        Vault::new(&key, None)
    }

    #[test]
    fn a_ticket_is_good_where_it_was_sealed_and_for_ten_minutes() {
        let now = 1_800_000_000_000;
        let purpose = Purpose { event_id: "a1b2-c3d4".into(), next: "/event/a1b2-c3d4".into() };
        let ticket = Ticket::new("https://here/callback".into(), purpose, now).unwrap();
        assert_ne!(ticket.state, ticket.verifier);
        // RFC 7636, 4.1: 43 to 128 unreserved characters.
        assert_eq!(ticket.verifier.len(), 64);
        let sealed = ticket.seal(&vault(1)).unwrap();
        assert_eq!(Ticket::open(&vault(1), &sealed, now).unwrap().state, ticket.state);
        assert!(Ticket::open(&vault(2), &sealed, now).is_none());
        assert!(Ticket::open(&vault(1), &format!("{sealed}A"), now).is_none());
        let end = now + 600_000;
        assert!(Ticket::open(&vault(1), &sealed, end).is_some());
        assert!(Ticket::open(&vault(1), &sealed, end + 1).is_none());
    }
}
