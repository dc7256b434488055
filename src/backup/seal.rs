//! The file: an archive under a passphrase. All numbers are big-endian.
//!
//! | bytes | |
//! | --- | --- |
//! | 8 | `AIPROXYB` |
//! | 1 | version of the file, 1 |
//! | 12 | argon2id (version 0x13): KiB of memory, passes, lanes, four bytes each |
//! | 16 | salt |
//! | 12 | nonce |
//! | rest | AES-256-GCM of the archive, its tag of 16 bytes last |
//!
//! The first 37 bytes are authenticated with it. The parameters that are written
//! are the second recommendation of RFC 9106; others are read within bounds, so that no
//! file can ask for all the memory there is.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use super::Error;

const MAGIC: &[u8; 8] = b"AIPROXYB";
const VERSION: u8 = 1;
const SALT: usize = 16;
const TAG: usize = 16;
const HEADER: usize = MAGIC.len() + 1 + 12 + SALT;

/// What a file has beside the archive, in bytes.
pub(crate) const OVERHEAD: usize = HEADER + NONCE_LEN + TAG;

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
const MOST: Cost = Cost { memory_kib: 128 * 1024, passes: 8, lanes: 8 };

/// Whether this begins as a file of ours.
pub(crate) fn is_ours(file: &[u8]) -> bool {
    file.starts_with(MAGIC)
}

/// Seals an archive.
pub(crate) fn seal(text: &[u8], passphrase: &[u8]) -> Result<Vec<u8>, Error> {
    let mut salt = [0; SALT];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| Error::Failed)?;
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.push(VERSION);
    for number in [COST.memory_kib, COST.passes, COST.lanes] {
        header.extend_from_slice(&number.to_be_bytes());
    }
    header.extend_from_slice(&salt);
    let mut body = Vec::with_capacity(text.len() + TAG);
    body.extend_from_slice(text);
    let nonce = key(COST, &salt, passphrase)?
        .seal_in_place_append_tag(Aad::from(&header), &mut body)
        .map_err(|_| Error::Failed)?;
    Ok([&header, nonce.as_ref().as_slice(), &body].concat())
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`Error::Sealed`] where a byte of it differs, [`Error::Newer`] for another
/// version.
pub(crate) fn open(file: &[u8], passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (header, rest) = file.split_at_checked(HEADER).ok_or(Error::Sealed)?;
    let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(Error::Sealed)?;
    let (version, numbers) = header[MAGIC.len()..].split_first().ok_or(Error::Sealed)?;
    if *version != VERSION {
        return Err(Error::Newer((*version).into()));
    }
    let (numbers, salt) = numbers.split_at(12);
    let number = |at: usize| {
        numbers[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    };
    let cost = Cost { memory_kib: number(0), passes: number(4), lanes: number(8) };
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Sealed)?;
    let mut body = Zeroizing::new(body.to_vec());
    let length = key(cost, salt, passphrase)?
        .open_in_place(nonce, Aad::from(header), &mut body)
        .map_err(|_| Error::Sealed)?
        .len();
    body.truncate(length);
    Ok(body)
}

fn key(cost: Cost, salt: &[u8], passphrase: &[u8]) -> Result<RandomizedNonceKey, Error> {
    let Cost { memory_kib, passes, lanes } = cost;
    if memory_kib > MOST.memory_kib || passes > MOST.passes || lanes > MOST.lanes {
        return Err(Error::Sealed);
    }
    let params = Params::new(memory_kib, passes, lanes, None).map_err(|_| Error::Sealed)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, &mut *key)
        .map_err(|_| Error::Failed)?;
    RandomizedNonceKey::new(&AES_256_GCM, &*key).map_err(|_| Error::Failed)
}
