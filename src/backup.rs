//! Backup and restore: all that one owner has, in one sealed file.
//!
//! `gather` reads it from the catalog into an [`Archive`](archive::Archive), `seal`
//! puts that under a passphrase. The other way, `seal` or `lite` open a file, `archive`
//! checks every entry by the rules of the forms, `plan` says what restoring it
//! would do, and `restore` does that, all or nothing. In between the archive waits
//! in the store (`waiting`). Knows nothing of HTTP.

pub mod archive;
mod gather;
pub(crate) mod lite;
pub mod plan;
mod restore;
pub(crate) mod seal;
#[cfg(test)]
mod tests;
mod waiting;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

pub use self::gather::gather;
pub use self::restore::{Done, restore};
pub use self::waiting::{discard, find, keep};
use crate::backup::archive::Archive;
use crate::catalog;
use crate::turns::{Bounds, Full, Turn, Turns};

/// Characters that a passphrase must have at least.
pub const MIN_PASSPHRASE: usize = 12;

/// Bytes that it may have at most.
const MAX_PASSPHRASE: usize = 1024;

/// Bytes of a file at most.
pub const MAX_FILE: usize = 48 * 1024 * 1024;

/// Files in memory at once, each with its contents; one for each owner.
const FILES: Bounds =
    Bounds { at_once: 4, each: 1, waiting: 32, waiting_each: 2, patience: Duration::from_secs(10) };

/// Why there is no file, or none that can be restored. Each follows "The file", or
/// stands by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("another backup is being made or read at the moment; try again when it has ended")]
    Busy,
    /// The data is more than a file takes.
    #[error("{0}")]
    TooMuch(String),
    #[error("is no backup of AI Proxy, and none of azure-ai-proxy-lite")]
    Unknown,
    #[error("was made by a newer release of AI Proxy (format {0}); update this one first")]
    Newer(u32),
    /// Wrong passphrase or damaged: nobody can tell which.
    #[error("does not open: the passphrase is another one, or the file is damaged")]
    Sealed,
    /// Opened, but an entry cannot be taken: which, and why.
    #[error("cannot be restored: {0}")]
    Invalid(String),
    #[error("the cryptographic library failed")]
    Failed,
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
}

/// Why a new passphrase is not taken, as what follows "Passphrase …".
pub fn refuse(passphrase: &SecretString) -> Option<String> {
    let passphrase = passphrase.expose_secret();
    if passphrase.chars().count() < MIN_PASSPHRASE {
        return Some(format!("must have at least {MIN_PASSPHRASE} characters"));
    }
    (passphrase.len() > MAX_PASSPHRASE).then(|| format!("must have at most {MAX_PASSPHRASE} bytes"))
}

/// Seals and opens files: slow and hungry on purpose, so one at a time.
pub struct Backups {
    turns: Turns<String>,
    work: Semaphore,
}

/// One owner's turn. It is to be taken before the first byte of a file is read or gathered, and
/// held as long as any of it is in memory.
pub struct BackupTurn {
    _turn: Turn<String>,
}

impl Default for Backups {
    fn default() -> Self {
        Self { turns: Turns::new(FILES), work: Semaphore::new(1) }
    }
}

impl Backups {
    /// # Errors
    /// [`Error::Busy`].
    pub async fn turn(&self, owner_id: &str) -> Result<BackupTurn, Error> {
        let turn = self.turns.take(&owner_id.to_owned()).await;
        Ok(BackupTurn { _turn: turn.map_err(|Full| Error::Busy)? })
    }

    /// # Errors
    /// [`Error::TooMuch`].
    pub async fn seal(
        &self,
        _turn: &BackupTurn,
        archive: Archive,
        passphrase: &SecretString,
    ) -> Result<Vec<u8>, Error> {
        let passphrase = passphrase.clone();
        self.one_by_one(move || {
            let text = archive.to_json()?;
            if text.len() + seal::OVERHEAD > MAX_FILE {
                return Err(Error::TooMuch(format!(
                    "would be larger than the {} MiB that can be restored; leave out the figures",
                    MAX_FILE >> 20
                )));
            }
            seal::seal(&text, passphrase.expose_secret().as_bytes())
        })
        .await
    }

    /// What is in a file of ours or of azure-ai-proxy-lite, every entry checked.
    pub async fn open(
        &self,
        _turn: &BackupTurn,
        file: Vec<u8>,
        passphrase: &SecretString,
        now_ms: i64,
    ) -> Result<Archive, Error> {
        let passphrase = passphrase.clone();
        self.one_by_one(move || open(&file, passphrase.expose_secret().as_bytes(), now_ms)).await
    }

    /// Off the runtime, which has others to serve. Few wait: they have turns.
    async fn one_by_one<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Error> + Send + 'static,
    {
        let _only = self.work.acquire().await.map_err(|_| Error::Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Failed)?
    }
}

/// Opens a file of either kind. Any bytes are taken and none make it panic.
///
/// # Errors
/// What is wrong with the file, for the person who gave it.
pub fn open(file: &[u8], passphrase: &[u8], now_ms: i64) -> Result<Archive, Error> {
    if passphrase.len() > MAX_PASSPHRASE {
        return Err(Error::Sealed);
    }
    let archive = if seal::is_ours(file) {
        let text: Zeroizing<Vec<u8>> = seal::open(file, passphrase)?;
        Archive::from_json(&text)?
    } else if lite::is_lite(file) {
        lite::read(&lite::open(file, passphrase)?, now_ms)?
    } else {
        return Err(Error::Unknown);
    };
    archive.check(now_ms)?;
    Ok(archive)
}
