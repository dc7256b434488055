//! Who is calling: an API key or an access token becomes a [`Caller`], the proof that attendee
//! and event are active and the event is open at this instant.
//!
//! [`Keys`] caches what was read of keys, so that only one that has not been seen before,
//! or whose row has changed, costs a query; and it slows guessing down.

mod look_up;
mod shared_code;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use ipnet::IpNet;
use quick_cache::sync::Cache;
use secrecy::ExposeSecret;

use super::access_token::{self, CachedToken};
use super::attendee::live::{Endings, LiveAttendee, LiveAttendees, Means};
use super::caller::{Caller, is_open};
use super::control::Control;
use super::error::{Organizer, ProxyError};
use super::guessing::Guesses;
use super::headers::bearer;
use super::shared_key::{Key, is_same_code};
use super::throttle::SourceThrottle;
use crate::catalog::Digest;
use crate::catalog::event::Event;
use crate::catalog::snapshot::Snapshot;
use crate::clock::Clock;
use crate::net;

/// The header of an attendee's key.
pub const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// API keys cached at most.
const CACHED: usize = 65_536;

/// What is cached of an API key's attendee.
pub struct CachedKey {
    pub live: Arc<LiveAttendee>,
    pub means: Means,
    /// The generation of the attendee's row that this was read from.
    pub generation: u64,
    pub active: bool,
    pub daily_cap: Option<u32>,
    /// Of an access token. It has no place among keys, and no key among tokens.
    pub token: Option<CachedToken>,
}

/// What a request shows to say who is calling.
enum Credential<'sent> {
    Key(Key<'sent>),
    /// An access token, for the deployment that the request names.
    Token {
        token: &'sent str,
        deployment: &'sent str,
        /// Whether no key is beside it, which may be right.
        is_alone: bool,
    },
}

impl Credential<'_> {
    /// The text whose digest it is cached under; `None`: it cannot be cached.
    fn normal(&self) -> Option<&str> {
        match self {
            Credential::Key(key) => key.normal(),
            Credential::Token { token, .. } => Some(token),
        }
    }
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

/// The key a request carries: `api-key` decides, else a bearer token. An empty one is none.
pub fn presented_key(headers: &HeaderMap) -> Result<Key<'_>, ProxyError> {
    let value = key_header(headers)
        .or_else(|| headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes())))
        .ok_or(ProxyError::MissingKey)?;
    Key::read(value).ok_or(ProxyError::InvalidKey)
}

