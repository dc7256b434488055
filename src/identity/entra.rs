//! Signing in with Microsoft Entra ID: OpenID Connect, the authorization code
//! flow with PKCE.
//!
//! [`Identity::begin_entra`] says where to send the browser and what it must keep
//! meanwhile (`ticket`); [`Identity::finish_entra`] takes it back: once, in the
//! same browser, with a code that Entra (`provider`) exchanges for a
//! token (`id_token`). Entra says who somebody is. Who may be an owner is said
//! here: whoever has an account already, an invitation, or a place in the settings.
//! An owner who is signed in confirms who they are in the same way (`reauthentication`), or adds an
//! account to theirs (`addition`): both end in the session that began them, or not at all.

mod addition;
mod authorization;
mod id_token;
mod journey;
mod provider;
mod reauthentication;

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretString};

pub(crate) use self::addition::NotAdded;
use self::authorization::error_code;
pub(crate) use self::authorization::{AuthorizationRequest, AuthorizationResponse};
use self::id_token::{IdTokenError, Person};
use self::journey::{Journey, Ticket};
use self::provider::{Provider, ProviderMetadata};
pub(crate) use self::reauthentication::Unconfirmed;
use super::throttle::{Bucket, Wait};
use super::{Identity, fetch};
use crate::catalog;
use crate::catalog::owner::entra::{self as accounts, Account};
use crate::catalog::owner::session::OwnerSession;
use crate::catalog::owner::sign_in::Outcome;
use crate::catalog::owner::{Owner, manage};
use crate::catalog::sign_in_state;
use crate::config::EntraSettings;

/// The settings, and what is remembered of Entra.
pub struct Entra {
    settings: Arc<EntraSettings>,
    provider: Provider,
}

impl Entra {
    pub fn new(settings: EntraSettings) -> Self {
        let settings = Arc::new(settings);
        Self { provider: Provider::new(settings.clone()), settings }
    }

    /// Whether a password opens the door as well.
    pub(super) fn takes_passwords(&self) -> bool {
        self.settings.takes_passwords
    }
}

/// Why nobody was signed in.
#[derive(Debug)]
pub enum EntraRefusal {
    /// The way back is not that of a sign-in that this browser has begun, or it
    /// came a second time, or too late.
    Stale,
    /// The person changed their mind.
    Cancelled,
    /// Entra let them through to nothing, for a reason with this code.
    Denied(String),
    /// Entra does not answer, or not as it should. The log says more.
    Unavailable,
    /// They are of a tenant that is not let in.
    ForeignTenant(Account),
    /// They are let in nowhere: not an owner, not invited.
    Stranger {
        account: Account,
        /// The names of those who may invite.
        administrators: Vec<String>,
    },
    Deactivated(Owner),
    /// The one-time link was used or has expired.
    LinkIsOver,
    /// Somebody who is signed in did not show that it is them. `next` is the page of what waits for it.
    Unconfirmed {
        why: Unconfirmed,
        next: String,
    },
    /// Somebody who is signed in added no account to theirs.
    NotAdded(NotAdded),
    Throttled(Wait),
    Catalog(catalog::Error),
}

impl EntraRefusal {
    /// As what it is counted; nothing where nobody tried to get in, or it is our own fault.
    fn outcome(&self) -> Option<Outcome> {
        match self {
            EntraRefusal::Denied(_) => Some(Outcome::DeniedByMicrosoft),
            EntraRefusal::ForeignTenant(_) => Some(Outcome::ForeignTenant),
            EntraRefusal::Stranger { .. } => Some(Outcome::NoOwner),
            EntraRefusal::Deactivated(_) => Some(Outcome::Deactivated),
            EntraRefusal::LinkIsOver => Some(Outcome::LinkOver),
            EntraRefusal::Throttled(_) => Some(Outcome::TooMany),
            EntraRefusal::Unconfirmed { why: Unconfirmed::OtherAccount, .. } => {
                Some(Outcome::OtherAccount)
            }
            EntraRefusal::Unconfirmed { .. }
            | EntraRefusal::NotAdded(_)
            | EntraRefusal::Stale
            | EntraRefusal::Cancelled
            | EntraRefusal::Unavailable
            | EntraRefusal::Catalog(_) => None,
        }
    }
}

