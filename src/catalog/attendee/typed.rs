//! What people read from a card or a screen and type by hand: the alphabet of card codes
//! and API keys, and which character of it somebody meant.
//!
//! The alphabet is Crockford's Base32. It has no I, L, O or U, so no two characters look
//! alike and no words come out. How a code or a key is cut out of what was typed is their
//! own affair (`claim`, `key`).

use zeroize::Zeroizing;

use crate::catalog::{Result, seal};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The character of the alphabet, in capitals, that somebody meant who typed this one: in
/// either case, with O for 0 and I or L for 1. `None`: it is none of them.
pub(super) fn meant(typed: char) -> Option<char> {
    let meant = match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    u8::try_from(meant).is_ok_and(|byte| ALPHABET.contains(&byte)).then_some(meant)
}

/// The code of so many characters that a text begins with, in capitals: with any spaces and signs
/// between them, and after it nothing that could be a part of it.
pub(super) fn leading(text: &str, length: usize) -> Option<String> {
    let mut code = String::new();
    for character in text.chars() {
        if code.len() == length {
            // A letter too many: it is another code, mistyped.
            return (!character.is_alphanumeric()).then_some(code);
        }
        if !character.is_alphanumeric() {
            continue;
        }
        code.push(meant(character)?);
    }
    (code.len() == length).then_some(code)
}

/// So many random characters of the alphabet, in capitals. Each is worth five bits.
///
/// # Errors
/// [`Error::Seal`](crate::catalog::Error::Seal): the system has no random numbers.
pub(super) fn random<const LENGTH: usize>() -> Result<Zeroizing<[u8; LENGTH]>> {
    let mut characters = Zeroizing::new([0; LENGTH]);
    aws_lc_rs::rand::fill(&mut *characters).map_err(|_| seal::Error::Failed)?;
    for byte in &mut *characters {
        // 256 is a multiple of 32, so all are equally likely.
        *byte = ALPHABET[usize::from(*byte) % ALPHABET.len()];
    }
    Ok(characters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_one_character() {
        let meant = |typed: &str| typed.chars().map(meant).collect::<Option<String>>();
        assert_eq!(meant("oO0iIlL1").as_deref(), Some("00011111"));
        assert_eq!(meant("abcXYZ789").as_deref(), Some("ABCXYZ789"));
        for other in ["u", "U", "-", "_", "@", "é", "\u{410}", "\u{131}", "\u{17f}", "\u{212a}"] {
            assert_eq!(meant(other), None, "{other}");
        }
    }

    #[test]
    fn random_characters_are_of_the_alphabet_and_use_all_of_it() {
        let characters = random::<4096>().unwrap();
        for letter in ALPHABET {
            assert!(characters.contains(letter), "{}", char::from(*letter));
        }
        for byte in &*characters {
            assert_eq!(meant(char::from(*byte)), Some(char::from(*byte)));
        }
    }
}