fn key_header(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(API_KEY).map(|value| value.as_bytes()).filter(|key| !key.is_empty())
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

    /// Proves who is calling, or says what stands against it. Access tokens are taken for the
    /// `deployment` that is called, where there is one. A live one decides, whatever key is beside
    /// it: editors that had a wrong key sign in, and then send both.
    pub async fn authenticate(
        self: &Arc<Self>,
        headers: &HeaderMap,
        peer: IpAddr,
        deployment: Option<&str>,
    ) -> Result<Caller, ProxyError> {
        let source = || net::source(peer, headers, &self.trusted_proxies);
        let token = deployment.and_then(|name| Some((access_token::presented(headers)?, name)));
        let Some((token, deployment)) = token else {
            let key = presented_key(headers)?;
            let is_portal_token = key.is_portal_token();
            return match self.prove_who(&Credential::Key(key), source).await {
                Err(ProxyError::InvalidKey) if is_portal_token => Err(ProxyError::PortalToken),
                proof => proof,
            };
        };
        let key = key_header(headers);
        let token = Credential::Token { token, deployment, is_alone: key.is_none() };
        let refusal = match self.prove_who(&token, source).await {
            Err(refusal) if refusal.is_of_dead_token() => refusal,
            proof => return proof,
        };
        let Some(key) = key.and_then(Key::read) else { return Err(refusal) };
        match self.prove_who(&Credential::Key(key), source).await {
            Err(ProxyError::InvalidKey) => Err(refusal),
            proof => proof,
        }
    }

    /// From the cache, or else from the store.
    async fn prove_who(
        self: &Arc<Self>,
        credential: &Credential<'_>,
        source: impl Fn() -> IpAddr,
    ) -> Result<Caller, ProxyError> {
        let digest = credential.normal().map(|normal| self.control.vault.digest(normal));
        let mut known = digest.and_then(|digest| self.cache.get(&digest));
        loop {
            if let Some(known) = known
                && let Some(proof) = self.prove(&known, credential)
            {
                return proof;
            }
            let learned = match (credential, digest) {
                (Credential::Token { token, is_alone, .. }, Some(digest)) => {
                    let found = self.look_up_token(token, digest).await?;
                    found.ok_or_else(|| self.wrong_token(is_alone.then(&source)))?
                }
                (Credential::Key(Key::Issued(key)), Some(digest)) => {
                    self.look_up(key, digest, source()).await?
                }
                (Credential::Key(Key::Shared(shared)), _) => {
                    self.join_by_code(shared, source()).await?
                }
                (_, None) => return Err(ProxyError::InvalidKey),
            };
            if let Some(digest) = digest {
                self.cache.insert(digest, learned.clone());
            }
            known = Some(learned);
        }
    }

    /// Checks what may have changed since the credential was cached. `None`: the
    /// attendee's row has, so it must be read again.
    fn prove(
        &self,
        known: &CachedKey,
        credential: &Credential<'_>,
    ) -> Option<Result<Caller, ProxyError>> {
        let endings = known.live.endings_of(known.generation, &known.means)?;
        let proof = self.admit_known(known, endings, credential);
        Some(match credential {
            Credential::Key(_) => proof,
            Credential::Token { .. } => proof.map_err(ProxyError::for_token),
        })
    }

    fn admit_known(
        &self,
        known: &CachedKey,
        endings: Arc<Endings>,
        credential: &Credential<'_>,
    ) -> Result<Caller, ProxyError> {
        let snapshot = self.snapshot.load();
        let event = snapshot.events.get(&*known.live.event_id).ok_or(ProxyError::InvalidKey)?;
        let now_ms = self.clock.now_ms();
        let stands = match (credential, &known.token) {
            // A changed code ends the keys and tokens that came with the old one.
            (Credential::Key(Key::Shared(shared)), None) => code_matches(event, shared.code),
            (Credential::Key(Key::Issued(_)), None) => true,
            (Credential::Token { deployment, .. }, Some(token)) => {
                let code = token.shared_code.as_ref().map(ExposeSecret::expose_secret);
                token.is_good_for(deployment, now_ms)
                    && code.is_none_or(|code| code_matches(event, code))
            }
            (Credential::Key(_), Some(_)) | (Credential::Token { .. }, None) => false,
        };
        if !stands {
            return Err(ProxyError::InvalidKey);
        }
        known.live.seen(now_ms);
        let is_by_token = known.token.is_some();
        let checked = if known.active {
            is_open(event, now_ms)
        } else {
            match is_open(event, now_ms) {
                // Nothing else ends what somebody signed in for.
                Err(ended @ ProxyError::EventEnded(..)) if is_by_token => Err(ended),
                _ => Err(ProxyError::AttendeeDisabled(Organizer::from(&**event))),
            }
        };
        if let Err(refusal) = checked {
            known.live.ledger.lock().refuse(refusal.code(), now_ms);
            return Err(refusal);
        }
        let daily_cap = known.daily_cap.unwrap_or(event.daily_request_cap);
        let (live, event) = (known.live.clone(), event.clone());
        Ok(Caller { live, endings, event, daily_cap, is_by_token })
    }

    /// Counts something from this source that is unknown here, such as the id of an event.
    ///
    /// # Errors
    /// There were too many: the seconds to wait.
    pub fn count_unknown(&self, source: IpAddr) -> Result<(), u64> {
        self.throttle.wrong(source, self.clock.now_ms())
    }

    /// The refusal of a token that nobody has; the key beside it is counted instead, if there is one.
    fn wrong_token(&self, source: Option<IpAddr>) -> ProxyError {
        source
            .map_or(ProxyError::InvalidToken, |source| self.wrong(source, ProxyError::InvalidToken))
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
            Ok("abc".into()),
            "an empty one is none"
        );
        for none in [&[("api-key", "")][..], &[("authorization", "Bearer ")]] {
            assert_eq!(key(none), Err(ProxyError::MissingKey));
        }
        assert_eq!(key(&[("authorization", "Basic abc")]), Err(ProxyError::MissingKey));
        assert_eq!(key(&[]), Err(ProxyError::MissingKey));
    }
}
