//! Who is calling: an API key becomes a [`Caller`], the proof that attendee and
//! event are active and the event is open at this instant.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use secrecy::ExposeSecret;

use super::error::{Organizer, ProxyError};
use super::live::{Endings, Live};
use super::plane::{DataPlane, Known};
use super::throttle;
use crate::catalog::attendee::{self, Joined};
use crate::catalog::event::Event;
use crate::catalog::{self, Digest, quota};
use crate::clock;

const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// Shortest name in a shared-code key, in characters.
const MIN_NAME: usize = 8;

/// An attendee whose event is open now.
#[derive(Clone)]
pub struct Caller {
    pub live: Arc<Live>,
    /// Taken before the proof: whatever ends the caller after it is heard.
    pub endings: Arc<Endings>,
    pub event: Arc<Event>,
    /// Requests a UTC day.
    pub daily_cap: u32,
}

/// The key a request carries: `api-key` decides, else a bearer token.
pub fn presented_key(headers: &HeaderMap) -> Result<&str, ProxyError> {
    let value = match headers.get(API_KEY) {
        Some(value) => value.as_bytes(),
        None => match headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes())) {
            Some(token) => token,
            None => return Err(ProxyError::MissingKey),
        },
    };
    let is_key = (2..=512).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(value).ok().filter(|_| is_key).ok_or(ProxyError::InvalidKey)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// `{event-id}@{code}/{name}`: a key that an attendee makes from a shared code.
#[derive(Debug, PartialEq, Eq)]
pub struct SharedKey<'key> {
    pub event_id: &'key str,
    pub code: &'key str,
    pub name: &'key str,
}

impl<'key> SharedKey<'key> {
    /// `None`: not of this form, so it is an issued key.
    pub fn parse(key: &'key str) -> Option<Self> {
        let (event_id, rest) = key.split_once('@')?;
        let (code, name) = rest.split_once('/')?;
        Some(Self { event_id, code, name })
    }
}

