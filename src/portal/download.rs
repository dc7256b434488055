//! Answers that a browser saves as a file.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

/// A file of this name. Of `name` only letters, digits, `.`, `-` and `_` are
/// kept, so that it is one on every system.
pub fn file(name: &str, kind: &'static str, content: impl Into<Body>) -> Response {
    let kept = |character: char| {
        if character.is_ascii_alphanumeric() || "._-".contains(character) { character } else { '-' }
    };
    let name: String = name.chars().map(kept).collect();
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, &disposition)];
    (headers, content.into()).into_response()
}

/// A table of [`spreadsheet`](crate::spreadsheet), after the mark without which Excel
/// takes UTF-8 for something else.
pub fn csv(name: &str, table: String) -> Response {
    file(name, "text/csv; charset=utf-8; header=present", format!("\u{feff}{table}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        let response = csv("Été \"x\"\r\n/../a.csv", String::new());
        let disposition = &response.headers()[CONTENT_DISPOSITION];
        assert_eq!(disposition, "attachment; filename=\"-t---x----..-a.csv\"");
    }
}
