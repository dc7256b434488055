//! Who a person is: passwords and one-time links of owners (`local`), accounts of
//! Microsoft Entra ID (`entra`); accounts of attendees at GitHub (`github`) or by the word of a gateway (`gateway`); the browsers in which they are signed in (`session`), what slows
//! guessing down (`throttle`, `device`), and who tried in vain (`failures`).
//!
//! Knows nothing of HTTP: the portal turns cookies into tokens and refusals
//! into pages. What a person may do is the catalog's business.

pub(crate) mod api_token;
pub(crate) mod device;
pub(crate) mod entra;
mod failures;
mod fetch;
pub(crate) mod gateway;
pub(crate) mod github;
pub(crate) mod local;
pub(crate) mod password;
pub(crate) mod session;
pub(crate) mod throttle;
pub(crate) mod ticket;

use std::net::IpAddr;
use std::sync::Arc;

use self::entra::Entra;
use self::failures::Failures;
use self::github::GitHub;
use self::password::Hasher;
use self::throttle::{AttemptThrottle, Bucket, Wait};
use crate::catalog::seal::Vault;
use crate::clock::Clock;
use crate::db::Db;

/// What the lines of the log about sign-ins are found by.
const LOG: &str = "ai_proxy::sign_in";

/// What signing in needs, one for the process.
pub struct Identity {
    db: Arc<Db>,
    vault: Arc<Vault>,
    throttle: AttemptThrottle,
    failures: Arc<Failures>,
    hasher: Hasher,
    entra: Option<Entra>,
    github: Option<GitHub>,
    clock: Clock,
}

impl Identity {
    /// `entra` and `github`: where owners can sign in with Microsoft, and attendees with GitHub.
    pub fn new(
        db: Arc<Db>,
        vault: Arc<Vault>,
        entra: Option<Entra>,
        github: Option<GitHub>,
        clock: Clock,
    ) -> Self {
        let (throttle, failures) = (AttemptThrottle::default(), Arc::default());
        Self { db, vault, throttle, failures, hasher: Hasher::default(), entra, github, clock }
    }

    /// Counts the code of a card that was wrong.
    ///
    /// # Errors
    /// Too many came from there, so the next wrong one should wait.
    pub fn wrong_card(&self, source: IpAddr) -> Result<(), Wait> {
        self.throttle.attempt(&[Bucket::card(source)], self.clock.now_ms())
    }

    /// Counts a code or refresh token of an MCP client that nobody has.
    ///
    /// # Errors
    /// Too many came from there, so the next wrong one should wait.
    pub fn wrong_grant(&self, source: IpAddr) -> Result<(), Wait> {
        self.throttle.attempt(&[Bucket::grant(source)], self.clock.now_ms())
    }
}
