//! What a browser keeps while somebody is away signing in at a provider: sealed, so that it is ours and
//! unread, and good for ten minutes.

use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::catalog;
use crate::catalog::owner::token;
use crate::catalog::seal::{Error, Place, Vault};

/// How long a sign-in may take, in seconds: what its cookie says as well.
pub(crate) const VALID_SECONDS: i64 = 600;

/// What somebody signs in for at one provider.
pub(super) trait Journey: Serialize + DeserializeOwned {
    /// Where its tickets are sealed: none is taken for another provider's.
    const PLACE: Place<'static>;
}

/// Of one sign-in.
#[derive(Serialize, Deserialize)]
pub(super) struct Ticket<J> {
    /// What the way back must carry (RFC 6749, 10.12).
    pub state: String,
    /// What proves that the code is redeemed by whoever asked for it (RFC 7636).
    pub verifier: String,
    pub redirect_uri: String,
    pub journey: J,
    /// UTC milliseconds.
    pub expires_at: i64,
}

impl<J: Journey> Ticket<J> {
    pub(super) fn new(redirect_uri: String, journey: J, now_ms: i64) -> catalog::Result<Self> {
        let token = || Ok::<_, catalog::Error>(token::random()?.expose_secret().to_owned());
        let expires_at = now_ms + VALID_SECONDS * 1000;
        Ok(Self { state: token()?, verifier: token()?, redirect_uri, journey, expires_at })
    }

    pub(super) fn seal(&self, vault: &Vault) -> catalog::Result<String> {
        let text = serde_json::to_string(self).map_err(|_| Error::Failed)?;
        Ok(vault.seal(J::PLACE, &text)?)
    }

    /// `None` where it is not ours or its time is over.
    pub(super) fn open(vault: &Vault, sealed: &str, now_ms: i64) -> Option<Self> {
        let text = vault.open(J::PLACE, sealed).ok()?;
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

    #[derive(Serialize, Deserialize)]
    struct Here;

    impl Journey for Here {
        const PLACE: Place<'static> = Place { table: "here", row: "sign-in", column: "ticket" };
    }

    #[derive(Serialize, Deserialize)]
    struct There;

    impl Journey for There {
        const PLACE: Place<'static> = Place { table: "there", row: "sign-in", column: "ticket" };
    }

    fn vault(byte: u8) -> Vault {
        let key = MasterKey::from_base64(&STANDARD.encode([byte; 32]), "the test").unwrap();
        Vault::new(&key, None)
    }

    #[test]
    fn a_ticket_is_good_where_it_was_sealed_and_for_ten_minutes() {
        let now = 1_800_000_000_000;
        let ticket = Ticket::new("https://here/callback".into(), Here, now).unwrap();
        assert_ne!(ticket.state, ticket.verifier);
        // RFC 7636, 4.1: 43 to 128 unreserved characters.
        assert_eq!(ticket.verifier.len(), 64);
        let sealed = ticket.seal(&vault(1)).unwrap();
        let open = |byte, sealed: &str, at| Ticket::<Here>::open(&vault(byte), sealed, at);
        assert_eq!(open(1, &sealed, now).unwrap().state, ticket.state);
        assert!(open(2, &sealed, now).is_none());
        assert!(open(1, &format!("{sealed}A"), now).is_none());
        assert!(Ticket::<There>::open(&vault(1), &sealed, now).is_none(), "another provider's");
        let end = now + 600_000;
        assert!(open(1, &sealed, end).is_some());
        assert!(open(1, &sealed, end + 1).is_none());
    }
}