impl From<catalog::Error> for EntraRefusal {
    fn from(error: catalog::Error) -> Self {
        EntraRefusal::Catalog(error)
    }
}

impl From<fetch::ProviderError> for EntraRefusal {
    fn from(error: fetch::ProviderError) -> Self {
        tracing::warn!(reason = %error, "nobody can sign in with Microsoft");
        EntraRefusal::Unavailable
    }
}

/// Somebody is who they say, and an owner.
pub struct EntraReturn {
    /// Who signs in; `None` where the owner who is signed in has confirmed who they are, or has added
    /// an account.
    pub signs_in: Option<Owner>,
    /// Where they wanted to go, as was said when it began.
    pub next: String,
}

impl Identity {
    /// Whether people can sign in with Microsoft.
    pub fn has_entra(&self) -> bool {
        self.entra.is_some()
    }

    /// Begins a sign-in that comes back to `redirect_uri`; `None` where nobody
    /// can sign in this way. `invitation` is the token of a one-time link.
    pub async fn begin_entra(
        &self,
        redirect_uri: String,
        next: &str,
        invitation: Option<&SecretString>,
    ) -> Result<Option<AuthorizationRequest>, EntraRefusal> {
        let ticket =
            Ticket::new(redirect_uri, Journey::new(next, invitation)?, self.clock.now_ms())?;
        self.request(&ticket).await
    }

    async fn request(&self, ticket: &Ticket) -> Result<Option<AuthorizationRequest>, EntraRefusal> {
        let Some(entra) = &self.entra else { return Ok(None) };
        let metadata = entra.provider.metadata().await?;
        let url =
            authorization::url(&metadata.authorization_endpoint, entra.settings.client_id, ticket);
        Ok(Some(AuthorizationRequest { url, ticket: ticket.seal(&self.vault)? }))
    }

    /// Ends a sign-in. Whatever comes of it, it cannot come back again.
    pub async fn finish_entra(
        &self,
        back: AuthorizationResponse<'_>,
    ) -> Result<EntraReturn, EntraRefusal> {
        let source = back.source;
        let asked = back.session.map(|session| session.owner.id.clone());
        let done = self.let_in(back).await;
        if let Err(refusal) = &done {
            let whose = match refusal {
                EntraRefusal::Deactivated(owner) => Some(owner.id.clone()),
                EntraRefusal::Unconfirmed { .. } => asked,
                _ => None,
            };
            self.note_failure(whose, source, refusal.outcome());
        }
        done
    }

