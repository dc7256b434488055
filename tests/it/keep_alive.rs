//! The comment line that keeps silent event streams alive: between two events
//! only, and only where the bytes are a plain event stream of open length.

use ai_proxy::config::Config;

use crate::harness::CALL;
use crate::harness::attendee::Attendee;
use crate::harness::backend::{Backend, Visit, Visits};
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::wire::Wire;

const COMMENT: &str = ": keep-alive\n\n";

/// Streams through a proxy that is to send comments after a silence.
struct Streams {
    visits: Visits,
    ada: Attendee,
    _proxy: Proxy,
    _backend: Backend,
}

impl Streams {
    async fn after(silence: &str) -> Self {
        let (backend, visits) = Backend::by_hand().await;
        let set = |config: &mut Config| config.sse_keep_alive = silence.parse().unwrap();
        let (proxy, ada) = Proxy::serving_with(&backend, set).await;
        Self { visits, ada, _proxy: proxy, _backend: backend }
    }

    async fn open(&mut self, head: Reply) -> (Wire, Visit) {
        let mut wire = self.ada.post(CALL).send().await;
        let (mut visit, _) = self.visits.request().await;
        visit.reply(head.open()).await;
        wire.head().await.unwrap();
        (wire, visit)
    }

    /// Waits until every earlier stream would have had its comment: by then, one that begins
    /// now has had two.
    async fn silence(&mut self) {
        let (mut wire, _visit) = self.open(events()).await;
        wire.hears(COMMENT).await;
        wire.hears(COMMENT).await;
    }
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
    let mut streams = Streams::after("0.1").await;
    let (mut wire, mut visit) = streams.open(events()).await;
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
    let mut streams = Streams::after("0.1").await;
    let (mut wire, mut visit) = streams.open(events()).await;
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
        streams.silence().await;
        visit.chunk(rest).await;
        wire.hears(rest).await;
        wire.hears(COMMENT).await;
    }
    // A character in two parts.
    visit.chunk(b"data: \xe2\x82").await;
    wire.hears(b"data: \xe2\x82").await;
    streams.silence().await;
    visit.chunk(b"\xac\n\n").await;
    wire.hears(b"\xac\n\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_plain_event_streams_of_open_length_get_any() {
    let mut streams = Streams::after("0.05").await;
    for head in [
        events().header("content-encoding", "gzip"),
        chunked("application/json"),
        chunked("text/event-streams"),
        Reply::status(200).header("transfer-encoding", "chunked"),
    ] {
        let (mut wire, mut visit) = streams.open(head).await;
        streams.silence().await;
        visit.chunk("x").await;
        wire.hears("x").await;
        visit.chunk("").await;
        wire.ends().await;
    }
    let of_known_length = Reply::status(200).header("content-type", "text/event-stream");
    let head = of_known_length.header("content-length", "9");
    let (mut wire, mut visit) = streams.open(head).await;
    streams.silence().await;
    visit.write("data: x\n\n").await;
    assert_eq!(wire.bytes(9).await.unwrap(), b"data: x\n\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_case_and_no_transform_make_no_difference() {
    let mut streams = Streams::after("0.1").await;
    for head in [
        chunked("text/event-stream; charset=utf-8"),
        chunked("Text/Event-Stream"),
        events().header("content-encoding", "identity"),
        events().header("cache-control", "no-cache, no-transform"),
        Reply::status(200)
            .header("content-type", "text/event-stream")
            .header("connection", "close"),
    ] {
        let (mut wire, _visit) = streams.open(head).await;
        wire.hears(COMMENT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_switches_them_off() {
    let mut never = Streams::after("0").await;
    let (mut wire, mut visit) = never.open(events()).await;
    Streams::after("0.1").await.silence().await;
    visit.chunk("data: x\n\n").await;
    wire.hears("data: x\n\n").await;
}
