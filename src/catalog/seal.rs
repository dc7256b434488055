//! Secrets at rest: AES-256-GCM under a key derived from the master key, bound
//! to the table, row and column in which the sealed text stands, so that it is
//! worthless anywhere else.
//!
//! Sealed text is `v1.<key id>.<base64url of nonce, ciphertext, tag>`. The key
//! id tells which master key opens it, so an old and a new one can be in use
//! together until `rekey` has run. Keyed digests (HMAC-SHA-256) are here, too.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::Error as CatalogError;
use super::digest::{Digest, hex};
use crate::db::Db;

mod master_key;

pub use master_key::{MasterKey, MasterKeyError};

const VERSION: &str = "v1";

/// What `meta` keeps sealed to tell at start whether the master key is right.
const KEY_CHECK: Place<'static> = Place { table: "meta", row: "key-check", column: "value" };
const KEY_CHECK_TEXT: &str = "the master key is right";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{place} was sealed with another master key (key id {key_id}); {REMEDY}")]
    UnknownKey { place: String, key_id: String },
    #[error("{place} cannot be opened: it was altered, or moved here from another row")]
    Broken { place: String },
    #[error("the cryptographic library failed to seal")]
    Failed,
    #[error("this store was sealed with another master key (key id {key_id}); {REMEDY}")]
    WrongMasterKey { key_id: String },
}

const REMEDY: &str = "set AI_PROXY_MASTER_KEY, or master.key in the data folder, to that key; \
     if the key was changed on purpose, give the earlier one as AI_PROXY_MASTER_KEY_OLD \
     (or master.key.old) and run `ai-proxy rekey`";

/// Where a sealed text stands. Opening it as any other place fails.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub table: &'static str,
    pub row: &'a str,
    pub column: &'static str,
}

impl Place<'_> {
    /// Unambiguous, because table and column are ours and hold no slash.
    fn path(&self) -> String {
        format!("{}/{}/{}", self.table, self.row, self.column)
    }
}

/// The keys derived from one master key, prepared once.
struct Keys {
    id: String,
    aead: RandomizedNonceKey,
    mac: hmac::Key,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Keys {
    fn derive(master: &MasterKey) -> Self {
        let prk = Salt::new(HKDF_SHA256, b"ai-proxy").extract(master.bytes());
        let aead = RandomizedNonceKey::new(&AES_256_GCM, &*expand::<32>(&prk, b"seal"))
            .expect("32 bytes are a key of AES-256");
        let mac = hmac::Key::new(hmac::HMAC_SHA256, &*expand::<32>(&prk, b"digest"));
        Self { id: hex(&*expand::<4>(&prk, b"key id")), aead, mac }
    }

    fn digest(&self, text: &str) -> Digest {
        let mut value = [0; 32];
        value.copy_from_slice(hmac::sign(&self.mac, text.as_bytes()).as_ref());
        Digest::new(value)
    }
}

fn expand<const N: usize>(prk: &Prk, purpose: &[u8]) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    prk.expand(&[purpose], Length(N))
        .and_then(|okm| okm.fill(&mut *key))
        .expect("HKDF-SHA-256 yields up to 8160 bytes");
    key
}

/// Seals and digests with the current key; opens with the old one as well.
pub struct Vault {
    current: Keys,
    old: Option<Keys>,
}

impl Vault {
    pub fn new(current: &MasterKey, old: Option<&MasterKey>) -> Self {
        Self { current: Keys::derive(current), old: old.map(Keys::derive) }
    }

    /// Seals `text` for one place.
    ///
    /// # Errors
    /// [`Error::Failed`] where the system's source of randomness does.
    pub fn seal(&self, place: Place<'_>, text: &str) -> Result<String, Error> {
        let mut sealed = Vec::with_capacity(NONCE_LEN + text.len() + AES_256_GCM.tag_len());
        let mut in_out = text.as_bytes().to_vec();
        let nonce = self
            .current
            .aead
            .seal_in_place_append_tag(Aad::from(place.path()), &mut in_out)
            .map_err(|_| Error::Failed)?;
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&in_out);
        Ok(format!("{VERSION}.{}.{}", self.current.id, URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens what [`seal`](Self::seal) made for the same place.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] where neither key sealed it; [`Error::Broken`]
    /// where a byte of it differs or it stood elsewhere.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<SecretString, Error> {
        let broken = || Error::Broken { place: place.path() };
        let (key_id, body) = parse(sealed).ok_or_else(broken)?;
        let keys = self
            .keys(key_id)
            .ok_or_else(|| Error::UnknownKey { place: place.path(), key_id: key_id.to_owned() })?;
        let mut body = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| broken())?);
        let (nonce, in_out) = body.split_at_mut_checked(NONCE_LEN).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let text = keys
            .aead
            .open_in_place(nonce, Aad::from(place.path()), in_out)
            .map_err(|_| broken())?;
        std::str::from_utf8(text).map(SecretString::from).map_err(|_| broken())
    }

    /// The digest by which `text` is found; cheap enough for every request.
    pub fn digest(&self, text: &str) -> Digest {
        self.current.digest(text)
    }

    /// The same under the old key, for rows that `rekey` has not reached.
    pub fn old_digest(&self, text: &str) -> Option<Digest> {
        self.old.as_ref().map(|keys| keys.digest(text))
    }

    /// How texts begin that the current key sealed.
    pub(super) fn current_prefix(&self) -> String {
        format!("{VERSION}.{}.", self.current.id)
    }

    fn keys(&self, id: &str) -> Option<&Keys> {
        std::iter::once(&self.current).chain(&self.old).find(|keys| keys.id == id)
    }

    /// Makes sure that this store is sealed with one of these keys; a new store
    /// takes the current one. Replicas may do so at the same time.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`], to be shown at start instead of failures later.
    pub async fn check(&self, db: &Db) -> Result<(), CatalogError> {
        sqlx::query("insert into meta (name, value) values ($1, $2) on conflict (name) do nothing")
            .bind(KEY_CHECK.row)
            .bind(self.seal(KEY_CHECK, KEY_CHECK_TEXT)?)
            .execute(db.writer())
            .await?;
        let sealed: String = sqlx::query_scalar("select value from meta where name = $1")
            .bind(KEY_CHECK.row)
            .fetch_one(db.writer())
            .await?;
        match self.open(KEY_CHECK, &sealed) {
            Err(Error::UnknownKey { key_id, .. }) => Err(Error::WrongMasterKey { key_id }.into()),
            other => Ok(other.map(drop)?),
        }
    }

    /// Makes the current key the one that [`check`](Self::check) asks for.
    pub(super) async fn renew_check(&self, db: &Db) -> Result<(), CatalogError> {
        sqlx::query("update meta set value = $2 where name = $1")
            .bind(KEY_CHECK.row)
            .bind(self.seal(KEY_CHECK, KEY_CHECK_TEXT)?)
            .execute(db.writer())
            .await?;
        Ok(())
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({})", self.current.id)
    }
}

fn parse(sealed: &str) -> Option<(&str, &str)> {
    sealed.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')
}
