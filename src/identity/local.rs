//! Local accounts: a name and a password, set through a one-time link.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};

use super::password::Asker;
use super::session::Proof;
use super::throttle::{Bucket, Wait};
use super::{Identity, device, password};
use crate::catalog;
use crate::catalog::owner::link::{self, SetupLink};
use crate::catalog::owner::redeem::{Pending, pending, redeem};
use crate::catalog::owner::sign_in::Outcome;
use crate::catalog::owner::{self, Owner};

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInRefusal {
    /// Which of the two is wrong is not told.
    #[error("This name and password do not match")]
    Wrong,
    #[error("There were too many wrong attempts; the next is taken in {0}")]
    Throttled(Wait),
    #[error("Signing in with a password is switched off here")]
    SwitchedOff,
    #[error(transparent)]
    Busy(#[from] password::Busy),
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
}

impl SignInRefusal {
    /// As what it is counted; a password that is wrong, as `wrong`.
    fn outcome(&self, wrong: Outcome) -> Option<Outcome> {
        match self {
            SignInRefusal::Wrong => Some(wrong),
            SignInRefusal::Throttled(_) | SignInRefusal::Busy(_) => Some(Outcome::TooMany),
            SignInRefusal::SwitchedOff => Some(Outcome::PasswordsOff),
            SignInRefusal::Catalog(_) => None,
        }
    }
}

/// What somebody typed to sign in, and where.
pub struct Attempt<'a> {
    pub name: &'a str,
    pub password: &'a SecretString,
    pub source: IpAddr,
    /// The browser's token, where it has one ([`device`]).
    pub browser: Option<&'a str>,
}

/// An owner whose password was right just now.
pub struct Recognised {
    pub owner: Owner,
    /// The hash that it was compared with, or that of newer parameters.
    pub password_hash: String,
}

impl Identity {
    /// The link to print at start while nobody can sign in.
    pub async fn first_link(&self) -> catalog::Result<Option<SetupLink>> {
        if owner::password::is_any_set(&self.db).await? {
            return Ok(None);
        }
        Ok(Some(link::first(&self.db, self.clock.now_ms()).await?))
    }

    /// The owner with this name and password.
    pub async fn sign_in(&self, attempt: &Attempt<'_>) -> Result<Recognised, SignInRefusal> {
        // Whether there is such an owner is looked up in any case, so that the time says nothing.
        let known = owner::password::hash_of(&self.db, attempt.name.trim()).await?;
        let whose = known.as_ref().map(|(owner, _)| owner.id.clone());
        let done = self.compare(attempt, known).await;
        if let Err(refusal) = &done {
            let outcome = refusal.outcome(Outcome::WrongPassword);
            self.note_failure(whose, attempt.source, outcome);
        }
        done
    }

    async fn compare(
        &self,
        attempt: &Attempt<'_>,
        known: Option<(Owner, Option<String>)>,
    ) -> Result<Recognised, SignInRefusal> {
        if !self.takes_passwords() {
            return Err(SignInRefusal::SwitchedOff);
        }
        let whom = known.as_ref().and_then(|(owner, hash)| {
            Some(device::For { owner_id: &owner.id, password_hash: hash.as_deref()? })
        });
        let now = self.clock.now_ms();
        let browser = whom
            .zip(attempt.browser)
            .and_then(|(whom, token)| device::recognise(&self.vault, whom, token, now));
        let strange = [Bucket::account(attempt.name), Bucket::address(attempt.source)];
        let buckets = browser.as_ref().map_or(&strange[..], std::slice::from_ref);
        self.throttle.attempt(buckets, now).map_err(SignInRefusal::Throttled)?;
        let hash = known.as_ref().and_then(|(_, hash)| hash.as_deref());
        let asker = if browser.is_some() { Asker::Known } else { Asker::Stranger };
        if !self.hasher.is_right(attempt.password, hash, asker).await? {
            return Err(SignInRefusal::Wrong);
        }
        self.throttle.forgive(buckets);
        let Some((owner, Some(hash))) = known else { return Err(SignInRefusal::Wrong) };
        if !password::is_outdated(&hash) {
            return Ok(Recognised { owner, password_hash: hash });
        }
        let new = self.hasher.hash(attempt.password).await?;
        if owner::password::rehash(&self.db, &owner.id, &hash, &new).await? {
            return Ok(Recognised { owner, password_hash: new });
        }
        // Another sign-in has done so at the same moment, or the password was replaced.
        match owner::password::hash_of_id(&self.db, &owner.id).await? {
            Some((owner, Some(hash)))
                if self.hasher.is_right(attempt.password, Some(&hash), asker).await? =>
            {
                Ok(Recognised { owner, password_hash: hash })
            }
            _ => Err(SignInRefusal::Wrong),
        }
    }

