//! Who is calling: an API key becomes a [`Caller`], the proof that attendee and
//! event are active and the event is open at this instant.
//!
//! [`Keys`] caches what was read of keys, so that only one that has not been seen before,
//! or whose row has changed, costs a query; and it slows guessing down.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use ipnet::IpNet;
use quick_cache::sync::Cache;
use secrecy::ExposeSecret;

use super::attendee::live::{Endings, LiveAttendee, LiveAttendees};
use super::caller::{Caller, is_open};
use super::control::Control;
use super::error::{Organizer, ProxyError};
use super::guessing::{self, Comparison, Guesses};
use super::shared_key::{Key, SharedKey, is_same_code};
use super::throttle::SourceThrottle;
use crate::catalog::attendee::{self, Joined};
use crate::catalog::event::Event;
use crate::catalog::snapshot::Snapshot;
use crate::catalog::{self, Digest, quota};
use crate::clock::Clock;
use crate::net;

const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// API keys cached at most.
const CACHED: usize = 65_536;

/// What is cached of an API key's attendee.
pub struct CachedKey {
    pub live: Arc<LiveAttendee>,
    /// The generation of the attendee's row that this was read from.
    pub generation: u64,
    pub active: bool,
    pub daily_cap: Option<u32>,
}

/// The keys that are known here, and what slows the guessing of others down.
pub struct Keys {
    pub cache:
        Cache<Digest, Arc<CachedKey>, quick_cache::UnitWeighter, foldhash::fast::RandomState>,
    pub(super) throttle: SourceThrottle,
    pub(super) guesses: Guesses,
    trusted_proxies: Vec<IpNet>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    lives: Arc<LiveAttendees>,
    control: Control,
    clock: Clock,
}

/// The key a request carries: `api-key` decides, else a bearer token.
pub fn presented_key(headers: &HeaderMap) -> Result<Key<'_>, ProxyError> {
    let value = match headers.get(API_KEY) {
        Some(value) => value.as_bytes(),
        None => match headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes())) {
            Some(token) => token,
            None => return Err(ProxyError::MissingKey),
        },
    };
    Key::read(value).ok_or(ProxyError::InvalidKey)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

impl Keys {
    pub fn new(
        trusted_proxies: Vec<IpNet>,
        snapshot: Arc<ArcSwap<Snapshot>>,
        lives: Arc<LiveAttendees>,
        control: Control,
        clock: Clock,
    ) -> Self {
        let cache = Cache::with(
            CACHED,
            CACHED as u64,
            Default::default(),
            Default::default(),
            Default::default(),
        );
        let (throttle, guesses) = (SourceThrottle::default(), Guesses::default());
        Self { cache, throttle, guesses, trusted_proxies, snapshot, lives, control, clock }
    }

