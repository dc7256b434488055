//! Answers that a browser saves as a file.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http_body::{Body as HttpBody, Frame, SizeHint};

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

/// The same for a large one, with what is to be held until it is sent.
pub fn held(
    name: &str,
    kind: &'static str,
    content: Vec<u8>,
    until_sent: impl Send + Unpin + 'static,
) -> Response {
    file(name, kind, Body::new(HeldFile { content: content.into(), _until_sent: until_sent }))
}

/// Bytes that are handed over at once. Whatever is handed over leaves this process's hands
/// only when the client reads it, so a client that does not read holds what is left.
const PIECE: usize = 64 * 1024;

struct HeldFile<T> {
    content: Bytes,
    _until_sent: T,
}

impl<T: Unpin> HttpBody for HeldFile<T> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let content = &mut self.get_mut().content;
        let piece = content.split_to(PIECE.min(content.len()));
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.len() as u64)
    }
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
