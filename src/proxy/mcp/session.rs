//! An MCP session belongs to the attendee who opened it.
//!
//! All attendees share the backend's key, so only the proxy can keep their
//! sessions apart. A session is known by the digests of its server's origin and of
//! its id; the rows are the truth for all replicas, the table here answers warm calls.
//! It holds proven sessions only.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use secrecy::ExposeSecret;

use crate::catalog::mcp_session::changes::Key;
use crate::catalog::mcp_session::{self, Found, IssuedSession, McpSession, Mine, SessionClaim};
use crate::catalog::snapshot::Snapshot;
use crate::catalog::{Digest, session_mark};
use crate::clock::Clock;
use crate::config::Config;
use crate::net::affinity::{self, TooLarge};
use crate::proxy::caller::Caller;
use crate::proxy::control::Control;
use crate::proxy::error::ProxyError;
use crate::proxy::headers::is_graphic;
use crate::proxy::mcp::binder::{Binder, Change};
use crate::proxy::mcp::constant::Trials;
use crate::proxy::resolve::CallTarget;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// How long a binding is believed without asking the store again, and how
/// often its use is written there; far below the 24 h after which it expires.
const FRESH_MS: i64 = 10 * 60_000;

/// Maximum number of sessions that are cached.
const CACHED: usize = 262_144;

/// What this replica knows of a session.
pub struct Binding {
    attendee_id: Arc<str>,
    /// When the store was asked, UTC milliseconds.
    checked: i64,
    affinity: Option<HeaderValue>,
}

type Bindings = Cache<Key, Arc<Binding>, quick_cache::UnitWeighter, foldhash::fast::RandomState>;

type Renewals = Mutex<HashMap<Key, (McpSession, Option<HeaderValue>)>>;

/// The sessions that this replica knows, and the way to those that the store knows.
pub struct Sessions {
    pub(super) bindings: Bindings,
    /// All endings of sessions up to this one have reached `bindings`.
    pub(super) revision: AtomicI64,
    /// Affinity cookies that the store does not have yet. Some load balancers send new
    /// ones with each answer, so they are written once a second.
    pub(super) renewals: Renewals,
    binder: Arc<Binder>,
    trials: Arc<Trials>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) control: Control,
    clock: Clock,
}

/// The result of looking up a presented session id, before anything is written.
pub enum Ownership {
    /// Everybody has this session: it is nobody's.
    Constant,
    /// The caller's, as this replica knows.
    Known(McpSession, Arc<Binding>),
    /// The caller's as the store knows, or to be claimed.
    InStore(McpSession),
}

/// How sure it is that the backend accepts the session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Proven,
    /// Another request of the attendee's has claimed it.
    Unproven,
    /// This very request has claimed it.
    Claimed,
}

/// The session that a request was found to belong to. A claim that was made for this
/// very request is released on drop if the request was not [sent](SessionHold::sent).
pub struct SessionHold {
    sessions: Arc<Sessions>,
    session: McpSession,
    affinity: Option<HeaderValue>,
    standing: Standing,
    /// Whether a claim outlives the request.
    is_kept: bool,
}

impl SessionHold {
    /// The cookies that go with the session's requests.
    pub fn affinity(&self) -> Option<HeaderValue> {
        self.affinity.clone()
    }

    /// The backend may have seen the request.
    pub fn sent(&mut self) {
        self.is_kept = true;
    }

    /// Learns from the status of the backend's answer: below 400 it accepts the session, with 400
    /// or 404 it does not know it. Any other status says nothing about the session.
    pub async fn answered(&mut self, status: StatusCode) {
        if status.as_u16() < 400 && self.standing != Standing::Proven {
            self.standing = Standing::Unproven;
            let Sessions { control, clock, .. } = &*self.sessions;
            let (db, session, now_ms) = (control.db.clone(), self.session.clone(), clock.now_ms());
            let proof = control.ask(async move { mcp_session::prove(&db, &session, now_ms).await });
            // Where it could not be written, the next answer proves it.
            if proof.await.unwrap_or_default() {
                self.standing = Standing::Proven;
            }
        }
        if matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) {
            self.is_kept = false;
        }
    }

    /// Takes up cookies of the session that a later answer sets; `false` if they have
    /// become too large to be kept.
    pub fn renew_affinity(&self, answer: &HeaderMap, is_https: bool) -> bool {
        let Some(kept) = &self.affinity else { return true };
        if !answer.contains_key(SET_COOKIE) {
            return true;
        }
        let renewed = match affinity::renew(kept, answer, is_https) {
            Ok(None) => return true,
            Ok(renewed) => renewed,
            Err(TooLarge) => None,
        };
        let fits = renewed.is_some();
        let (sessions, key) = (&self.sessions, key(&self.session));
        let as_of = sessions.revision.load(Ordering::Acquire);
        if let Some(binding) = sessions.bindings.get(&key)
            && binding.attendee_id == self.session.attendee_id
        {
            sessions.remember(&self.session, as_of, binding.checked, renewed.clone());
        }
        sessions.renewals.lock().insert(key, (self.session.clone(), renewed));
        fits
    }

    /// The backend ended the session: its id is nobody's from here on.
    pub async fn end(self) -> Result<(), ProxyError> {
        self.sessions.bindings.remove(&key(&self.session));
        self.sessions.binder.write(self.session.clone().into(), Change::End).await?;
        Ok(())
    }
}

