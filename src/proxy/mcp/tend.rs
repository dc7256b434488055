//! The upkeep of MCP sessions, once a second: sessions that other replicas ended or gave to
//! somebody else are forgotten here, and renewed affinity cookies are written. `upkeep` calls
//! it and limits its time.

use std::sync::atomic::Ordering;

use crate::catalog::Error;
use crate::catalog::mcp_session::changes::{self, Since};
use crate::catalog::mcp_session::{self, IssuedSession};
use crate::proxy::mcp::session::Sessions;

/// Rows of one statement at most: databases limit its parameters.
const ROWS: usize = 500;

/// Forgets the sessions that have changed, and writes the cookies that are waiting.
///
/// # Errors
/// The store cannot be asked; the next turn takes it up.
pub(crate) async fn tend(sessions: &Sessions) -> Result<(), Error> {
    let known = sessions.revision.load(Ordering::Acquire);
    let Since { revision, changed } = changes::since(&sessions.control.db, known).await?;
    // Before anything is removed: who remembers a session in between finds it moved.
    sessions.revision.store(revision, Ordering::Release);
    match changed {
        Some(keys) => keys.iter().for_each(|key| drop(sessions.bindings.remove(key))),
        None => sessions.bindings.clear(),
    }
    write_renewed(sessions).await
}

/// Each is waiting until it is written, also when this is given up on the way.
async fn write_renewed(sessions: &Sessions) -> Result<(), Error> {
    let waiting: Vec<_> =
        sessions.renewals.lock().iter().map(|(key, value)| (*key, value.clone())).collect();
    for some in waiting.chunks(ROWS) {
        let mut rows = Vec::with_capacity(some.len());
        for (_, (session, cookies)) in some {
            let cookies = cookies.as_ref().and_then(|cookies| cookies.to_str().ok());
            let affinity = cookies
                .map(|cookies| session.seal_affinity(&sessions.control.vault, cookies))
                .transpose()?;
            rows.push(IssuedSession { session: session.clone(), affinity });
        }
        mcp_session::renew_affinity(&sessions.control.db, &rows).await?;
        let mut renewed = sessions.renewals.lock();
        for (key, (_, written)) in some {
            // Unless there is a newer one by now.
            if renewed.get(key).is_some_and(|(_, cookies)| cookies == written) {
                renewed.remove(key);
            }
        }
    }
    Ok(())
}
