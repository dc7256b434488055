//! A browser that has signed in as an owner before is told from one that
//! guesses: it holds a token that only this proxy can make (OWASP calls it a
//! device cookie). The token opens nothing; it only earns a count of its own.

use super::throttle::Bucket;
use crate::catalog::owner::token;
use crate::catalog::seal::Vault;
use crate::catalog::{Digest, Result};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::ExposeSecret;

/// The token for this browser, once the owner has signed in.
pub(crate) fn issue(vault: &Vault, owner_id: &str) -> Result<String> {
    let nonce = token::random()?;
    let nonce = &nonce.expose_secret()[..32];
    Ok(format!("{nonce}.{}", vault.digest(&text(owner_id, nonce)).hex()))
}

/// What attempts of this browser are counted by, if it has signed in as this
/// owner before.
pub(super) fn recognise(vault: &Vault, owner_id: &str, token: &str) -> Option<Bucket> {
    let (nonce, proof) = token.split_once('.')?;
    let text = text(owner_id, nonce);
    let is_proof =
        |digest: Digest| verify_slices_are_equal(digest.hex().as_bytes(), proof.as_bytes()).is_ok();
    let known = is_proof(vault.digest(&text)) || vault.old_digest(&text).is_some_and(is_proof);
    known.then(|| Bucket::Browser(Digest::sha256(token.as_bytes())))
}

fn text(owner_id: &str, nonce: &str) -> String {
    format!("browser of owner {owner_id}, {nonce}")
}
