//! One request and its answer on a connection. Both may be under way at once: a
//! backend may answer before it has read all.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, SizeHint};
use tokio::io::ReadBuf;

use super::upload::{Head, Upload, UploadError};
use super::{Connection, Stream};
use crate::http1::{BodyDecoder, Malformed, ResponseHead, ResponseHeadReader, Step};
use crate::proxy::client_body::BoxError;
use crate::proxy::request_body::RequestBody;

/// Bytes that are read at once.
const PIECE: usize = 32 * 1024;

/// Why there is no answer.
pub enum SendError {
    /// The backend took not a byte of the request.
    Unsent(RequestBody),
    /// The connection ended before an answer began; the backend may have seen
    /// something of the request.
    Closed {
        reason: BoxError,
        /// Whether an interim answer had come.
        was_heard: bool,
    },
    /// The bytes that came are no answer, or the request's body has ended early.
    Broken(BoxError),
}

/// Why the wait for an answer's head came to its end without one.
enum Stop {
    Closed(io::Error),
    Broken(BoxError),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The error that TLS gives for bytes that are not its records.
            io::ErrorKind::InvalidData => Stop::Broken(error.into()),
            _ => Stop::Closed(error),
        }
    }
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Self {
        Stop::Broken(malformed.into())
    }
}

impl Connection {
    /// Sends a request; its answer once the head has come.
    ///
    /// # Errors
    /// There is no answer; see [`SendError`].
    pub async fn send(
        self,
        head: &Head<'_>,
        body: RequestBody,
    ) -> Result<Response<Incoming>, SendError> {
        let mut connection = self;
        let has_body = !body.is_end_stream();
        let mut upload = Some(Upload::new(head, body));
        let mut reader = ResponseHeadReader::default();
        let mut is_cut = false;
        let answer = std::future::poll_fn(|cx| {
            let stream = &mut *connection.stream;
            if let Some(sending) = &mut upload {
                match sending.poll(stream, cx) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => upload = None,
                    Poll::Ready(Err(UploadError::Body(error))) => {
                        return Poll::Ready(Err(Stop::Broken(error)));
                    }
                    Poll::Ready(Err(UploadError::Wire(error))) => {
                        if !sending.is_under_way() {
                            return Poll::Ready(Err(Stop::Closed(error)));
                        }
                        // It may have said why before it closed.
                        (upload, is_cut) = (None, true);
                    }
                }
            }
            loop {
                let piece = ready!(poll_piece(stream, cx))?;
                if piece.is_empty() {
                    let end = io::ErrorKind::UnexpectedEof.into();
                    return Poll::Ready(Err(Stop::Closed(end)));
                }
                if let Some(head) = reader.read(piece)? {
                    return Poll::Ready(Ok(head));
                }
            }
        })
        .await;
        match (answer, upload) {
            (Ok(mut answer), upload) => {
                // A backend that refuses, or answers before it has all, need not have read
                // what came with the request, whatever was written: the rest of a body
                // would be its next request.
                let has_all = upload.is_none() && !is_cut;
                let was_read = !has_body || (has_all && answer.response.status().is_success());
                answer.keeps_alive &= was_read;
                Ok(Incoming::new(connection, answer, upload))
            }
            (Err(stop), upload) => {
                if reader.is_untouched() && matches!(stop, Stop::Closed(_)) {
                    connection.closed_unanswered();
                }
                Err(match (stop, upload) {
                    (_, Some(upload)) if !upload.is_under_way() => {
                        SendError::Unsent(upload.into_body())
                    }
                    (Stop::Closed(error), _) if !reader.is_in_head() => {
                        let was_heard = !reader.is_untouched();
                        SendError::Closed { reason: error.into(), was_heard }
                    }
                    (Stop::Closed(error), _) => SendError::Broken(error.into()),
                    (Stop::Broken(error), _) => SendError::Broken(error),
                })
            }
        }
    }
}

/// What has come; nothing at the end.
fn poll_piece(stream: &mut dyn Stream, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    let mut space = [const { MaybeUninit::uninit() }; PIECE];
    let mut piece = ReadBuf::uninit(&mut space);
    ready!(Pin::new(stream).poll_read(cx, &mut piece))?;
    Poll::Ready(Ok(Bytes::copy_from_slice(piece.filled())))
}

/// The body of an answer, as it comes. At its end the connection goes back to
/// the pool; dropped before that, it is closed.
pub struct Incoming {
    connection: Option<Connection>,
    decoder: BodyDecoder,
    /// What has come and is yet to be read.
    bytes: Bytes,
    /// The rest of the request.
    upload: Option<Box<Upload>>,
    keeps_alive: bool,
    /// How long the backend says that it keeps an idle connection open.
    announced: Option<Duration>,
}

impl Incoming {
    fn new(connection: Connection, head: ResponseHead, upload: Option<Upload>) -> Response<Self> {
        let ResponseHead { response, body: decoder, keeps_alive, announced, rest: bytes } = head;
        // A backend that has said no wants no more of it (RFC 9112 §9.5), and may
        // read none; the client's connection takes what still comes.
        let upload = upload.filter(|_| response.status().is_success());
        let mut incoming = Self {
            connection: Some(connection),
            decoder,
            bytes,
            upload: upload.map(Box::new),
            keeps_alive,
            announced,
        };
        incoming.settle();
        response.map(|()| incoming)
    }

    pub fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            match self.decoder.read(&mut self.bytes)? {
                Step::Content(content) => {
                    self.settle();
                    return Poll::Ready(Some(Ok(content)));
                }
                Step::End => {
                    self.settle();
                    return Poll::Ready(None);
                }
                Step::More => {}
            }
            let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
            let stream = &mut *connection.stream;
            if let Some(upload) = &mut self.upload {
                match upload.poll(stream, cx) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => self.upload = None,
                    Poll::Ready(Err(UploadError::Body(error))) => {
                        return Poll::Ready(Some(Err(error)));
                    }
                    Poll::Ready(Err(UploadError::Wire(_))) => {
                        (self.upload, self.keeps_alive) = (None, false);
                    }
                }
            }
            self.bytes = ready!(poll_piece(stream, cx))?;
            if self.bytes.is_empty() {
                if !self.decoder.close() {
                    let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Some(Err(cut.into())));
                }
                self.settle();
            }
        }
    }

    /// Lets go of the connection if that was all.
    fn settle(&mut self) {
        // What is malformed is found again, and told, when it is read.
        let _ = self.decoder.settle(&mut self.bytes);
        if !self.decoder.has_ended() {
            return;
        }
        let is_clean = self.upload.take().is_none() && self.keeps_alive && self.bytes.is_empty();
        if let Some(connection) = self.connection.take()
            && is_clean
        {
            connection.keep(self.announced);
        }
    }

    pub fn is_end_stream(&self) -> bool {
        self.decoder.has_ended()
    }

    pub fn size_hint(&self) -> SizeHint {
        match self.decoder {
            BodyDecoder::Length(left) => SizeHint::with_exact(left),
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