impl Drop for SessionHold {
    fn drop(&mut self) {
        if self.standing == Standing::Claimed && !self.is_kept {
            let control = &self.sessions.control;
            let (db, session) = (control.db.clone(), self.session.clone());
            control.run(async move {
                if let Err(error) = mcp_session::release(&db, &session).await {
                    tracing::warn!(%error, "a session's claim could not be released");
                }
            });
        }
    }
}

/// The session id that a request carries; an empty one is none. One that is not
/// unmistakable is nobody's.
pub(crate) fn presented(headers: &mut HeaderMap) -> Result<Option<HeaderValue>, ProxyError> {
    let mut values = headers.get_all(HEADER).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(id), None) if !id.is_empty() && is_graphic(id.as_bytes()) => Ok(Some(id.clone())),
        (Some(_), _) => {
            drop_empty(headers);
            let is_there = headers.contains_key(HEADER);
            if is_there { Err(ProxyError::SessionNotFound) } else { Ok(None) }
        }
    }
}

/// Removes an empty session id.
pub(crate) fn drop_empty(headers: &mut HeaderMap) {
    if headers.get(HEADER).is_some_and(HeaderValue::is_empty)
        && headers.get_all(HEADER).iter().all(HeaderValue::is_empty)
    {
        headers.remove(HEADER);
    }
}

fn session(caller: &Caller, target: &CallTarget, id: Digest) -> McpSession {
    McpSession {
        endpoint: target.resource.endpoint.origin_digest,
        id,
        attendee_id: caller.live.attendee_id.clone(),
    }
}

fn key(session: &McpSession) -> Key {
    (session.endpoint, session.id)
}

impl Sessions {
    pub fn new(
        config: &Config,
        snapshot: Arc<ArcSwap<Snapshot>>,
        control: Control,
        clock: Clock,
    ) -> Self {
        let bindings = Cache::with(
            CACHED,
            CACHED as u64,
            Default::default(),
            Default::default(),
            Default::default(),
        );
        Self {
            bindings,
            // Not known yet: the first look has everything looked up again.
            revision: AtomicI64::new(i64::MIN),
            renewals: Renewals::default(),
            binder: Arc::new(Binder::new(control.clone(), clock.clone())),
            trials: Arc::new(Trials::new(config, snapshot.clone(), control.clone())),
            snapshot,
            control,
            clock,
        }
    }

    /// Looks whether the caller may use the session, without writing anything.
    ///
    /// # Errors
    /// It has ended, or is somebody else's.
    pub async fn look(
        &self,
        caller: &Caller,
        target: &CallTarget,
        id: Digest,
    ) -> Result<Ownership, ProxyError> {
        let session = session(caller, target, id);
        if self.snapshot.load().is_constant(&target.resource.id, session.id) {
            return Ok(Ownership::Constant);
        }
        let now_ms = self.clock.now_ms();
        if let Some(binding) = self.bindings.get(&key(&session))
            && now_ms - binding.checked < FRESH_MS
        {
            return match binding.attendee_id == session.attendee_id {
                true => Ok(Ownership::Known(session, binding)),
                false => self.constant_or_refused(target, session.id).await,
            };
        }
        let (db, asked) = (self.control.db.clone(), session.clone());
        let look = async move { mcp_session::look(&db, &asked, now_ms).await };
        match self.control.ask(look).await? {
            Found::Mine(_) | Found::Unseen => Ok(Ownership::InStore(session)),
            Found::Foreign | Found::Ended => self.constant_or_refused(target, session.id).await,
        }
    }

    /// The answer where the session is not the caller's: the snapshot may not have heard
    /// yet that it is everybody's.
    async fn constant_or_refused(
        &self,
        target: &CallTarget,
        id: Digest,
    ) -> Result<Ownership, ProxyError> {
        let (db, resource_id) = (self.control.db.clone(), target.resource.id.clone());
        let mark = async move { session_mark::of(&db, &resource_id).await };
        let mark = self.control.ask(mark).await?;
        match mark.constant == Some(id) {
            true => Ok(Ownership::Constant),
            false => Err(ProxyError::SessionNotFound),
        }
    }