impl DataPlane {
    /// Proves who is calling, or says what stands against it.
    pub async fn authenticate(
        self: &Arc<Self>,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Caller, ProxyError> {
        let key = presented_key(headers)?;
        let digest = self.vault.digest(key);
        let source = || throttle::source(peer, headers, &self.config.trusted_proxies);
        let mut known = self.keys.get(&digest);
        loop {
            if let Some(known) = known
                && let Some(proof) = self.prove(&known, key)
            {
                return proof;
            }
            let learned = match SharedKey::parse(key) {
                Some(shared) => self.join_by_code(shared, source).await?,
                None => self.look_up(key, digest, source).await?,
            };
            self.keys.insert(digest, learned.clone());
            known = Some(learned);
        }
    }

    /// Checks what may have changed since the key was cached. `None`: the
    /// attendee's row has, so it must be read again.
    fn prove(&self, known: &Known, key: &str) -> Option<Result<Caller, ProxyError>> {
        // In this order. A row's change is noted first and ends streams second,
        // so endings from after the change do not go with a row from before it.
        let endings = known.live.endings();
        (known.generation == known.live.generation()).then(|| self.admit_known(known, endings, key))
    }

    fn admit_known(
        &self,
        known: &Known,
        endings: Arc<Endings>,
        key: &str,
    ) -> Result<Caller, ProxyError> {
        let snapshot = self.snapshot.load();
        let event = snapshot.events.get(&*known.live.event_id).ok_or(ProxyError::InvalidKey)?;
        if let Some(shared) = SharedKey::parse(key) {
            // A changed code ends the keys that carry the old one.
            if !code_matches(event, shared.code) {
                return Err(ProxyError::InvalidKey);
            }
        }
        let now_ms = clock::now_ms();
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

    async fn look_up(
        self: &Arc<Self>,
        key: &str,
        digest: Digest,
        source: impl Fn() -> IpAddr,
    ) -> Result<Arc<Known>, ProxyError> {
        // A source that guesses queues at a narrow door, so that it cannot keep
        // the store from looking up the keys of others.
        let source = source();
        let _turn = if self.throttle.is_throttled(source, clock::now_ms()) {
            self.guessers.acquire().await.ok()
        } else {
            None
        };
        let mut digests = vec![digest];
        digests.extend(self.vault.old_digest(key));
        let plane = self.clone();
        let found = self
            .on_control(async move {
                let changes = plane.lives.changes();
                let Some(found) = attendee::find_by_digest(&plane.db, &digests).await? else {
                    return Ok(None);
                };
                plane.learn(&found, changes).await.map(Some)
            })
            .await?;
        found.ok_or_else(|| self.wrong_key(source))
    }

    async fn join_by_code(
        self: &Arc<Self>,
        shared: SharedKey<'_>,
        source: impl Fn() -> IpAddr,
    ) -> Result<Arc<Known>, ProxyError> {
        let snapshot = self.snapshot.load_full();
        let event = snapshot.events.get(shared.event_id);
        let Some(event) = event.filter(|event| code_matches(event, shared.code)) else {
            return Err(self.wrong_key(source()));
        };
        if shared.name.chars().count() < MIN_NAME {
            return Err(ProxyError::InvalidKey);
        }
        is_open(event, clock::now_ms())?;
        let (plane, event, name) = (self.clone(), event.clone(), shared.name.to_owned());
        self.on_control(async move {
            let changes = plane.lives.changes();
            let (db, vault) = (&plane.db, &plane.vault);
            match attendee::join_by_shared_code(db, vault, &event, &name).await {
                Ok(Joined::Attendee(joined)) => plane.learn(&joined, changes).await.map(Ok),
                Ok(Joined::Full) => Ok(Err(ProxyError::EventFull(Organizer::from(&*event)))),
                Ok(Joined::Shut(why)) => {
                    Ok(Err(ProxyError::RegistrationClosed(Organizer::from(&*event), why)))
                }
                // Deleted an instant ago, which the snapshot does not show yet.
                Err(catalog::Error::NotFound { .. }) => Ok(Err(ProxyError::InvalidKey)),
                Err(error) => Err(error),
            }
        })
        .await?
    }

    /// What ended the calls of somebody who was admitted before.
    pub fn why_ended(&self, caller: &Caller) -> ProxyError {
        if self.is_draining() {
            return ProxyError::ShuttingDown;
        }
        let snapshot = self.snapshot.load();
        let event = snapshot.events.get(&caller.event.id).unwrap_or(&caller.event);
        let organizer = || Organizer::from(&**event);
        is_open(event, clock::now_ms())
            .err()
            .unwrap_or_else(|| ProxyError::AttendeeDisabled(organizer()))
    }

    fn wrong_key(&self, source: IpAddr) -> ProxyError {
        match self.throttle.wrong(source, clock::now_ms()) {
            Ok(()) => ProxyError::InvalidKey,
            Err(retry_after) => ProxyError::TooManyAttempts { retry_after },
        }
    }

    /// What is kept in memory of an attendee's row, with today's usage where
    /// the attendee is new here.
    async fn learn(
        &self,
        attendee: &attendee::Attendee,
        changes: u64,
    ) -> Result<Arc<Known>, catalog::Error> {
        let (live, is_new) = self.lives.enter(&attendee.id, &attendee.event_id);
        if is_new {
            let day = clock::today(clock::now_ms());
            let used = quota::used(&self.db, &attendee.id, day).await?;
            live.learn_spent(day, used);
        }
        // A change that was told while the row was being read may not be in it.
        let is_fresh = self.lives.changes() == changes;
        let generation =
            if is_fresh { live.generation() } else { live.generation().wrapping_sub(1) };
        Ok(Arc::new(Known {
            live,
            generation,
            active: attendee.active,
            daily_cap: attendee.daily_request_cap,
        }))
    }
}

fn code_matches(event: &Event, code: &str) -> bool {
    event.shared_code.as_ref().is_some_and(|right| {
        verify_slices_are_equal(right.expose_secret().as_bytes(), code.as_bytes()).is_ok()
    })
}

/// Whether the event is active and the instant within its window, ends included.
pub fn is_open(event: &Event, now_ms: i64) -> Result<(), ProxyError> {
    let organizer = || Organizer::from(event);
    if !event.active {
        Err(ProxyError::EventInactive(organizer()))
    } else if now_ms < event.starts_at {
        Err(ProxyError::EventNotStarted(organizer(), event.starts_at))
    } else if now_ms > event.ends_at {
        Err(ProxyError::EventEnded(organizer(), event.ends_at))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(headers: &[(&'static str, &str)]) -> Result<String, ProxyError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        presented_key(&map).map(str::to_owned)
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

    #[test]
    fn a_key_has_2_to_512_visible_characters() {
        for bad in ["x", "a b", "\u{e9}t\u{e9}", &"x".repeat(513)] {
            assert_eq!(key(&[("api-key", bad)]), Err(ProxyError::InvalidKey), "{bad}");
        }
        assert!(key(&[("api-key", "xy")]).is_ok());
        assert!(key(&[("api-key", &"x".repeat(512))]).is_ok());
    }

    #[test]
    fn shared_keys_split_at_the_first_marks() {
        let parsed = SharedKey::parse("a1b2-c3d4@code5/ada@example.org/x").unwrap();
        let expected =
            SharedKey { event_id: "a1b2-c3d4", code: "code5", name: "ada@example.org/x" };
        assert_eq!(parsed, expected);
        assert_eq!(SharedKey::parse("a1b2-c3d4@code5"), None);
        assert_eq!(SharedKey::parse("code5/name"), None);
    }
}
