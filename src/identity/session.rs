//! The browsers in which owners are signed in. A session ends eight hours after its last
//! request, seven days after signing in, or when somebody ends it. The rows are the
//! catalog's.

use std::net::IpAddr;

use secrecy::SecretString;

use super::{Identity, LOG};
use crate::catalog::Result;
use crate::catalog::owner::Owner;
use crate::catalog::owner::session::{self, Cutoff, NewSession, OwnerSession};
use crate::catalog::owner::sign_in::{Outcome, Source};

const IDLE_MS: i64 = 8 * 3_600_000;

/// How long a session lasts at most, in seconds: what its cookie says as well.
pub(crate) const LONGEST_SECONDS: i64 = 7 * 86_400;

/// How long it is known who sits before a browser, once they have shown it.
pub(crate) const CONFIRMED_MS: i64 = 10 * 60_000;

/// By what somebody shows who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Typed just now.
    Password,
    /// Microsoft may have asked for nothing, where they were signed in there.
    Microsoft,
    /// The password was chosen just now, by a one-time link.
    Link,
    /// The same, where the link made an administrator.
    FirstLink,
}

impl Proof {
    fn outcome(self) -> Outcome {
        match self {
            Proof::Password => Outcome::Password,
            Proof::Microsoft => Outcome::Microsoft,
            Proof::Link => Outcome::Link,
            Proof::FirstLink => Outcome::FirstLink,
        }
    }
}

/// Who sent a request: only a person keeps a session from ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionAsker {
    Person,
    /// A page that refreshes a part of itself, perhaps on a screen that nobody sits at.
    Script,
}

fn cutoff(now_ms: i64) -> Cutoff {
    Cutoff { last_seen_at: now_ms - IDLE_MS, created_at: now_ms - LONGEST_SECONDS * 1000 }
}

impl Identity {
    /// Signs `owner` in; what is returned goes into the browser's cookie. `replaced`
    /// is the token that the browser held before: it ends. `password_hash` is that of the password that
    /// was right, where there was one.
    ///
    /// # Errors
    /// [`catalog::Error::Conflict`](crate::catalog::Error::Conflict): the password was replaced meanwhile.
    pub async fn start_session(
        &self,
        owner: &Owner,
        replaced: Option<&SecretString>,
        (proof, password_hash): (Proof, Option<&str>),
        source: IpAddr,
    ) -> Result<SecretString> {
        let now = self.clock.now_ms();
        let confirmed_at = (proof != Proof::Microsoft).then_some(now);
        let (source, outcome) = (Source::of(source), proof.outcome());
        let text = source.as_str().to_owned();
        let new = NewSession { owner, replaced, password_hash, confirmed_at, source, outcome };
        let token = session::start(&self.db, new, cutoff(now), now).await?;
        tracing::info!(
            target: LOG,
            owner = owner.id,
            source = text,
            outcome = outcome.as_str(),
            "somebody signed in"
        );
        Ok(token)
    }

    /// The session with this token, where it has not ended and its owner is
    /// active.
    pub async fn session(
        &self,
        token: &SecretString,
        asker: SessionAsker,
    ) -> Result<Option<OwnerSession>> {
        let now = self.clock.now_ms();
        let found = session::find(&self.db, token, cutoff(now)).await?;
        if let Some(session) = &found
            && asker == SessionAsker::Person
        {
            session::touch(&self.db, session, now).await?;
        }
        Ok(found)
    }

    /// Notes that the owner has shown in this browser who they are.
    pub async fn note_confirmed(&self, session: &OwnerSession) -> Result<()> {
        session::note_confirmed(&self.db, session, self.clock.now_ms()).await
    }

    pub async fn end_session(&self, token: &SecretString) -> Result<()> {
        session::end(&self.db, token).await
    }

    /// Ends every session of the owner but this one; how many there were.
    pub async fn end_others(&self, session: &OwnerSession) -> Result<u64> {
        session::end_others(&self.db, session).await
    }

    /// Other browsers in which the owner is signed in.
    pub async fn count_others(&self, session: &OwnerSession) -> Result<u64> {
        session::count_others(&self.db, session, cutoff(self.clock.now_ms())).await
    }

    /// Leaves a text that [`Self::take_flash`] finds once. It may hold a secret.
    pub async fn leave_flash(&self, session: &OwnerSession, text: &str) -> Result<()> {
        session::leave_flash(&self.db, &self.vault, session, text).await
    }

    /// The text that was left when this session was looked up; gone after that.
    pub async fn take_flash(&self, session: &mut OwnerSession) -> Result<Option<SecretString>> {
        session::take_flash(&self.db, &self.vault, session).await
    }
}
