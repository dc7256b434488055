//! What a client calls itself, as a page may show it: it is unproven, and may try to look like something
//! else.

use unicode_normalization::UnicodeNormalization as _;

/// The longest that is shown, in characters.
pub(super) const LONGEST: usize = 64;

/// The name of a client that has none.
pub(super) const UNNAMED: &str = "An MCP client";

/// A name on one line, without what changes the direction of text or takes no room.
pub(super) fn shown(name: &str) -> String {
    let name: String = name.nfc().filter(|c| !is_hidden(*c)).collect();
    let words: Vec<&str> = name.split_whitespace().collect();
    let name: String = words.join(" ").chars().take(LONGEST).collect();
    if name.is_empty() { UNNAMED.to_owned() } else { name.trim_end().to_owned() }
}

fn is_hidden(c: char) -> bool {
    let is_mark = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}');
    is_mark || (c.is_control() && !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_letters_that_are_seen() {
        for (name, seen) in [
            ("  Visual\n Studio\tCode ", "Visual Studio Code"),
            ("Cl\u{202e}edua\u{200b}\0", "Cledua"),
            ("", UNNAMED),
            ("\u{feff}\u{2066}", UNNAMED),
            ("編集者 é", "編集者 é"),
        ] {
            assert_eq!(shown(name), seen, "{name:?}");
        }
        assert_eq!(shown(&"é".repeat(99)).chars().count(), LONGEST);
    }
}
