//! A client that is still sending its body when it is answered gets the answer:
//! many send all of it before they read a byte.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::wire::Answer;
use crate::harness::{CALL, eventually};
use crate::tls::Certificate;

/// More than sockets hold on their way.
const LONG: usize = 12 * 1024 * 1024;

/// The head of a POST with a body of [`LONG`] bytes.
fn head(ada: &Attendee, target: &str) -> String {
    let lines = format!("content-type: application/json\r\ncontent-length: {LONG}\r\n");
    ada.head("POST", target, &lines)
}

/// Sends a head and all of the body, then reads the answer.
async fn send_all(proxy: &Proxy, head: &str) -> Answer {
    let mut wire = proxy.wire().await;
    wire.send(head).await.expect("read");
    wire.send(vec![b'{'; LONG]).await.expect("read to its end");
    let answer = wire.answer().await.expect("an answer");
    assert_eq!(answer.header("connection"), Some("close"));
    wire.hung_up("after the answer").await;
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_arrives_while_the_client_is_sending() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::capped(&backend, |event| event.daily_request_cap = 1).await;
    assert_eq!(ada.call().await.status, 200);
    let good = head(&ada, DEMO);
    let twice = good.replace("\r\n\r\n", &format!("\r\ncontent-length: {LONG}\r\n\r\n"));
    for (head, status, code) in [
        (good.replace(&ada.key, "unknown-key"), 401, "invalid_api_key"),
        (head(&ada, "/api/v1/mcp/other"), 404, "deployment_not_found"),
        (head(&ada, "/api/v1/nothing"), 404, "route_not_found"),
        (twice, 400, "ambiguous_framing"),
        (good.clone(), 429, "daily_cap_reached"),
    ] {
        let answer = send_all(&proxy, &head).await;
        assert_eq!((answer.status, &*answer.code()), (status, code));
    }
    let page = send_all(&proxy, &head(&ada, "/admin/no-such-page")).await;
    assert_eq!(page.status, 404);
    assert_eq!(backend.requests().len(), 1, "a refused body goes to no backend");
    proxy.nothing_is_open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_told_so_however_it_is_sent() {
    let backend = Backend::start().await;
    let (proxy, ada) =
        Proxy::serving_with(&backend, |config| config.max_body_bytes = 1024 * 1024).await;
    let answer = send_all(&proxy, &head(&ada, DEMO)).await;
    assert_eq!((answer.status, &*answer.code()), (413, "body_too_large"));
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backends_early_answer_arrives_too_and_nobody_waits_for_the_backend() {
    // It reads no more, and keeps its connection open.
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for (status, body) in [(413, "too large"), (200, "enough")] {
        let sent = head(&ada, DEMO);
        let sending = async { send_all(&proxy, &sent).await };
        let answering = async {
            let mut visit = visits.next().await;
            visit.head().await;
            visit.reply(Reply::status(status).body(body)).await;
            visit
        };
        let (answer, _visit) = tokio::join!(sending, answering);
        assert_eq!((answer.status, answer.text()), (status, body));
    }
    proxy.nothing_is_open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_says_no_slowly_is_sent_no_more_of_the_body() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    wire.send(head(&ada, DEMO)).await.unwrap();
    wire.send(vec![b'{'; 100_000]).await.unwrap();
    let mut visit = visits.next().await;
    visit.head().await;
    visit.reply(Reply::status(413).header("content-length", "8").open()).await;
    assert_eq!(wire.head().await.unwrap().status, 413);
    // Neither reads nor has it ended its answer, yet the client gets on.
    wire.send(vec![b'{'; LONG - 100_000]).await.expect("read to its end");
    visit.write("too much").await;
    assert_eq!(wire.bytes(8).await.unwrap(), b"too much");
    wire.hung_up("after the answer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_after_its_upload_was_cut_takes_the_answer_with_it() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    wire.send(head(&ada, DEMO)).await.unwrap();
    wire.send(vec![b'{'; 100_000]).await.unwrap();
    let mut visit = visits.next().await;
    visit.head().await;
    visit.reply(Reply::status(500).header("content-length", "8").open()).await;
    assert_eq!(wire.head().await.unwrap().status, 500);
    drop(wire);
    visit.left().await;
    proxy.nothing_is_open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_to_be_asked_for_its_body_is_not_asked() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    let began = Instant::now();
    let head = head(&ada, DEMO).replace(&ada.key, "unknown-key\r\nexpect: 100-continue");
    wire.send(&head).await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 401);
    wire.hung_up("at once").await;
    let mut wire = proxy.wire().await;
    wire.send(&head).await.unwrap();
    assert_eq!(wire.next_status().await, 401, "and not 100 before");
    assert!(began.elapsed() < Duration::from_secs(5), "nothing is waited for");
    assert_eq!(backend.requests(), []);

    let asked = ada.post(CALL).header("expect", "100-continue").send().await;
    let mut wire = asked;
    assert_eq!(wire.next_status().await, 100);
    assert_eq!(wire.answer().await.unwrap().status, 200);
}

/// A body of [`LONG`] bytes that says how many were taken.
struct Long {
    left: usize,
    sent: Arc<AtomicUsize>,
}

impl hyper::body::Body for Long {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = self.left.min(64 * 1024);
        self.left -= piece;
        self.sent.fetch_add(piece, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b' '; piece])))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_the_body_is_read_to_its_end_and_the_connection_goes_on() {
    let certificate = Certificate::new();
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving_with(&backend, |config| certificate.set(config)).await;
    let stream = TokioIo::new(certificate.connect(&proxy, "h2").await);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    for (key, status) in [("unknown-key", 401), (&*ada.key, 404)] {
        let sent = Arc::new(AtomicUsize::new(0));
        let request = Request::post("https://localhost/api/v1/mcp/nobody")
            .header("api-key", key)
            .body(Long { left: LONG, sent: sent.clone() })
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status);
        assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
        eventually("all of the body was taken", async || sent.load(Ordering::Relaxed) == LONG)
            .await;
    }
    assert_eq!(backend.requests(), []);
}
