//! Owners who are signed in add a Microsoft account to theirs, in place of any that was there. It is
//! added in the session that asked for it, so whatever ends that session ends this as well: signing
//! out, a new password or a link that recovers the account. No session begins.

use super::journey::{Journey, Ticket};
use super::{AuthorizationRequest, EntraRefusal};
use crate::catalog::owner::entra::{self as accounts, Account};
use crate::catalog::owner::link;
use crate::catalog::owner::session::OwnerSession;
use crate::identity::Identity;

/// Why no account was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// The session that asked is not this browser's any more.
    OtherSession,
    Cancelled,
    /// It was begun once more, or the password was changed meanwhile.
    Voided,
}

impl Identity {
    /// Begins to add an account to that of the owner of this session; `None` where there is no Entra.
    /// It comes back to `redirect_uri`, and continues at `next`.
    pub async fn begin_adding_account(
        &self,
        redirect_uri: String,
        next: &str,
        session: &OwnerSession,
    ) -> Result<Option<AuthorizationRequest>, EntraRefusal> {
        if !self.has_entra() {
            return Ok(None);
        }
        let now = self.clock.now_ms();
        let link = link::to_add_account(&self.db, &session.owner.actor(now)).await?;
        let mut ticket = Ticket::new(redirect_uri, Journey::new(next, Some(&link.token))?, now)?;
        ticket.journey.adds = Some(session.id().to_owned());
        self.request(&ticket).await
    }

    pub(super) async fn add_account(
        &self,
        ticket: &Ticket,
        session: &OwnerSession,
        account: Account,
    ) -> Result<(), EntraRefusal> {
        let (token, now) =
            (ticket.journey.invitation.as_deref().unwrap_or_default(), self.clock.now_ms());
        match accounts::add(&self.db, token, session, account, now).await? {
            true => Ok(()),
            false => Err(EntraRefusal::NotAdded(NotAdded::Voided)),
        }
    }
}
