//! The master key: where it comes from, and that it leaves no copy behind.
//!
//! It is given by `AI_PROXY_MASTER_KEY`, else it stands in `master.key` in the
//! data folder, which the first start makes. Never a flag: those are shown by
//! `ps`. The key of before a change comes from `AI_PROXY_MASTER_KEY_OLD` or
//! `master.key.old`.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

const CURRENT_VARIABLE: &str = "AI_PROXY_MASTER_KEY";
const OLD_VARIABLE: &str = "AI_PROXY_MASTER_KEY_OLD";
const CURRENT_FILE: &str = "master.key";
const OLD_FILE: &str = "master.key.old";

/// Base64 as people paste it: with or without the padding.
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error(
        "{origin} is not a master key: 32 bytes in base64, as `openssl rand -base64 32` prints"
    )]
    Malformed { origin: String },
    #[error("{} cannot be used: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// 32 random bytes from which the keys that seal and digest are derived.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// Reads base64 (either alphabet) of exactly 32 bytes. `origin` names the
    /// variable or file in the error.
    pub fn from_base64(text: &str, origin: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim();
        let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).map(Zeroizing::new);
        let malformed = || MasterKeyError::Malformed { origin: origin.to_owned() };
        let decoded = decoded.map_err(|_| malformed())?;
        let mut key = Zeroizing::new([0; 32]);
        if decoded.len() != key.len() {
            return Err(malformed());
        }
        key.copy_from_slice(&decoded);
        Ok(Self(key))
    }

    /// The current key and, where there is one, the old key: the values given
    /// (of the environment), else the files in `data_dir`. Without either, a
    /// current key is made and kept in `master.key`, readable by its owner only.
    pub fn load(
        data_dir: &Path,
        current: Option<&str>,
        old: Option<&str>,
    ) -> Result<(Self, Option<Self>), MasterKeyError> {
        let given = |value: Option<&str>, name| match value.map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => Self::from_base64(text, name).map(Some),
        };
        let current = match given(current, CURRENT_VARIABLE)? {
            Some(key) => key,
            None => Self::from_file_or_new(data_dir)?,
        };
        let old = match given(old, OLD_VARIABLE)? {
            Some(key) => Some(key),
            None => Self::from_file(&data_dir.join(OLD_FILE))?,
        };
        Ok((current, old))
    }

    /// [`load`](Self::load) with what the environment says.
    #[expect(clippy::disallowed_methods, reason = "a flag would show the master key in `ps`")]
    pub fn load_from_env(data_dir: &Path) -> Result<(Self, Option<Self>), MasterKeyError> {
        let variable = |name| std::env::var(name).ok().map(Zeroizing::new);
        let (current, old) = (variable(CURRENT_VARIABLE), variable(OLD_VARIABLE));
        Self::load(data_dir, current.as_ref().map(|v| v.as_str()), old.as_ref().map(|v| v.as_str()))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn from_file(path: &Path) -> Result<Option<Self>, MasterKeyError> {
        let mut text = Zeroizing::new(String::new());
        let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MasterKeyError::File { path: path.to_owned(), source }),
            Ok(0) => Ok(None),
            Ok(_) => Self::from_base64(&text, &path.display().to_string()).map(Some),
        }
    }

    fn from_file_or_new(data_dir: &Path) -> Result<Self, MasterKeyError> {
        let path = data_dir.join(CURRENT_FILE);
        if let Some(key) = Self::from_file(&path)? {
            return Ok(key);
        }
        let failed = |source| MasterKeyError::File { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(failed)?;
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(&path).map_err(failed)?;
        // Of two processes that start on an empty folder, the one that comes
        // second must find the key of the first.
        file.lock().map_err(failed)?;
        if let Some(key) = Self::from_file(&path)? {
            return Ok(key);
        }
        let mut key = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *key).map_err(|_| failed(io::ErrorKind::Other.into()))?;
        let text = Zeroizing::new(STANDARD.encode(*key) + "\n");
        (&file).write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(Self(key))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}