    /// What the browser of an owner who has just signed in keeps, so that it is known again.
    pub async fn browser_token(&self, owner: &Owner) -> catalog::Result<String> {
        let known = owner::password::hash_of(&self.db, &owner.name).await?;
        let hash = known.and_then(|(_, hash)| hash).unwrap_or_default();
        let whom = device::For { owner_id: &owner.id, password_hash: &hash };
        device::issue(&self.vault, whom, self.clock.now_ms())
    }

    /// Whether owners may sign in with a password.
    pub fn takes_passwords(&self) -> bool {
        self.entra.as_ref().is_none_or(|entra| entra.takes_passwords())
    }

    /// Whether the owner can be asked for a password.
    pub async fn has_password(&self, owner: &Owner) -> catalog::Result<bool> {
        let known = owner::password::hash_of(&self.db, &owner.name).await?;
        Ok(self.takes_passwords() && known.is_some_and(|(_, hash)| hash.is_some()))
    }

    /// By what the owner can show once more who they are.
    pub async fn way_to_confirm(&self, owner: &Owner) -> catalog::Result<Option<Proof>> {
        if self.has_password(owner).await? {
            return Ok(Some(Proof::Password));
        }
        let has_account = self.has_entra() && owner::entra::has_account(&self.db, owner).await?;
        Ok(has_account.then_some(Proof::Microsoft))
    }

    /// Asks an owner who is signed in once more who they are: the browser may have been left alone.
    ///
    /// # Errors
    /// [`SignInRefusal::Wrong`]: it is not the password.
    pub async fn confirm(
        &self,
        owner: &Owner,
        password: &SecretString,
        source: IpAddr,
    ) -> Result<(), SignInRefusal> {
        self.hash_confirmed(owner, password, source).await.map(|_| ())
    }

    /// The hash that the password was compared with.
    async fn hash_confirmed(
        &self,
        owner: &Owner,
        password: &SecretString,
        source: IpAddr,
    ) -> Result<String, SignInRefusal> {
        let done = self.compare_again(owner, password).await;
        if let Err(refusal) = &done {
            let outcome = refusal.outcome(Outcome::NotConfirmed);
            self.note_failure(Some(owner.id.clone()), source, outcome);
        }
        done
    }

    async fn compare_again(
        &self,
        owner: &Owner,
        password: &SecretString,
    ) -> Result<String, SignInRefusal> {
        if !self.takes_passwords() {
            return Err(SignInRefusal::SwitchedOff);
        }
        let buckets = [Bucket::Owner(owner.id.clone())];
        self.throttle.attempt(&buckets, self.clock.now_ms()).map_err(SignInRefusal::Throttled)?;
        let known = owner::password::hash_of(&self.db, &owner.name).await?;
        let hash = known.and_then(|(_, hash)| hash);
        if !self.hasher.is_right(password, hash.as_deref(), Asker::Known).await? {
            return Err(SignInRefusal::Wrong);
        }
        self.throttle.forgive(&buckets);
        hash.ok_or(SignInRefusal::Wrong)
    }

    /// Replaces an owner's password by another. Their sessions stay.
    ///
    /// # Errors
    /// [`SignInRefusal::Wrong`]: `current` is not the password. [`catalog::Error::Conflict`]: it was
    /// replaced while it was compared.
    pub async fn change_password(
        &self,
        owner: &Owner,
        current: &SecretString,
        new: &SecretString,
        source: IpAddr,
    ) -> Result<(), SignInRefusal> {
        let old = self.hash_confirmed(owner, current, source).await?;
        let hash = self.hasher.hash(new).await?;
        Ok(owner::password::set(&self.db, owner, &old, &hash, self.clock.now_ms()).await?)
    }

    /// What a one-time link is good for; `None` when it is not good any more.
    pub async fn pending(&self, token: &SecretString) -> catalog::Result<Option<Pending>> {
        pending(&self.db, token.expose_secret(), self.clock.now_ms()).await
    }

    /// Uses a one-time link up and ends what was signed in under the password
    /// before. `None` when it is not good any more.
    pub async fn redeem(
        &self,
        token: &SecretString,
        name: &str,
        password: &SecretString,
    ) -> Result<Option<Owner>, SignInRefusal> {
        // First, so that nobody makes this machine hash without holding a link.
        if self.pending(token).await?.is_none() {
            return Ok(None);
        }
        let hash = self.hasher.hash(password).await?;
        Ok(redeem(&self.db, token.expose_secret(), name, &hash, self.clock.now_ms()).await?)
    }
}
