//! Reads from the store what is to be cached of a key or an access token.

use std::net::IpAddr;
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::{CachedKey, Keys};
use crate::catalog::oauth::{self, AccessToken};
use crate::catalog::{self, Digest, attendee, quota};
use crate::proxy::access_token::CachedToken;
use crate::proxy::attendee::live::{LiveAttendee, Means};
use crate::proxy::control::Control;
use crate::proxy::error::ProxyError;

impl Keys {
    /// Right keys are never delayed: nobody can guess one, so a wrong one costs no more than
    /// its look-up.
    pub(super) async fn look_up(
        self: &Arc<Self>,
        key: &str,
        digest: Digest,
        source: IpAddr,
    ) -> Result<Arc<CachedKey>, ProxyError> {
        let mut digests = vec![digest];
        digests.extend(self.control.vault.old_digest(key));
        let keys = self.clone();
        let found = self
            .control
            .ask(async move {
                let changes = keys.lives.changes();
                let Some(found) = attendee::find_by_digest(&keys.control.db, &digests).await?
                else {
                    return Ok(None);
                };
                keys.learn(&found, changes, (Means::Key(digest), None)).await.map(Some)
            })
            .await?;
        found.ok_or_else(|| self.wrong_key(source))
    }

    /// Whose an access token is. `None`: nobody has it.
    pub(super) async fn look_up_token(
        self: &Arc<Self>,
        token: &str,
        digest: Digest,
    ) -> Result<Option<Arc<CachedKey>>, ProxyError> {
        let mut digests = vec![digest];
        digests.extend(self.control.vault.old_digest(token));
        let keys = self.clone();
        let search = async move {
            let Control { db, vault, .. } = &keys.control;
            let changes = keys.lives.changes();
            let found = oauth::find_access(db, &digests).await?;
            let Some(AccessToken { grant, expires_at }) = found else { return Ok(Ok(None)) };
            let Some(attendee) = attendee::find(db, &grant.attendee_id).await? else {
                return Ok(Ok(None));
            };
            let snapshot = keys.snapshot.load_full();
            let event = snapshot.events.get(&grant.event_id);
            let code = event.and_then(|event| event.shared_code.as_ref());
            let code = code.map(ExposeSecret::expose_secret);
            let Some(event) = event.filter(|_| grant.stands_with(vault, code)) else {
                return Ok(Err(ProxyError::InvalidToken));
            };
            let means =
                Means::Grant { id: grant.id.as_str().into(), is_by_code: grant.is_by_code() };
            let token = CachedToken::new(grant, expires_at, event);
            Ok(Ok(Some(keys.learn(&attendee, changes, (means, Some(token))).await?)))
        };
        self.control.ask(search).await?
    }

    /// What is kept in memory of an attendee's row, with today's usage where
    /// the attendee is new here.
    pub(super) async fn learn(
        &self,
        attendee: &attendee::Attendee,
        changes: u64,
        shown: (Means, Option<CachedToken>),
    ) -> Result<Arc<CachedKey>, catalog::Error> {
        let (live, is_new) = self.lives.enter(&attendee.id, &attendee.event_id);
        if is_new {
            let day = self.clock.today(self.clock.now_ms());
            let used = quota::used(&self.control.db, &attendee.id, day).await?;
            live.learn_spent(day, used);
        }
        Ok(self.known(live, changes, (attendee.active, attendee.daily_request_cap), shown))
    }

    /// `changes`: how many there were when the row began to be read.
    pub(super) fn known(
        &self,
        live: Arc<LiveAttendee>,
        changes: u64,
        (active, daily_cap): (bool, Option<u32>),
        (means, token): (Means, Option<CachedToken>),
    ) -> Arc<CachedKey> {
        let generation = self.lives.generation_of_row(&live, changes);
        Arc::new(CachedKey { live, means, generation, active, daily_cap, token })
    }
}
