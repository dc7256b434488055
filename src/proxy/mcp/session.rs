//! An MCP session belongs to the attendee who opened it.
//!
//! All attendees share the backend's key, so only the proxy can keep their
//! sessions apart. A session is known by the digests of its server's origin and of
//! its id; the rows are the truth for all replicas, the table here answers warm calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use http::header::{HeaderMap, HeaderName};
use quick_cache::sync::Cache;

use crate::catalog::Digest;
use crate::catalog::mcp_session::{self, Claim, Session};
use crate::clock;
use crate::proxy::authenticate::Caller;
use crate::proxy::error::ProxyError;
use crate::proxy::mcp::binder::Change;
use crate::proxy::plane::DataPlane;
use crate::proxy::resolve::Target;

pub const HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// How long a binding is believed without asking the store again, and how
/// often its use is written there; far below the 24 h after which it expires.
const FRESH_MS: i64 = 10 * 60_000;

/// The server's origin and the id, both as digests.
type SessionKey = (Digest, Digest);

/// What this replica knows of a session.
pub struct Binding {
    attendee_id: Arc<str>,
    checked: AtomicI64,
}

pub type Sessions =
    Cache<SessionKey, Arc<Binding>, quick_cache::UnitWeighter, foldhash::fast::RandomState>;

/// The session that a request was found to belong to. A claim that was made
/// for this very request is taken back on drop, unless it is [kept](Held::keep).
pub struct Held {
    plane: Arc<DataPlane>,
    session: Session,
    is_unproven: bool,
}

impl Held {
    /// The backend knows the session.
    pub fn keep(&mut self) {
        self.is_unproven = false;
    }

    /// The backend ended the session: its id is nobody's from here on.
    pub async fn end(mut self) -> Result<(), ProxyError> {
        self.keep();
        self.plane.sessions.remove(&key(&self.session));
        self.plane.write_session(self.session.clone(), Change::End).await.map(drop)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_unproven {
            self.plane.sessions.remove(&key(&self.session));
            let (plane, session) = (self.plane.clone(), self.session.clone());
            self.plane.control.spawn(async move {
                if let Err(error) = mcp_session::release(&plane.db, &session).await {
                    tracing::warn!(%error, "a session's claim could not be taken back");
                }
            });
        }
    }
}

/// The session id that a request carries. One that is not unmistakable is
/// nobody's.
pub fn presented(headers: &HeaderMap) -> Result<Option<&str>, ProxyError> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let id =
        value.to_str().ok().filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic()));
    match (id, values.next()) {
        (Some(id), None) => Ok(Some(id)),
        _ => Err(ProxyError::SessionNotFound),
    }
}

fn session(caller: &Caller, target: &Target, id: &str) -> Session {
    Session {
        endpoint: target.resource.endpoint.origin_digest,
        id: Digest::sha256(id.as_bytes()),
        attendee_id: caller.live.attendee_id.clone(),
    }
}

fn key(session: &Session) -> SessionKey {
    (session.endpoint, session.id)
}

impl DataPlane {
    /// Proves that the session is the caller's, claiming one never seen before.
    pub async fn hold_session(
        self: &Arc<Self>,
        caller: &Caller,
        target: &Target,
        id: &str,
    ) -> Result<Held, ProxyError> {
        let session = session(caller, target, id);
        let now_ms = clock::now_ms();
        if let Some(binding) = self.sessions.get(&key(&session))
            && now_ms - binding.checked.load(Ordering::Relaxed) < FRESH_MS
        {
            if binding.attendee_id != session.attendee_id {
                return Err(ProxyError::SessionNotFound);
            }
            return Ok(Held { plane: self.clone(), session, is_unproven: false });
        }
        let (plane, claimed) = (self.clone(), session.clone());
        let claim = self
            .on_control(async move { mcp_session::claim(&plane.db, &claimed, now_ms).await })
            .await?;
        match claim {
            Claim::Mine | Claim::New => {
                self.remember(&session, now_ms);
                let is_unproven = claim == Claim::New;
                Ok(Held { plane: self.clone(), session, is_unproven })
            }
            Claim::Foreign | Claim::Ended => Err(ProxyError::SessionNotFound),
        }
    }

    /// Binds the id that the backend issued; `false` where it is somebody
    /// else's and must not reach this caller.
    pub async fn bind_session(
        self: &Arc<Self>,
        caller: &Caller,
        target: &Target,
        id: &str,
    ) -> Result<bool, ProxyError> {
        let session = session(caller, target, id);
        let now_ms = clock::now_ms();
        let is_bound = self.write_session(session.clone(), Change::Bind).await?;
        if is_bound {
            self.remember(&session, now_ms);
        }
        Ok(is_bound)
    }

    fn remember(&self, session: &Session, now_ms: i64) {
        let attendee_id = session.attendee_id.clone();
        let binding = Binding { attendee_id, checked: AtomicI64::new(now_ms) };
        self.sessions.insert(key(session), Arc::new(binding));
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
            presented(&headers).map(|id| id.map(str::to_owned))
        };
        assert_eq!(with(&[]), Ok(None));
        assert_eq!(with(&["abc-1"]), Ok(Some("abc-1".into())));
        for bad in [&["a", "b"][..], &[""], &["a b"], &["\u{e9}"]] {
            assert_eq!(with(bad), Err(ProxyError::SessionNotFound), "{bad:?}");
        }
    }
}
