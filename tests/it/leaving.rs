//! When the client goes away, the backend sees it at once; when the backend
//! dies, the client does.

use std::time::Duration;

use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::{CALL, PING, eventually};

/// How soon the other end learns of it; a busy machine needs some of that.
const AT_ONCE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_backend_request_with_it() {
    for method in ["GET", "POST", "DELETE"] {
        for reset in [false, true] {
            for with_head in [false, true] {
                let (backend, mut visits) = Backend::by_hand().await;
                let (proxy, ada) = Proxy::serving(&backend).await;
                let mut wire = ada.ask_or_call(method, DEMO).send().await;
                let (mut visit, _) = visits.request().await;
                if with_head {
                    visit.begin_events().await;
                    visit.chunk("data: 1\n\n").await;
                    wire.head().await.unwrap();
                    wire.hears("data: 1\n\n").await;
                }
                match reset {
                    true => wire.abort(),
                    false => drop(wire),
                }
                let took = visit.left().await;
                assert!(took < AT_ONCE, "{method}, head {with_head}, reset {reset}: {took:?}");
                proxy.nothing_is_open().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_amid_its_own_body_does_too() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    let head = ada.ask("POST", DEMO).header("content-length", "200000").head();
    wire.send(head).await.unwrap();
    wire.send(vec![b'{'; 100_000]).await.unwrap();
    let mut visit = visits.next().await;
    visit.head().await;
    drop(wire);
    assert!(visit.left().await < AT_ONCE);
    proxy.nothing_is_open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_ahead_does_not_hide_that_it_leaves() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let next = String::from_utf8(ada.post(PING).bytes()).unwrap();
    for ahead in ["\r\n", "G", &next, &next.repeat(20)] {
        for at_once in [false, true] {
            for with_head in [false, true] {
                let mut wire = proxy.wire().await;
                let request = String::from_utf8(ada.post(CALL).bytes()).unwrap();
                let now = if at_once { ahead } else { "" };
                wire.send(request + now).await.unwrap();
                let (mut visit, _) = visits.request().await;
                if !at_once {
                    wire.send(ahead).await.unwrap();
                }
                if with_head {
                    visit.begin_events().await;
                    wire.head().await.unwrap();
                }
                drop(wire);
                let took = visit.left().await;
                assert!(took < AT_ONCE, "{ahead:?}, at once {at_once}, {with_head}: {took:?}");
                proxy.nothing_is_open().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_ahead_are_answered_in_their_order() {
    let backend = Backend::answering(Reply::to).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    // More than is held back, and cut at odd places.
    let pad = "x".repeat(50_000);
    let requests: Vec<u8> = (0..8)
        .flat_map(|id| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping","pad":"{pad}"}}"#);
            ada.post(&body).bytes()
        })
        .collect();
    let mut wire = proxy.wire().await;
    let mut parts = requests.chunks(70_001);
    wire.send(parts.next().unwrap()).await.unwrap();
    for id in 0..8 {
        if let Some(part) = parts.next() {
            wire.send(part).await.unwrap();
        }
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.status, &answer.json()["id"]), (200, &id.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_off_is_not_said_to_have_framed_its_request_badly() {
    let (_backend, visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&_backend).await;
    drop(visits);
    for lines in ["content-length: 1000\r\n", "transfer-encoding: chunked\r\n"] {
        let mut wire = proxy.wire().await;
        wire.send(ada.head("POST", DEMO, lines) + "3\r\n{\"a").await.unwrap();
        proxy.are_open(1).await;
        drop(wire);
        proxy.nothing_is_open().await;
    }
    let usage = ada.usage().await;
    let codes: Vec<_> =
        usage["last_refusals"].as_array().unwrap().iter().map(|r| &r["code"]).collect();
    assert_eq!(codes, ["body_incomplete", "body_incomplete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_before_the_call_was_forwarded_is_never_forwarded() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    // One at once, one each second.
    let ada = proxy.event().rate(60, 1).open().await.attendee().await;
    proxy.start().await;
    assert_eq!(ada.call().await.status, 200);
    drop(ada.post(CALL).send().await);
    proxy.nothing_is_open().await;
    assert_eq!(ada.post(PING).await.status, 200, "in turn after the one that left");
    let methods: Vec<_> =
        backend.requests().iter().map(|got| got.json()["method"].to_string()).collect();
    assert_eq!(methods, ["\"tools/call\"", "\"ping\""]);
    let remaining = ada.post(PING).await;
    assert_eq!(remaining.header("x-ratelimit-remaining-requests"), Some("99999"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_can_be_opened_again_when_the_client_comes_back() {
    // A backend that allows one GET stream, as MCP servers do.
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.get().send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    wire.head().await.unwrap();
    for round in 0..3 {
        drop(wire);
        assert!(visit.left().await < AT_ONCE, "else the next is answered 409");
        wire = ada.get().header("last-event-id", &round.to_string()).send().await;
        let request;
        (visit, request) = visits.request().await;
        assert_eq!(request.header("last-event-id"), Some(round.to_string().as_str()));
        visit.begin_events().await;
        assert_eq!(wire.head().await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_dies_amid_its_answer_cuts_the_clients() {
    for method in ["GET", "POST"] {
        for reset in [false, true] {
            let (backend, mut visits) = Backend::by_hand().await;
            let (_proxy, ada) = Proxy::serving(&backend).await;
            let mut wire = ada.ask_or_call(method, DEMO).send().await;
            let (mut visit, _) = visits.request().await;
            visit.begin_events().await;
            visit.chunk("data: 1\n\n").await;
            wire.head().await.unwrap();
            wire.hears("data: 1\n\n").await;
            match reset {
                true => visit.reset(),
                false => drop(visit),
            }
            wire.is_cut().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_shorter_than_it_said_is_cut_too() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    visit.reply(Reply::status(200).header("content-length", "10").open()).await;
    visit.write("12345").await;
    drop(visit);
    wire.head().await.unwrap();
    assert_eq!(wire.bytes(5).await.unwrap(), b"12345");
    assert!(wire.bytes(1).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn to_an_old_client_a_cut_stream_is_a_reset() {
    // HTTP/1.0 has no chunks: a body ends with its connection, and only a
    // reset tells a cut one from a whole one.
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    let request = ada.get().head().replace("HTTP/1.1", "HTTP/1.0");
    wire.send(request).await.unwrap();
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    visit.chunk("data: 1\n\n").await;
    assert_eq!(wire.head().await.unwrap().header("transfer-encoding"), None);
    assert_eq!(wire.bytes(9).await.unwrap(), b"data: 1\n\n");
    visit.reset();
    let error = wire.bytes(1).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_not_used_again() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    wire.head().await.unwrap();
    drop(wire);
    visit.left().await;
    let mut wire = ada.post(CALL).send().await;
    visits.next().await.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    eventually("both are recorded", async || {
        let usage = ada.usage().await;
        usage["usage"][0]["requests"] == 2
    })
    .await;
}
