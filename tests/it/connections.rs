//! Connections to backends: made, kept, found stale, refused.

use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpStream;

use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::{CALL, PING, eventually};

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
    assert_eq!((answer.status, answer.code().as_str()), (502, "backend_protocol_error"));
    let mut wire = ada.post(CALL).send().await;
    let (visit, _) = visits.request().await;
    drop(visit);
    assert_eq!(wire.answer().await.unwrap().code(), "backend_protocol_error");

    // Of this one it has seen a part only.
    let big = format!(r#"{{"id":1,"method":"tools/call","params":"{}"}}"#, "x".repeat(4 << 20));
    let mut wire = ada.post(&big).send().await;
    let mut visit = visits.next().await;
    visit.head().await;
    visit.reset();
    assert_eq!(wire.answer().await.unwrap().code(), "backend_protocol_error");
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
            "backend_protocol_error" => seen += 1,
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
