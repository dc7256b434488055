//! How pages show numbers. Templates find these as filters where the module is in
//! scope.

use std::fmt::Display;

/// A whole number as people read it: 1,234,567.
#[askama::filter_fn]
pub fn grouped<N: Display>(number: N, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(in_groups(number))
}

/// The same outside of templates.
pub fn in_groups(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let texts = [0, 999, 1000, 1_234_567].map(in_groups);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