    /// Proves who is calling, or says what stands against it.
    pub async fn authenticate(
        self: &Arc<Self>,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Caller, ProxyError> {
        let key = presented_key(headers)?;
        let source = || net::source(peer, headers, &self.trusted_proxies);
        let digest = key.normal().map(|normal| self.control.vault.digest(normal));
        let mut known = digest.and_then(|digest| self.cache.get(&digest));
        loop {
            if let Some(known) = known
                && let Some(proof) = self.prove(&known, &key)
            {
                return proof;
            }
            let learned = match (&key, digest) {
                (Key::Issued(key), Some(digest)) => self.look_up(key, digest, source()).await?,
                (Key::Shared(shared), _) => self.join_by_code(shared, source()).await?,
                (Key::Issued(_), None) => return Err(ProxyError::InvalidKey),
            };
            if let Some(digest) = digest {
                self.cache.insert(digest, learned.clone());
            }
            known = Some(learned);
        }
    }

    /// Checks what may have changed since the key was cached. `None`: the
    /// attendee's row has, so it must be read again.
    fn prove(&self, known: &CachedKey, key: &Key<'_>) -> Option<Result<Caller, ProxyError>> {
        let endings = known.live.endings_of(known.generation)?;
        Some(self.admit_known(known, endings, key))
    }

    fn admit_known(
        &self,
        known: &CachedKey,
        endings: Arc<Endings>,
        key: &Key<'_>,
    ) -> Result<Caller, ProxyError> {
        let snapshot = self.snapshot.load();
        let event = snapshot.events.get(&*known.live.event_id).ok_or(ProxyError::InvalidKey)?;
        if let Key::Shared(shared) = key {
            // A changed code ends the keys that carry the old one.
            if !code_matches(event, shared.code) {
                return Err(ProxyError::InvalidKey);
            }
        }
        let now_ms = self.clock.now_ms();
        known.live.seen(now_ms);
        let checked = if known.active {
            is_open(event, now_ms)
        } else {
            Err(ProxyError::AttendeeDisabled(Organizer::from(&**event)))
        };
        if let Err(refusal) = checked {
            known.live.ledger.lock().refuse(refusal.code(), now_ms);
            return Err(refusal);
        }
        let daily_cap = known.daily_cap.unwrap_or(event.daily_request_cap);
        Ok(Caller { live: known.live.clone(), endings, event: event.clone(), daily_cap })
    }

    /// Right keys are never delayed: nobody can guess one, so a wrong one costs no more than
    /// its look-up.
    async fn look_up(
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
                keys.learn(&found, changes).await.map(Some)
            })
            .await?;
        found.ok_or_else(|| self.wrong_key(source))
    }

    async fn join_by_code(
        self: &Arc<Self>,
        shared: &SharedKey<'_>,
        source: IpAddr,
    ) -> Result<Arc<CachedKey>, ProxyError> {
        self.check_code(shared, source).await?;
        let snapshot = self.snapshot.load_full();
        let event = snapshot.events.get(shared.event_id).ok_or(ProxyError::InvalidKey)?;
        if shared.normal.is_none() {
            return Err(ProxyError::NameNotUsable);
        }
        is_open(event, self.clock.now_ms())?;
        let (keys, event, name) = (self.clone(), event.clone(), shared.name.to_owned());
        self.control
            .ask(async move {
                let changes = keys.lives.changes();
                let (db, vault) = (&keys.control.db, &keys.control.vault);
                let organizer = || Organizer::from(&*event);
                match attendee::join_by_shared_code(db, vault, &event, &name, keys.clock.now_ms())
                    .await
                {
                    Ok(Joined::New(joined) | Joined::Known(joined)) => {
                        keys.learn(&joined, changes).await.map(Ok)
                    }
                    // Kept like an attendee who is switched off, so that calls with the key
                    // cost no query; by the user id, since there is no other.
                    Ok(Joined::Deleted(user_id)) => {
                        let (live, _) = keys.lives.enter(&user_id, &event.id);
                        Ok(Ok(keys.known(live, changes, false, None)))
                    }
                    Ok(Joined::Full) => Ok(Err(ProxyError::EventFull(organizer()))),
                    Ok(Joined::Shut(why)) => {
                        Ok(Err(ProxyError::RegistrationClosed(organizer(), why)))
                    }
                    Ok(Joined::NameNotUsable) => Ok(Err(ProxyError::NameNotUsable)),
                    // Deleted an instant ago, which the snapshot does not show yet.
                    Err(catalog::Error::NotFound { .. }) => Ok(Err(ProxyError::InvalidKey)),
                    Err(error) => Err(error),
                }
            })
            .await?
    }

    /// Compares the code with the event's, as it is in force.
    async fn check_code(
        self: &Arc<Self>,
        shared: &SharedKey<'_>,
        source: IpAddr,
    ) -> Result<(), ProxyError> {
        let id = shared.event_id;
        if !self.snapshot.load().events.contains_key(id) {
            return Err(self.wrong_key(source));
        }
        let is_right = || {
            let snapshot = self.snapshot.load();
            snapshot.events.get(id).is_some_and(|event| code_matches(event, shared.code))
        };
        self.compare_code(id, shared.name, source, is_right).await
    }

    /// Compares a code at once or, where its source has presented too many wrong ones, when its turn
    /// comes.
    async fn compare_code(
        self: &Arc<Self>,
        event_id: &str,
        name: &[u8],
        source: IpAddr,
        is_right: impl Fn() -> bool,
    ) -> Result<(), ProxyError> {
        let door = match self.guesses.compare(source, event_id, self.clock.now_ms(), &is_right) {
            Comparison::Right => return Ok(()),
            Comparison::Wrong => return Err(self.wrong_key(source)),
            Comparison::Wait(door) => door,
        };
        let has_turn = door.has_place() && {
            let (db, id, name) = (self.control.db.clone(), event_id.to_owned(), name.to_owned());
            let search = async move { attendee::has_joined(&db, &id, &name).await };
            let has_joined = self.control.ask(search).await?;
            door.turn(self.control.runtime(), has_joined).await
        };
        if has_turn && is_right() {
            return Ok(());
        }
        self.guesses.warn(event_id, self.clock.now_ms());
        if has_turn {
            door.was_wrong(self.clock.now_ms());
            return Err(self.wrong_key(source));
        }
        Err(ProxyError::TooManyAttempts { retry_after: guessing::RETRY_AFTER })
    }

    /// Compares a shared code that somebody typed, with the name they join under, with that of the
    /// event as its page was just read.
    ///
    /// # Errors
    /// [`ProxyError::InvalidKey`]: it is not the event's. [`ProxyError::TooManyAttempts`]: too many
    /// from this source were wrong.
    pub async fn check_typed_code(
        self: &Arc<Self>,
        event: &Event,
        code: &str,
        name: &[u8],
        source: IpAddr,
    ) -> Result<(), ProxyError> {
        self.compare_code(&event.id, name, source, || code_matches(event, code)).await
    }

    /// Counts something from this source that is unknown here, such as the id of an event.
    ///
    /// # Errors
    /// There were too many: the seconds to wait.
    pub fn count_unknown(&self, source: IpAddr) -> Result<(), u64> {
        self.throttle.wrong(source, self.clock.now_ms())
    }

    fn wrong_key(&self, source: IpAddr) -> ProxyError {
        self.wrong(source, ProxyError::InvalidKey)
    }

    /// What to answer to a request for an event that there is not. It counts as a wrong key:
    /// ids are short, and a shared code is guessed for an event that is known.
    pub(super) fn unknown_event(&self, headers: &HeaderMap, peer: IpAddr) -> ProxyError {
        let source = net::source(peer, headers, &self.trusted_proxies);
        self.wrong(source, ProxyError::EventNotFound)
    }

    /// Counts a wrong attempt: the refusal, or how long to wait where there were too many.
    fn wrong(&self, source: IpAddr, refusal: ProxyError) -> ProxyError {
        match self.throttle.wrong(source, self.clock.now_ms()) {
            Ok(()) => refusal,
            Err(retry_after) => ProxyError::TooManyAttempts { retry_after },
        }
    }

    /// What is kept in memory of an attendee's row, with today's usage where
    /// the attendee is new here.
    async fn learn(
        &self,
        attendee: &attendee::Attendee,
        changes: u64,
    ) -> Result<Arc<CachedKey>, catalog::Error> {
        let (live, is_new) = self.lives.enter(&attendee.id, &attendee.event_id);
        if is_new {
            let day = self.clock.today(self.clock.now_ms());
            let used = quota::used(&self.control.db, &attendee.id, day).await?;
            live.learn_spent(day, used);
        }
        Ok(self.known(live, changes, attendee.active, attendee.daily_request_cap))
    }

    /// `changes`: how many there were when the row began to be read.
    fn known(
        &self,
        live: Arc<LiveAttendee>,
        changes: u64,
        active: bool,
        daily_cap: Option<u32>,
    ) -> Arc<CachedKey> {
        let generation = self.lives.generation_of_row(&live, changes);
        Arc::new(CachedKey { live, generation, active, daily_cap })
    }
}

fn code_matches(event: &Event, code: &str) -> bool {
    event.shared_code.as_ref().is_some_and(|right| is_same_code(right.expose_secret(), code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(headers: &[(&'static str, &str)]) -> Result<String, ProxyError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        presented_key(&map).map(|key| key.normal().unwrap_or_default().to_owned())
    }

    #[test]
    fn the_api_key_header_decides_over_a_bearer_token() {
        assert_eq!(key(&[("authorization", "Bearer abc")]), Ok("abc".into()));
        assert_eq!(key(&[("authorization", "bearer  abc")]), Ok("abc".into()));
        assert_eq!(key(&[("authorization", "Bearer abc"), ("api-key", "xyz")]), Ok("xyz".into()));
        assert_eq!(
            key(&[("authorization", "Bearer abc"), ("api-key", "")]),
            Err(ProxyError::InvalidKey)
        );
        assert_eq!(key(&[("authorization", "Basic abc")]), Err(ProxyError::MissingKey));
        assert_eq!(key(&[]), Err(ProxyError::MissingKey));
    }
}
