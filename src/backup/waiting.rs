//! An archive between looking at what it would do and doing it.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::Error;
use super::archive::Archive;
use crate::catalog::audit::Actor;
use crate::catalog::restore;
use crate::catalog::seal::Vault;
use crate::db::Db;

/// Keeps a checked archive for this session; the id by which it is found.
pub async fn keep(
    db: &Db,
    vault: &Arc<Vault>,
    by: &Actor,
    session: &str,
    archive: Arc<Archive>,
) -> Result<String, Error> {
    let write = move || {
        let mut text = archive.to_json()?;
        let text = String::from_utf8(std::mem::take(&mut *text)).map_err(|_| Error::Failed)?;
        Ok::<_, Error>(SecretString::from(text))
    };
    let text = tokio::task::spawn_blocking(write).await.map_err(|_| Error::Failed)??;
    Ok(restore::keep(db, vault, by, session, text).await?)
}

/// The archive that this session has kept under `id`; none after half an hour.
pub async fn find(
    db: &Db,
    vault: &Arc<Vault>,
    by: &Actor,
    session: &str,
    id: &str,
) -> Result<Option<Arc<Archive>>, Error> {
    let Some(text) = restore::find(db, vault, by, session, id).await? else { return Ok(None) };
    let read = move || Archive::from_json(text.expose_secret().as_bytes());
    let archive = tokio::task::spawn_blocking(read).await.map_err(|_| Error::Failed)??;
    Ok(Some(Arc::new(archive)))
}

/// Forgets what the owner has uploaded.
pub async fn discard(db: &Db, by: &Actor) -> Result<(), Error> {
    Ok(restore::discard(db, by).await?)
}
