//! Proof Key for Code Exchange (RFC 7636), by the method S256, the only one that is taken: who exchanges
//! a code shows a verifier, of which the one who asked for the code had shown the digest.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The challenge of a verifier (4.2).
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// Whether a text can be a challenge: 32 bytes in base64url.
pub fn is_challenge(text: &str) -> bool {
    text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// Whether the verifier belongs to the challenge.
pub fn is_verified(stored: &str, verifier: &str) -> bool {
    let is_verifier = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let made = challenge(verifier);
    is_verifier && verify_slices_are_equal(made.as_bytes(), stored.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn only_the_verifier_of_the_challenge_is_good() {
        assert_eq!(challenge(VERIFIER), CHALLENGE);
        assert!(is_verified(CHALLENGE, VERIFIER));
        for wrong in ["", CHALLENGE, &VERIFIER.replace('d', "e"), &format!("{VERIFIER}x")] {
            assert!(!is_verified(CHALLENGE, wrong), "{wrong}");
        }
        // By the method `plain` it would be its own challenge.
        assert!(!is_verified(VERIFIER, VERIFIER));
        let short = "x".repeat(42);
        assert!(!is_verified(&challenge(&short), &short), "too short to be hard to guess");
    }

    #[test]
    fn a_challenge_is_a_digest() {
        assert!(is_challenge(CHALLENGE));
        for wrong in ["", "x", &CHALLENGE[1..], &format!("{CHALLENGE}="), &"é".repeat(22)] {
            assert!(!is_challenge(wrong), "{wrong}");
        }
    }
}
