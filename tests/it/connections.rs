//! Connections to backends: made, kept, found stale, refused.

use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpStream;

use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::{CALL, INITIALIZE, PING, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_one_call_after_the_other() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for _ in 0..5 {
        assert_eq!(ada.call().await.status, 200);
    }
    let connections: Vec<_> = backend.requests().iter().map(|got| got.connection).collect();
    assert_eq!(connections, [0; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_connection_is_replaced_and_nobody_notices() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for _ in 0..3 {
        let mut wire = ada.post(CALL).send().await;
        let mut visit = visits.next().await;
        visit.serve().await;
        assert_eq!(wire.answer().await.unwrap().status, 200);
        // It seemed to be kept, and is gone.
        drop(visit);
    }
    assert_eq!(backend.requests().len(), 3);
    assert_eq!(ada.used().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_closes_after_each_answer_is_served_well() {
    let backend = Backend::acting(|mut visit| async move {
        visit.next().await;
        visit.try_write(Reply::json("{}").header("connection", "close").bytes()).await;
    });
    let backend = backend.await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for _ in 0..20 {
        assert_eq!(ada.call().await.status, 200);
    }
    assert_eq!((backend.requests().len(), ada.used().await), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_may_have_seen_is_not_sent_again() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(PING).send().await;
    let mut visit = visits.next().await;
    visit.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);

    // On a connection that was kept, and on a new one.
    let mut wire = ada.post(CALL).send().await;
    visit.request().await;
    visit.reset();
    let answer = wire.answer().await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (502, "backend_closed"));
    let mut wire = ada.post(CALL).send().await;
    let (visit, _) = visits.request().await;
    drop(visit);
    assert_eq!(wire.answer().await.unwrap().code(), "backend_closed");

    // Of this one it has seen a part only.
    let big = format!(r#"{{"id":1,"method":"tools/call","params":"{}"}}"#, "x".repeat(4 << 20));
    let mut wire = ada.post(&big).send().await;
    let mut visit = visits.next().await;
    visit.head().await;
    visit.reset();
    assert_eq!(wire.answer().await.unwrap().code(), "backend_closed");
    let calls = backend.requests().len() - 1;
    assert_eq!((calls, ada.used().await), (3, 3), "each was sent once, and is spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_hangs_up_at_once_is_paid_only_for_what_it_may_have_seen() {
    let backend = Backend::acting(|visit| async { drop(visit) }).await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut seen = 0;
    for _ in 0..200 {
        let answer = ada.call().await;
        match answer.code().as_str() {
            "backend_closed" => seen += 1,
            "backend_unreachable" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(ada.used().await, seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_dropped_before_uvicorn_would() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(PING).send().await;
    let mut visit = visits.next().await;
    visit.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    let idle = visit.left().await;
    assert!((Duration::from_secs(3)..Duration::from_secs(6)).contains(&idle), "{idle:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_dropped_before_the_backend_says_that_it_will() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(PING).send().await;
    let mut visit = visits.next().await;
    visit.request().await;
    visit.reply(Reply::json("{}").header("keep-alive", "timeout=2, max=100")).await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    let idle = visit.left().await;
    assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&idle), "{idle:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_backend_closes_idle_connections_early_is_learned() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(CALL).send().await;
    let mut first = visits.next().await;
    first.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    tokio::time::sleep(Duration::from_millis(600)).await;
    drop(first);

    // This one stays open, and is given up all the same before the first was closed.
    let mut wire = ada.post(CALL).send().await;
    let mut second = visits.next().await;
    second.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    let idle = second.left().await;
    assert!(idle < Duration::from_secs(3), "{idle:?}");
    assert_eq!(ada.used().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_side_effects_is_sent_once_more_where_no_byte_came_back() {
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let discover = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#;
    let batch = format!("[{PING},{list}]");
    for message in [PING, INITIALIZE, list, discover, &batch] {
        let (backend, mut visits) = Backend::by_hand().await;
        let (_proxy, ada) = Proxy::serving(&backend).await;
        // One of two idle connections is used; the other must not be tried then.
        let mut wires = [ada.post(CALL).send().await, ada.post(CALL).send().await];
        let mut idle = [visits.request().await.0, visits.request().await.0];
        for visit in &mut idle {
            visit.reply(Reply::json("{}")).await;
        }
        for wire in &mut wires {
            assert_eq!(wire.answer().await.unwrap().status, 200);
        }
        let before = backend.requests().len();
        let mut wire = ada.post(message).send().await;
        let [mut one, mut other] = idle;
        let spare = tokio::select! {
            _ = one.next() => { one.reset(); other }
            _ = other.next() => { other.reset(); one }
        };
        let (mut visit, request) = visits.request().await;
        assert_eq!(request.text(), message, "the same, byte for byte");
        visit.reply(Reply::json("{}")).await;
        assert_eq!(wire.answer().await.unwrap().status, 200, "{message}");
        assert_eq!(backend.requests().len(), before + 2, "{message}");
        drop((spare, visit));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_side_effects_or_was_answered_in_part_is_not_sent_again() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let batch = format!("[{PING},{CALL}]");
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/list"}"#;
    let unsure = r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"ping"}"#;
    for (message, answered, code) in [
        (CALL, "", "backend_closed"),
        (&batch, "", "backend_closed"),
        (notification, "", "backend_closed"),
        (unsure, "", "backend_closed"),
        (PING, "HTTP/1.1 103 Early Hints\r\n\r\n", "backend_closed"),
        (PING, "HTTP/1.1 200 OK\r\ncontent-", "backend_protocol_error"),
    ] {
        let before = backend.requests().len();
        let mut wire = ada.post(message).send().await;
        let (mut visit, _) = visits.request().await;
        visit.write(answered).await;
        drop(visit);
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (502, code), "{message} {answered}");
        assert_eq!(backend.requests().len(), before + 1, "{message}");
    }
    // A GET stream may have begun at the backend as well.
    let mut wire = ada.get().send().await;
    drop(visits.request().await);
    assert_eq!(wire.answer().await.unwrap().code(), "backend_closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_sent_once_more_and_not_for_ever() {
    let backend = Backend::acting(|mut visit| async move { drop(visit.next().await) }).await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let answer = ada.post(PING).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "backend_closed"));
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_upload_takes_nothing_off_the_backends_time() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving_with(&backend, |config| {
        config.backend_timeout.0 = Duration::from_millis(700);
        config.max_body_bytes = 64 << 20;
    })
    .await;
    let size = 100_000;
    let head = ada.head("POST", DEMO, &format!("content-length: {size}\r\n"));
    let mut wire = proxy.wire().await;
    wire.send(format!("{head}{{{}", " ".repeat(69_999))).await.unwrap();
    let mut visit = visits.next().await;
    visit.head().await;
    // A client on a slow line: three times as long as the backend may take.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        wire.send(" ".repeat(10_000)).await.unwrap();
    }
    visit.body_bytes(size).await;
    visit.reply(Reply::json("{}")).await;
    assert_eq!(wire.answer().await.unwrap().status, 200);

    // The backend's own time still counts, after the upload and where it takes no more of it.
    let mut wire = ada.post(&format!("{{{}", " ".repeat(size))).send().await;
    visit.request().await;
    assert_eq!(wire.answer().await.unwrap().code(), "backend_timeout");
    let mut wire = proxy.wire().await;
    let size = 64 << 20;
    wire.send(ada.head("POST", DEMO, &format!("content-length: {size}\r\n"))).await.unwrap();
    // More than the sockets hold: the rest stays with the client.
    wire.send("{").await.unwrap();
    let sent = tokio::time::timeout(Duration::from_millis(500), wire.send(vec![b' '; size])).await;
    assert!(sent.is_err() || sent.is_ok_and(|sent| sent.is_err()), "nobody has read all of it");
    let end = tokio::time::timeout(Duration::from_secs(5), wire.answer()).await.expect("an end");
    // The answer may be lost where the client was still sending.
    assert!(end.is_err() || end.is_ok_and(|answer| answer.code() == "backend_timeout"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_comes_back_is_reached_at_once() {
    let (backend, mut visits) = Backend::by_hand().await;
    let addr = backend.addr;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(PING).send().await;
    let mut visit = visits.next().await;
    visit.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    drop((backend, visits, visit));
    eventually("it is gone", async || ada.post(PING).await.code() == "backend_unreachable").await;

    let (_backend, mut visits) = Backend::by_hand_at(addr).await;
    let mut wire = ada.post(PING).send().await;
    visits.next().await.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_takes_so_long_and_no_longer() {
    // A listener that accepts nobody, with its backlog full.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SockAddr::from("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap())).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    let patience = Duration::from_millis(100);
    while let Ok(stream) = tokio::time::timeout(patience, TcpStream::connect(addr)).await {
        held.push(stream.expect("a connection in the backlog"));
    }

    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &format!("http://{addr}/mcp")).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start_with(|config| config.connect_timeout = "0.3".parse().unwrap()).await;
    let began = std::time::Instant::now();
    let answer = ada.call().await;
    let took = began.elapsed();
    assert_eq!((answer.status, answer.code().as_str()), (503, "backend_unreachable"));
    assert!((Duration::from_millis(300)..Duration::from_secs(3)).contains(&took), "{took:?}");
    assert_eq!(ada.used().await, 0);
}
