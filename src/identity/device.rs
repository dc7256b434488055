//! A browser that has signed in as an owner before is told from one that
//! guesses: it holds a token that only this proxy can make (OWASP calls it a
//! device cookie). The token opens nothing; it only earns a count of its own. It is good for
//! 90 days and for the password that was set when it was issued, so that a browser that was
//! lost or borrowed does not keep its advantage. It says as well whose browser this was when a
//! sign-in has ended.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::ExposeSecret;

use super::Identity;
use super::throttle::Bucket;
use crate::catalog::owner::{self, Owner, token};
use crate::catalog::seal::Vault;
use crate::catalog::{Digest, Result};
use crate::clock::day_of;

const VALID_DAYS: u32 = 90;

/// What the cookie says as well.
pub(crate) const VALID_SECONDS: i64 = VALID_DAYS as i64 * 86_400;

/// Whom a token is for: an owner, and the hash of their present password. A hash that is renewed
/// under newer parameters voids tokens as a new password does: the next sign-in makes new ones.
#[derive(Clone, Copy)]
pub(super) struct For<'a> {
    pub owner_id: &'a str,
    pub password_hash: &'a str,
}

/// The token for this browser, once the owner has signed in.
pub(super) fn issue(vault: &Vault, whom: For<'_>, now_ms: i64) -> Result<String> {
    let nonce = token::random()?;
    let (day, nonce) = (day_of(now_ms), &nonce.expose_secret()[..32]);
    let proof = vault.digest(&text(whom, day, nonce)).hex();
    Ok(format!("{day}.{nonce}.{proof}.{}", whom.owner_id))
}

/// What attempts of this browser are counted by, if it has signed in as this
/// owner before. It is the proof alone: whoever holds a token can write the rest of a cookie in
/// other ways, but has no other proof.
pub(super) fn recognise(vault: &Vault, whom: For<'_>, token: &str, now_ms: i64) -> Option<Bucket> {
    let Token { day, nonce, proof, owner_id } = Token::read(token)?;
    // Earlier tokens do not name the owner.
    if owner_id.is_some_and(|id| id != whom.owner_id) {
        return None;
    }
    if day_of(now_ms).checked_sub(day).is_none_or(|age| age > VALID_DAYS) {
        return None;
    }
    let text = text(whom, day, nonce);
    let is_proof =
        |digest: Digest| verify_slices_are_equal(digest.hex().as_bytes(), proof.as_bytes()).is_ok();
    let known = is_proof(vault.digest(&text)) || vault.old_digest(&text).is_some_and(is_proof);
    known.then(|| Bucket::Browser(Digest::sha256(proof.as_bytes())))
}

/// The fields of a token.
struct Token<'a> {
    day: u32,
    nonce: &'a str,
    proof: &'a str,
    owner_id: Option<&'a str>,
}

impl<'a> Token<'a> {
    /// `None` for whatever [`issue`] does not write.
    fn read(token: &'a str) -> Option<Self> {
        let mut fields = token.split('.');
        let (written, nonce, proof) = (fields.next()?, fields.next()?, fields.next()?);
        let (owner_id, rest) = (fields.next(), fields.next());
        let day: u32 = written.parse().ok()?;
        let is_ours = rest.is_none() && day.to_string() == written;
        is_ours.then_some(Self { day, nonce, proof, owner_id })
    }
}

impl Identity {
    /// The owner who was the last to sign in in the browser with this token, where the password has
    /// not changed since.
    pub async fn owner_of_browser(&self, token: &str) -> Result<Option<Owner>> {
        let Some(id) = Token::read(token).and_then(|token| token.owner_id) else {
            return Ok(None);
        };
        let known = owner::password::hash_of_id(&self.db, id).await?;
        let Some((owner, hash)) = known else { return Ok(None) };
        let whom = For { owner_id: &owner.id, password_hash: hash.as_deref().unwrap_or_default() };
        let now = self.clock.now_ms();
        Ok(recognise(&self.vault, whom, token, now).map(|_| owner))
    }
}

fn text(whom: For<'_>, day: u32, nonce: &str) -> String {
    let For { owner_id, password_hash } = whom;
    format!("browser of owner {owner_id}, {password_hash}, {day}, {nonce}")
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::catalog::seal::MasterKey;
    use crate::clock::DAY_MS;

    #[test]
    fn a_browser_is_known_for_a_while_and_for_one_password() {
        let key = MasterKey::from_base64(&STANDARD.encode([7; 32]), "the test").unwrap();
        let vault = Vault::new(&key, None);
        let ada = For { owner_id: "ada", password_hash: "$argon2id$one" };
        let now = 20_000 * DAY_MS;
        let token = issue(&vault, ada, now).unwrap();
        let known = |whom, token: &str, at| recognise(&vault, whom, token, at).is_some();
        assert!(known(ada, &token, now) && known(ada, &token, now + 90 * DAY_MS));
        assert!(!known(ada, &token, now + 91 * DAY_MS));
        assert!(!known(ada, &token, now - DAY_MS), "of a day to come");
        assert!(!known(For { password_hash: "$argon2id$two", ..ada }, &token, now));
        assert!(!known(For { owner_id: "bob", ..ada }, &token, now));
        let (before, owner_id) = token.rsplit_once('.').unwrap();
        assert!(
            owner_id == "ada" && known(ada, before, now),
            "as it was before it named the owner"
        );
        let (_, undated) = token.split_once('.').unwrap();
        let later = format!("20001.{undated}");
        for forged in [undated, &later, "", "..", "20000.."] {
            assert!(!known(ada, forged, now + DAY_MS), "{forged}");
        }
    }
    #[test]
    fn a_token_earns_one_count_however_it_is_written() {
        let key = MasterKey::from_base64(&STANDARD.encode([7; 32]), "the test").unwrap();
        let vault = Vault::new(&key, None);
        let ada = For { owner_id: "ada", password_hash: "$argon2id$one" };
        let now = 20_000 * DAY_MS;
        let token = issue(&vault, ada, now).unwrap();
        let counted_by = |token: &str| recognise(&vault, ada, token, now);
        let own = counted_by(&token).unwrap();
        let (before, _) = token.rsplit_once('.').unwrap();
        assert_eq!(counted_by(before), Some(own.clone()), "as it was before it named the owner");
        assert_ne!(counted_by(&issue(&vault, ada, now).unwrap()), Some(own));

        let (_, undated) = token.split_once('.').unwrap();
        for other in [
            format!("{before}."),
            format!("{before}.1"),
            format!("{before}.Ada"),
            format!("{token}."),
            format!("{token}.1"),
            format!("{token} "),
            format!("0{token}"),
            format!("+{token}"),
            format!(" {token}"),
            format!("20000.{}", undated.to_uppercase()),
        ] {
            assert_eq!(counted_by(&other), None, "{other}");
        }
    }
}
