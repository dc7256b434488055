//! Owners who are signed in show with Microsoft once more who they are: they sign in there again
//! although Microsoft knows them, with the account that is theirs here, and in this very session.
//! Nobody becomes an owner by it, and no session begins.

use super::id_token::{Person, SKEW_SECONDS};
use super::journey::{Journey, MAX_AGE_SECONDS, Ticket};
use super::{AuthorizationRequest, EntraRefusal};
use crate::catalog;
use crate::catalog::owner::entra as accounts;
use crate::catalog::owner::session::OwnerSession;
use crate::identity::Identity;

/// Why it is not taken that an owner is who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unconfirmed {
    /// The session that asked is not this browser's any more.
    OtherSession,
    Cancelled,
    OtherAccount,
    /// Microsoft does not say when they signed in.
    NoTime,
    /// They were not asked again, or too long ago.
    TooOld,
}

impl Identity {
    /// Begins to ask the owner of this session who they are; `None` where there is no Entra. It comes
    /// back to `redirect_uri`, and continues at `next`.
    pub async fn begin_confirming(
        &self,
        redirect_uri: String,
        next: &str,
        session: &OwnerSession,
    ) -> Result<Option<AuthorizationRequest>, EntraRefusal> {
        let mut ticket = Ticket::new(redirect_uri, Journey::new(next, None)?, self.clock.now_ms())?;
        ticket.journey.confirms = Some(session.id().to_owned());
        self.request(&ticket).await
    }

    /// Whether `person` is the owner of `session`, and was asked just now.
    pub(super) async fn check_confirmed(
        &self,
        person: &Person,
        session: &OwnerSession,
    ) -> catalog::Result<Result<(), Unconfirmed>> {
        let owner = accounts::owner_of(&self.db, person.account).await?;
        let is_theirs = owner.is_some_and(|owner| owner.active && owner.id == session.owner.id);
        Ok(match is_theirs {
            true => judge(person.auth_time, self.clock.now_ms() / 1000),
            false => Err(Unconfirmed::OtherAccount),
        })
    }
}

/// `auth_time` and `now` are UTC seconds.
fn judge(auth_time: Option<i64>, now: i64) -> Result<(), Unconfirmed> {
    let age = now.checked_sub(auth_time.ok_or(Unconfirmed::NoTime)?);
    let skew = SKEW_SECONDS as i64;
    match age {
        Some(age) if (-skew..=MAX_AGE_SECONDS + skew).contains(&age) => Ok(()),
        _ => Err(Unconfirmed::TooOld),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_somebody_who_was_asked_just_now_is_confirmed() {
        const NOW: i64 = 1_800_000_000;
        for age in [0, 299, 300, 360, -60] {
            assert_eq!(judge(Some(NOW - age), NOW), Ok(()), "{age}");
        }
        for age in [361, 86_400, -61, NOW] {
            assert_eq!(judge(Some(NOW - age), NOW), Err(Unconfirmed::TooOld), "{age}");
        }
        for odd in [i64::MIN, i64::MAX] {
            assert_eq!(judge(Some(odd), NOW), Err(Unconfirmed::TooOld));
        }
        assert_eq!(judge(None, NOW), Err(Unconfirmed::NoTime));
    }
}
