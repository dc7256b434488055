//! The upkeep of MCP sessions, once a second: sessions that other replicas ended or gave to
//! somebody else are forgotten here, and renewed affinity cookies are written. `upkeep` calls
//! it and limits its time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::catalog::Error;
use crate::catalog::mcp_session::changes::{self, Since};
use crate::catalog::mcp_session::{self, Issued};
use crate::proxy::plane::DataPlane;

/// Rows of one statement at most: databases limit its parameters.
const ROWS: usize = 500;

/// Forgets the sessions that have changed, and writes the cookies that are waiting.
///
/// # Errors
/// The store cannot be asked; the next turn takes it up.
pub async fn tend(plane: &Arc<DataPlane>) -> Result<(), Error> {
    let known = plane.session_revision.load(Ordering::Acquire);
    let Since { revision, changed } = changes::since(&plane.db, known).await?;
    // Before anything is removed: who remembers a session in between finds it moved.
    plane.session_revision.store(revision, Ordering::Release);
    match changed {
        Some(keys) => keys.iter().for_each(|key| drop(plane.sessions.remove(key))),
        None => plane.sessions.clear(),
    }
    write_renewed(plane).await
}

/// Each is waiting until it is written, also when this is given up on the way.
async fn write_renewed(plane: &DataPlane) -> Result<(), Error> {
    let waiting: Vec<_> =
        plane.renewed.lock().iter().map(|(key, value)| (*key, value.clone())).collect();
    for some in waiting.chunks(ROWS) {
        let mut rows = Vec::with_capacity(some.len());
        for (_, (session, cookies)) in some {
            let cookies = cookies.as_ref().and_then(|cookies| cookies.to_str().ok());
            let affinity =
                cookies.map(|cookies| session.seal_affinity(&plane.vault, cookies)).transpose()?;
            rows.push(Issued { session: session.clone(), affinity });
        }
        mcp_session::renew_affinity(&plane.db, &rows).await?;
        let mut renewed = plane.renewed.lock();
        for (key, (_, written)) in some {
            // Unless there is a newer one by now.
            if renewed.get(key).is_some_and(|(_, cookies)| cookies == written) {
                renewed.remove(key);
            }
        }
    }
    Ok(())
}