    async fn let_in(&self, back: AuthorizationResponse<'_>) -> Result<EntraReturn, EntraRefusal> {
        let entra = self.entra.as_ref().ok_or(EntraRefusal::Stale)?;
        let ticket = Ticket::open(&self.vault, back.ticket, self.clock.now_ms())
            .ok_or(EntraRefusal::Stale)?;
        if verify_slices_are_equal(ticket.state.as_bytes(), back.state.as_bytes()).is_err() {
            return Err(EntraRefusal::Stale);
        }
        let buckets = [Bucket::microsoft(back.source)];
        self.throttle.attempt(&buckets, self.clock.now_ms()).map_err(EntraRefusal::Throttled)?;
        if !sign_in_state::spend(&self.db, &ticket.state, ticket.expires_at, self.clock.now_ms())
            .await?
        {
            return Err(EntraRefusal::Stale);
        }
        let unconfirmed =
            |why| EntraRefusal::Unconfirmed { why, next: ticket.journey.next.clone() };
        let purpose = purpose(&ticket, back.session)?;
        match back.error {
            Some("access_denied") => {
                return Err(match purpose {
                    Purpose::SignsIn => EntraRefusal::Cancelled,
                    Purpose::Adds(_) => EntraRefusal::NotAdded(NotAdded::Cancelled),
                    Purpose::Confirms(_) => unconfirmed(Unconfirmed::Cancelled),
                });
            }
            Some(error) => {
                let code = error_code(error, back.error_description);
                tracing::warn!(code, "Entra let somebody through to nothing");
                return Err(EntraRefusal::Denied(code));
            }
            None => {}
        }
        let code = back.code.ok_or(EntraRefusal::Stale)?;
        let person = entra.ask_who(&ticket, code).await?;
        if !entra.settings.tenants.contains(&person.account.tenant) {
            return Err(EntraRefusal::ForeignTenant(person.account));
        }
        let signs_in = match purpose {
            Purpose::SignsIn => {
                Some(self.owner_of(entra, &person, ticket.journey.invitation.as_deref()).await?)
            }
            Purpose::Adds(session) => {
                self.add_account(&ticket, session, person.account).await?;
                None
            }
            Purpose::Confirms(session) => {
                self.check_confirmed(&person, session).await?.map_err(unconfirmed)?;
                self.note_confirmed(session).await?;
                None
            }
        };
        self.throttle.forgive(&buckets);
        Ok(EntraReturn { signs_in, next: ticket.journey.next })
    }

    async fn owner_of(
        &self,
        entra: &Entra,
        person: &Person,
        invitation: Option<&str>,
    ) -> Result<Owner, EntraRefusal> {
        let account = person.account;
        if let Some(token) = invitation {
            let owner = accounts::redeem(&self.db, token, account, self.clock.now_ms()).await?;
            return owner.ok_or(EntraRefusal::LinkIsOver);
        }
        let owner = match accounts::owner_of(&self.db, account).await? {
            Some(owner) => owner,
            None if entra.settings.owners.contains(&account) => {
                accounts::admit(&self.db, account, &person.name, self.clock.now_ms()).await?
            }
            None => {
                let administrators = manage::administrators(&self.db).await?;
                return Err(EntraRefusal::Stranger { account, administrators });
            }
        };
        if owner.active { Ok(owner) } else { Err(EntraRefusal::Deactivated(owner)) }
    }
}

/// What a trip to Entra is for, and in whose session it must end.
enum Purpose<'a> {
    SignsIn,
    Adds(&'a OwnerSession),
    Confirms(&'a OwnerSession),
}

/// # Errors
/// The browser is not in the session that began the trip.
fn purpose<'a>(
    ticket: &Ticket,
    session: Option<&'a OwnerSession>,
) -> Result<Purpose<'a>, EntraRefusal> {
    let in_session = |id: &String| session.filter(|session| session.id() == id);
    if let Some(id) = &ticket.journey.confirms {
        let (why, next) = (Unconfirmed::OtherSession, ticket.journey.next.clone());
        let session = in_session(id).ok_or(EntraRefusal::Unconfirmed { why, next })?;
        return Ok(Purpose::Confirms(session));
    }
    if let Some(id) = &ticket.journey.adds {
        let session = in_session(id).ok_or(EntraRefusal::NotAdded(NotAdded::OtherSession))?;
        return Ok(Purpose::Adds(session));
    }
    Ok(Purpose::SignsIn)
}

impl Entra {
    async fn ask_who(&self, ticket: &Ticket, code: &SecretString) -> Result<Person, EntraRefusal> {
        let metadata = self.provider.metadata().await?;
        let token = self.provider.redeem(&metadata, ticket, code).await?;
        let read = |metadata: &ProviderMetadata| {
            id_token::read(
                token.expose_secret(),
                metadata,
                self.settings.client_id,
                &ticket.journey.nonce,
            )
        };
        let person = match read(&metadata) {
            Err(IdTokenError::UnknownKey) => read(&*self.provider.newer_than(&metadata).await?),
            other => other,
        };
        person.map_err(|error| {
            tracing::warn!(reason = %error, "an ID token is not taken");
            EntraRefusal::Unavailable
        })
    }
}
