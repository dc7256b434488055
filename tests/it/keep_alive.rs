//! The comment line that keeps silent event streams alive: between two events
//! only, and only where the bytes are a plain event stream of open length.

use std::time::Duration;

use crate::harness::CALL;
use crate::harness::backend::{Backend, Visit};
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::wire::Wire;

const COMMENT: &str = ": keep-alive\n\n";

/// Several times the silence after which a comment is due in these tests.
const LONG: Duration = Duration::from_millis(500);

/// A stream with `head` through a proxy that is to send comments after `silence`.
async fn stream(silence: &str, head: Reply) -> (Backend, Proxy, Wire, Visit) {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) =
        Proxy::serving_with(&backend, |config| config.sse_keep_alive = silence.parse().unwrap())
            .await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    visit.reply(head.open()).await;
    wire.head().await.unwrap();
    (backend, proxy, wire, visit)
}

fn events() -> Reply {
    chunked("text/event-stream")
}

fn chunked(content_type: &str) -> Reply {
    let reply = Reply::status(200).header("content-type", content_type);
    reply.header("transfer-encoding", "chunked")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_gets_comments_between_events() {
    let (_backend, _proxy, mut wire, mut visit) = stream("0.1", events()).await;
    // Before the first event, after one, and as often as it is silent.
    wire.hears(COMMENT).await;
    for event in ["data: a\n\n", "data: b\r\n\r\n", ": ping\n\n", "id: 1\ndata:\n\n"] {
        visit.chunk(event).await;
        wire.hears(event).await;
        wire.hears(COMMENT).await;
        wire.hears(COMMENT).await;
    }
    visit.chunk("").await;
    wire.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_put_inside_an_event() {
    let (_backend, _proxy, mut wire, mut visit) = stream("0.1", events()).await;
    wire.hears(COMMENT).await;
    for (part, rest) in [
        ("data: a", "\n\n"),
        ("data: b\n", "\n"),
        ("data: c\r\n", "\r\n"),
        ("data: \u{20ac}\n\ndata: d", "\n\n"),
        ("event: x\ndata: e\n", "data: f\n\n"),
    ] {
        visit.chunk(part).await;
        wire.hears(part).await;
        tokio::time::sleep(LONG / 2).await;
        visit.chunk(rest).await;
        wire.hears(rest).await;
        wire.hears(COMMENT).await;
    }
    // A character in two parts.
    visit.chunk(b"data: \xe2\x82").await;
    wire.hears(b"data: \xe2\x82").await;
    tokio::time::sleep(LONG / 2).await;
    visit.chunk(b"\xac\n\n").await;
    wire.hears(b"\xac\n\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_speaks_gets_none() {
    let (_backend, _proxy, mut wire, mut visit) = stream("0.4", events()).await;
    for n in 0..10 {
        let event = format!("data: {n}\n\n");
        visit.chunk(&event).await;
        wire.hears(&event).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    visit.chunk("").await;
    wire.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_plain_event_streams_of_open_length_get_any() {
    for head in [
        events().header("content-encoding", "gzip"),
        chunked("application/json"),
        chunked("text/event-streams"),
        Reply::status(200).header("transfer-encoding", "chunked"),
    ] {
        let (_backend, _proxy, mut wire, mut visit) = stream("0.05", head).await;
        tokio::time::sleep(LONG).await;
        visit.chunk("x").await;
        wire.hears("x").await;
        visit.chunk("").await;
        wire.ends().await;
    }
    let of_known_length = Reply::status(200).header("content-type", "text/event-stream");
    let head = of_known_length.header("content-length", "9");
    let (_backend, _proxy, mut wire, mut visit) = stream("0.05", head).await;
    tokio::time::sleep(LONG).await;
    visit.write("data: x\n\n").await;
    assert_eq!(wire.bytes(9).await.unwrap(), b"data: x\n\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_case_and_no_transform_make_no_difference() {
    for head in [
        chunked("text/event-stream; charset=utf-8"),
        chunked("Text/Event-Stream"),
        events().header("content-encoding", "identity"),
        events().header("cache-control", "no-cache, no-transform"),
        Reply::status(200)
            .header("content-type", "text/event-stream")
            .header("connection", "close"),
    ] {
        let (_backend, _proxy, mut wire, _visit) = stream("0.1", head).await;
        wire.hears(COMMENT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_switches_them_off() {
    let (_backend, _proxy, mut wire, mut visit) = stream("0", events()).await;
    tokio::time::sleep(LONG).await;
    visit.chunk("data: x\n\n").await;
    wire.hears("data: x\n\n").await;
}
