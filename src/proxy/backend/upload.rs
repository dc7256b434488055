//! A request on its way to the backend: its head and what was read ahead of its
//! body in one write, then the rest as it comes.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{HeaderMap, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderName, Method};
use http_body::Body as _;

use super::Stream;
use crate::proxy::client_body::BoxError;
use crate::proxy::request_body::RequestBody;

/// What goes on the wire before the body.
pub struct Head<'a> {
    pub method: &'a Method,
    pub path: &'a PathAndQuery,
    /// End-to-end headers and `Host`; none that frames the body.
    pub headers: &'a HeaderMap,
}

pub(super) struct Upload {
    /// Bytes for the wire, of which so many are written.
    out: Vec<u8>,
    written: usize,
    /// Its beginning may be in `out` already, until that is under way.
    body: RequestBody,
    is_chunked: bool,
    is_under_way: bool,
    has_ended: bool,
}

/// Why an upload stopped.
pub(super) enum UploadError {
    /// The backend takes no more.
    Wire(io::Error),
    /// There is no more: the client broke off, or the body is too large.
    Body(BoxError),
}

impl Upload {
    pub(super) fn new(head: &Head<'_>, mut body: RequestBody) -> Self {
        let length = body.size_hint().exact();
        let ahead = body.ahead();
        let mut out = Vec::with_capacity(512 + ahead.len());
        put_head(&mut out, head, length);
        if !ahead.is_empty() {
            put_data(&mut out, ahead, length.is_none());
        }
        Self {
            out,
            written: 0,
            body,
            is_chunked: length.is_none(),
            is_under_way: false,
            has_ended: false,
        }
    }

    /// Whether a byte was written.
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// The body: all of it, as long as nothing is under way.
    pub(super) fn into_body(self) -> RequestBody {
        self.body
    }

    /// Ready once all of the request is written.
    pub(super) fn poll(
        &mut self,
        stream: &mut dyn Stream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>> {
        loop {
            while let Some(rest @ [_, ..]) = self.out.get(self.written..) {
                match ready!(Pin::new(&mut *stream).poll_write(cx, rest)) {
                    Ok(0) => {
                        return Poll::Ready(Err(UploadError::Wire(
                            io::ErrorKind::WriteZero.into(),
                        )));
                    }
                    Ok(n) => self.written += n,
                    Err(error) => return Poll::Ready(Err(UploadError::Wire(error))),
                }
                if !std::mem::replace(&mut self.is_under_way, true) {
                    self.body.take_ahead();
                    self.has_ended = self.body.is_end_stream() && !self.is_chunked;
                }
            }
            let flushed = Pin::new(&mut *stream).poll_flush(cx).map_err(UploadError::Wire)?;
            if self.has_ended {
                return flushed.map(Ok);
            }
            self.out.clear();
            self.written = 0;
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref().filter(|data| !data.is_empty()) {
                        put_data(&mut self.out, data, self.is_chunked);
                    }
                }
                Some(Err(error)) => return Poll::Ready(Err(UploadError::Body(error))),
                None => {
                    self.has_ended = true;
                    if self.is_chunked {
                        self.out.extend_from_slice(b"0\r\n\r\n");
                    }
                }
            }
        }
    }
}

fn put_head(out: &mut Vec<u8>, head: &Head<'_>, length: Option<u64>) {
    let Head { method, path, headers } = head;
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_str().as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in *headers {
        put_header(out, name, value.as_bytes());
    }
    match length {
        // A method that means no body says nothing of one (RFC 9110 §8.6).
        Some(0) if **method != Method::POST => {}
        Some(length) => {
            // Writing to a vector cannot fail.
            let _ = write!(out, "content-length: {length}\r\n");
        }
        None => put_header(out, &TRANSFER_ENCODING, b"chunked"),
    }
    out.extend_from_slice(b"\r\n");
}

fn put_header(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn put_data(out: &mut Vec<u8>, data: &[u8], is_chunked: bool) {
    if is_chunked {
        // Writing to a vector cannot fail.
        let _ = write!(out, "{:x}\r\n", data.len());
    }
    out.extend_from_slice(data);
    if is_chunked {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use bytes::Bytes;
    use http::HeaderValue;
    use http::header::HOST;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::super::IdleActivity;
    use super::*;

    /// A stream that takes of each write what its script says, and waits where that ends.
    struct Scripted {
        script: VecDeque<io::Result<usize>>,
        /// What each write took.
        writes: Vec<String>,
    }

    impl Scripted {
        fn new(script: impl IntoIterator<Item = io::Result<usize>>) -> Self {
            Self { script: script.into_iter().collect(), writes: Vec::new() }
        }
    }

    impl Stream for Scripted {
        fn idle_activity(&mut self) -> IdleActivity {
            IdleActivity::Nothing
        }
    }

    impl AsyncRead for Scripted {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Scripted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            let Some(next) = self.script.pop_front() else { return Poll::Pending };
            Poll::Ready(next.map(|most| {
                let taken = most.min(buf.len());
                self.writes.push(String::from_utf8_lossy(&buf[..taken]).into_owned());
                taken
            }))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn upload(method: &Method, body: &'static str) -> Upload {
        let path = PathAndQuery::from_static("/mcp");
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("b"))]);
        let head = Head { method, path: &path, headers: &headers };
        Upload::new(&head, RequestBody::whole(Bytes::from_static(body.as_bytes())))
    }

    fn poll(upload: &mut Upload, stream: &mut Scripted) -> Poll<Result<(), UploadError>> {
        upload.poll(stream, &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_request_is_one_write() {
        let post = "POST /mcp HTTP/1.1\r\nhost: b\r\ncontent-length: ";
        for (method, body, wire) in [
            (Method::POST, "hello", format!("{post}5\r\n\r\nhello")),
            (Method::POST, "", format!("{post}0\r\n\r\n")),
            (Method::GET, "", "GET /mcp HTTP/1.1\r\nhost: b\r\n\r\n".to_owned()),
        ] {
            let mut stream = Scripted::new([Ok(usize::MAX)]);
            let polled = poll(&mut upload(&method, body), &mut stream);
            assert!(matches!(polled, Poll::Ready(Ok(()))), "{wire:?}");
            assert_eq!(stream.writes, [wire]);
        }
    }

    #[test]
    fn what_was_written_in_part_is_not_written_again() {
        let mut upload = upload(&Method::POST, "hello");
        let mut stream = Scripted::new([Ok(3), Ok(40)]);
        assert!(poll(&mut upload, &mut stream).is_pending());
        stream.script.extend([Ok(1), Ok(usize::MAX)]);
        assert!(matches!(poll(&mut upload, &mut stream), Poll::Ready(Ok(()))));
        let whole = "POST /mcp HTTP/1.1\r\nhost: b\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(stream.writes, [&whole[..3], &whole[3..43], &whole[43..44], &whole[44..]]);
    }

    #[test]
    fn the_body_is_whole_as_long_as_no_byte_is_written() {
        for (script, is_under_way, left) in [
            (vec![Err(io::ErrorKind::BrokenPipe.into())], false, "hello"),
            (vec![Ok(0)], false, "hello"),
            (vec![Ok(1), Err(io::ErrorKind::BrokenPipe.into())], true, ""),
        ] {
            let mut upload = upload(&Method::POST, "hello");
            let polled = poll(&mut upload, &mut Scripted::new(script));
            assert!(matches!(polled, Poll::Ready(Err(UploadError::Wire(_)))));
            assert_eq!(upload.is_under_way(), is_under_way);
            assert_eq!(upload.into_body().ahead(), left);
        }
    }
}
