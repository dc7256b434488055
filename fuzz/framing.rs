//! Where requests begin and end: the head that the guard has judged is the one
//! that the HTTP parser serves, for whatever bytes a client sends.

#![no_main]

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use ai_proxy::http1::RequestTracker;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], u16)| {
    let (bytes, cut) = input;
    let judged = heads(bytes);
    let cut = usize::from(cut).min(bytes.len());
    let mut at_once = Vec::new();
    let mut requests = RequestTracker::default();
    for mut part in [&bytes[..cut], &bytes[cut..]] {
        while !part.is_empty() {
            let taken = requests.read(part, |is_ambiguous| at_once.push(is_ambiguous));
            assert!(taken > 0, "the guard does not get on");
            part = &part[taken..];
        }
    }
    let bytewise: Vec<bool> = judged.iter().map(|(_, is_ambiguous)| *is_ambiguous).collect();
    assert_eq!(at_once, bytewise, "cutting makes a difference");

    for (number, (method, target)) in served(bytes).iter().enumerate() {
        // What is served without a plain head is refused.
        let Some((head, false)) = judged.get(number) else { break };
        let line = head.trim_start().lines().next().unwrap_or_default();
        assert!(line.starts_with(method) && line.contains(target), "{method} {target}: {head:?}");
        assert!(!head.replace("\r\n", "").contains('\n'), "{head:?}");
        let names: Vec<String> =
            head.lines().filter_map(|line| Some(line.split_once(':')?.0.to_lowercase())).collect();
        let lengths = ["content-length", "transfer-encoding"];
        let framing = names.iter().filter(|name| lengths.contains(&name.trim())).count();
        assert!(framing <= 1, "{head:?}");
    }
});

/// Each head as the guard finds it, and whether it is ambiguous.
fn heads(bytes: &[u8]) -> Vec<(String, bool)> {
    let (mut requests, mut start, mut heads) = (RequestTracker::default(), 0, Vec::new());
    for (at, byte) in bytes.iter().enumerate() {
        if !requests.is_in_head() {
            start = at;
        }
        requests.read(&[*byte], |is_ambiguous| {
            let head = String::from_utf8_lossy(&bytes[start..=at]).into_owned();
            heads.push((head, is_ambiguous));
        });
    }
    heads
}

/// Method and target of each request that hyper serves from `bytes`.
fn served(bytes: &[u8]) -> Vec<(String, String)> {
    let served = RefCell::new(Vec::new());
    let service = service_fn(|request: Request<Incoming>| {
        let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        // A target without a path is shown with one.
        let target = target.trim_start_matches('/').to_owned();
        served.borrow_mut().push((request.method().to_string(), target));
        async {
            let _ = request.into_body().collect().await;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(Client { unread: bytes }, service);
    let mut connection = Box::pin(connection);
    let mut context = Context::from_waker(Waker::noop());
    // All that it waits for is there, but it pauses now and then.
    for _ in 0..64 {
        if connection.as_mut().poll(&mut context).is_ready() {
            break;
        }
    }
    drop(connection);
    served.into_inner()
}

/// A client that has sent everything, and reads nothing.
struct Client<'b> {
    unread: &'b [u8],
}

impl Read for Client<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let (now, later) = self.unread.split_at(buf.remaining().min(self.unread.len()));
        buf.put_slice(now);
        self.unread = later;
        Poll::Ready(Ok(()))
    }
}

impl Write for Client<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