    /// Holds the session for a request that is about to be sent: notes its use in the
    /// store from time to time, and claims it if nobody has ever had it.
    ///
    /// # Errors
    /// Somebody else was faster.
    pub async fn hold(
        self: &Arc<Self>,
        ownership: Ownership,
    ) -> Result<Option<SessionHold>, ProxyError> {
        let session = match ownership {
            Ownership::Constant => return Ok(None),
            Ownership::Known(session, binding) => {
                let affinity = binding.affinity.clone();
                return Ok(Some(self.held(session, affinity, Standing::Proven)));
            }
            Ownership::InStore(session) => session,
        };
        let as_of = self.revision.load(Ordering::Acquire);
        let sessions = self.clone();
        // Held from within the work, so that a claim is released also where the caller
        // is gone by the time it is written.
        let work = async move {
            let now_ms = sessions.clock.now_ms();
            Ok(match mcp_session::claim(&sessions.control.db, &session, now_ms).await? {
                SessionClaim::Mine(Mine { is_proven, affinity }) => {
                    let affinity = sessions.open_affinity(&session, affinity);
                    if is_proven {
                        sessions.remember(&session, as_of, now_ms, affinity.clone());
                    }
                    let standing = if is_proven { Standing::Proven } else { Standing::Unproven };
                    Some(sessions.held(session, affinity, standing))
                }
                SessionClaim::New => Some(sessions.held(session, None, Standing::Claimed)),
                SessionClaim::Foreign | SessionClaim::Ended => None,
            })
        };
        self.control.ask(work).await?.ok_or(ProxyError::SessionNotFound).map(Some)
    }

    fn held(
        self: &Arc<Self>,
        session: McpSession,
        affinity: Option<HeaderValue>,
        standing: Standing,
    ) -> SessionHold {
        SessionHold { sessions: self.clone(), session, affinity, standing, is_kept: false }
    }

    fn open_affinity(&self, session: &McpSession, sealed: Option<String>) -> Option<HeaderValue> {
        let opened = session.open_affinity(&self.control.vault, &sealed?);
        let opened = opened.inspect_err(|error| {
            tracing::warn!(%error, "the affinity cookies of a session could not be opened");
        });
        let mut cookies = HeaderValue::from_str(opened.ok()?.expose_secret()).ok()?;
        cookies.set_sensitive(true);
        Some(cookies)
    }

    /// Binds the id that the backend issued to the caller, whoever had it before: a
    /// backend that gives it away again has forgotten them. One that gives everybody
    /// this id is found out by a trial, and then it is nobody's.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn bind(
        &self,
        caller: &Caller,
        target: &CallTarget,
        id: Digest,
        affinity: Option<HeaderValue>,
    ) -> Result<(), ProxyError> {
        let session = session(caller, target, id);
        if self.snapshot.load().is_constant(&target.resource.id, session.id) {
            return Ok(());
        }
        let as_of = self.revision.load(Ordering::Acquire);
        let now_ms = self.clock.now_ms();
        let sealed = match affinity.as_ref().and_then(|affinity| affinity.to_str().ok()) {
            Some(cookies) => {
                let sealed = session.seal_affinity(&self.control.vault, cookies);
                Some(sealed.map_err(|_| ProxyError::StoreUnavailable)?)
            }
            None => None,
        };
        let issued = IssuedSession { session: session.clone(), affinity: sealed };
        if !self.binder.write(issued.clone(), Change::Bind).await? {
            if self.trials.is_everybodys(target, session.id).await {
                return Ok(());
            }
            tracing::info!(
                deployment = %target.resource.deployment,
                "a session id of one attendee was issued to another by the MCP server"
            );
            let db = self.control.db.clone();
            let take = async move { mcp_session::take_over(&db, &issued, now_ms).await };
            self.control.ask(take).await?;
        }
        self.remember(&session, as_of, now_ms, affinity);
        Ok(())
    }

    /// Remembers a binding that was read or written at the revision `as_of`. If the revision has
    /// changed since, it is not kept: the session's end may already have been processed here.
    fn remember(
        &self,
        session: &McpSession,
        as_of: i64,
        checked: i64,
        affinity: Option<HeaderValue>,
    ) {
        let attendee_id = session.attendee_id.clone();
        let binding = Binding { attendee_id, checked, affinity };
        self.bindings.insert(key(session), Arc::new(binding));
        if self.revision.load(Ordering::Acquire) != as_of {
            self.bindings.remove(&key(session));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_plain_session_id_is_taken() {
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, value.parse().unwrap());
            }
            presented(&mut headers).map(|id| id.map(|id| id.to_str().unwrap().to_owned()))
        };
        assert_eq!(with(&[]), Ok(None));
        assert_eq!(with(&[""]), Ok(None), "an empty one is none");
        assert_eq!(with(&["abc-1"]), Ok(Some("abc-1".into())));
        for bad in [&["a", "b"][..], &["a", ""], &["", "a"], &["a b"], &["\u{e9}"]] {
            assert_eq!(with(bad), Err(ProxyError::SessionNotFound), "{bad:?}");
        }
    }
}
