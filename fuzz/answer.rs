//! Answers of a backend: whatever it sends, and however that is cut, we read of
//! it what hyper's client reads, or refuse it. Where we refuse and hyper does
//! not, it is one of the few things that this proxy is stricter about.

#![no_main]

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ai_proxy::proxy::backend::{Connection, Head, IdleActivity, Pool, SendError, Stream};
use ai_proxy::proxy::request_body::RequestBody;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime");
}

/// What became of a request.
#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    is_whole: bool,
}

fuzz_target!(|input: (&[u8], u16)| {
    let (bytes, cut) = input;
    let cut = usize::from(cut).min(bytes.len());
    let (ours, theirs) = RUNTIME.with(|runtime| {
        runtime.block_on(async { (ours(bytes, cut).await, theirs(bytes, cut).await) })
    });
    match (ours, theirs) {
        (Some(mut ours), Some(theirs)) => {
            // Around chunks and in trailers we are stricter about line ends.
            if !ours.is_whole && theirs.body.starts_with(&ours.body) {
                (ours.body, ours.is_whole) = (theirs.body.clone(), theirs.is_whole);
            }
            assert_eq!(ours, theirs);
        }
        (Some(ours), None) => panic!("hyper refuses {ours:?}"),
        (None, Some(theirs)) => assert!(is_refused_on_purpose(&theirs), "{theirs:?}"),
        (None, None) => {}
    }
});

/// What hyper makes something of: an upgrade, codings beside chunked or in
/// HTTP/1.0, lengths that are said in an unusual way.
fn is_refused_on_purpose(answer: &Answer) -> bool {
    answer.status == StatusCode::SWITCHING_PROTOCOLS
        || answer.headers.iter().any(|(name, value)| match name.as_str() {
            "transfer-encoding" => true,
            "content-length" => !value.iter().all(u8::is_ascii_digit),
            _ => false,
        })
}

fn listed(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let listed = headers.iter();
    listed.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

async fn ours(bytes: &[u8], cut: usize) -> Option<Answer> {
    let backend = Box::new(Backend::new(bytes, cut));
    let connection = Connection::new(backend, "http://backend".into(), Arc::<Pool>::default());
    let path = PathAndQuery::from_static("/mcp");
    let head = Head { method: &Method::GET, path: &path, headers: &HeaderMap::new() };
    let answer = match connection.send(&head, RequestBody::empty()).await {
        Ok(answer) => answer,
        Err(SendError::Broken(_) | SendError::Closed { .. }) => return None,
        Err(SendError::Unsent(_)) => panic!("the backend takes everything"),
    };
    let (status, headers) = (answer.status(), listed(answer.headers()));
    let (mut incoming, mut body) = (answer.into_body(), Vec::new());
    let is_whole = loop {
        match poll_fn(|cx| incoming.poll_content(cx)).await {
            Some(Ok(content)) => body.extend_from_slice(&content),
            Some(Err(_)) => break false,
            None => break true,
        }
    };
    Some(Answer { status, headers, body, is_whole })
}

async fn theirs(bytes: &[u8], cut: usize) -> Option<Answer> {
    let io = TokioIo::new(Backend::new(bytes, cut));
    let (mut sender, connection) =
        http1::Builder::new().max_headers(256).handshake(io).await.expect("a handshake");
    let exchange = async move {
        let request = Request::get("/mcp").body(Empty::<Bytes>::new()).expect("a request");
        let answer = sender.send_request(request).await.ok()?;
        let (status, headers) = (answer.status(), listed(answer.headers()));
        let (mut incoming, mut body) = (answer.into_body(), Vec::new());
        let is_whole = loop {
            match incoming.frame().await {
                Some(Ok(frame)) => body.extend(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => break is_of_trailers(&error),
                None => break true,
            }
        };
        Some(Answer { status, headers, body, is_whole })
    };
    // Polled beside each other, as tasks would be.
    let mut connection = Box::pin(connection);
    let mut exchange = Box::pin(exchange);
    poll_fn(|cx| {
        let _ = connection.as_mut().poll(cx);
        exchange.as_mut().poll(cx)
    })
    .await
}

/// Trailers come behind the body, wherever they end; we do not read them.
fn is_of_trailers(error: &hyper::Error) -> bool {
    let error = format!("{error:?}");
    ["HeaderName", "HeaderValue", "NewLine", "header"].iter().any(|word| error.contains(word))
}

/// Once it is asked, sends its bytes in two pieces, then closes.
struct Backend {
    is_asked: bool,
    pieces: Vec<Vec<u8>>,
}

impl Backend {
    fn new(bytes: &[u8], cut: usize) -> Self {
        let (first, last) = bytes.split_at(cut);
        Self { is_asked: false, pieces: vec![last.to_vec(), first.to_vec()] }
    }
}

impl Stream for Backend {
    fn idle_activity(&mut self) -> IdleActivity {
        IdleActivity::Nothing
    }
}

impl AsyncRead for Backend {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_asked {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while let Some(mut piece) = self.pieces.pop() {
            if piece.is_empty() {
                continue;
            }
            let rest = piece.split_off(piece.len().min(buf.remaining()));
            buf.put_slice(&piece);
            self.pieces.push(rest);
            break;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Backend {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_asked = true;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
