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

pub struct Upload {
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
pub enum UploadError {
    /// The backend takes no more.
    Wire(io::Error),
    /// There is no more: the client broke off, or the body is too large.
    Body(BoxError),
}

impl Upload {
    pub fn new(head: &Head<'_>, mut body: RequestBody) -> Self {
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
    pub fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// The body: all of it, as long as nothing is under way.
    pub fn into_body(self) -> RequestBody {
        self.body
    }

    /// Ready once all of the request is written.
    pub fn poll(
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
