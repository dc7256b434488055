//! Clients that take their time to hold what others need: heads and bodies that
//! drip, connections that only sit there, requests that are left half-way.

use std::time::{Duration, Instant};

use super::ANSWER;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::wire::Wire;
use crate::harness::{CALL, eventually};

const HEADER_TIMEOUT: Duration = Duration::from_millis(500);

/// Drips `bytes` until the proxy hangs up; says how long it bore that.
async fn drip(mut wire: Wire, bytes: &str) -> Duration {
    let begun = Instant::now();
    let mut bytes = bytes.bytes().cycle();
    while begun.elapsed() < Duration::from_secs(10) {
        let byte = [bytes.next().expect("an endless drip")];
        if wire.send(byte).await.is_err() || wire.is_over().await {
            return begun.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the proxy bears a dripping client for ten seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_drip_are_hung_up_on() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) =
        Proxy::serving_with(&backend, |config| config.header_timeout.0 = HEADER_TIMEOUT).await;
    let mut fresh = proxy.wire().await;
    fresh.send("GET /api/v1/usage HTTP/1.1\r\n").await.expect("read");
    assert!(drip(fresh, "x-drip: 1\r\n").await < Duration::from_secs(5));

    // Empty lines, which may precede a request, are none.
    for first in ["\r\n", "\r\n\r\n\r\n", "\n", "\r"] {
        let mut idle = proxy.wire().await;
        idle.send(first).await.expect("read");
        idle.hung_up(first).await;
    }

    // A connection that has behaved before has no more time.
    let mut kept = proxy.wire().await;
    kept.exchange(ada.raw("/api/v1/mcp/demo", CALL)).await.expect("an answer");
    kept.send("GET /api/v1/usage HTTP/1.1\r\n").await.expect("read");
    assert!(drip(kept, "x-drip: 1\r\n").await < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_earns_a_stranger_nothing() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    let head = ada.head("POST", "/api/v1/mcp/demo", "content-length: 1000\r\n");
    let begun = Instant::now();
    let answer =
        wire.exchange(head.replace(&ada.key, "unknown-key") + "{").await.expect("an answer");
    assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_api_key"));
    assert!(begun.elapsed() < Duration::from_secs(3), "the id is waited for a second at most");
    assert!(drip(wire, " ").await < Duration::from_secs(5), "nobody waits for the rest");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_drip_hold_only_their_senders_own_places() {
    let backend = Backend::saying(ANSWER).await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().with(|event| event.max_open_requests = 2).open().await;
    let (ada, ben) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    let head = ada.head("POST", "/api/v1/mcp/demo", "content-length: 1000\r\n");
    let mut held = Vec::new();
    for places in 1..=2 {
        let mut wire = proxy.wire().await;
        wire.send(format!("{head}{{")).await.expect("read");
        held.push(wire);
        proxy.are_open(places).await;
    }
    assert_eq!(ada.call().await.code(), "too_many_open_requests");

    assert_eq!(ben.call().await.status, 200);

    drop(held);
    eventually("the places are free again", async || ada.call().await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_bound_wait_and_are_served_when_one_leaves() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving_with(&backend, |config| {
        config.max_connections = 8;
        config.header_timeout.0 = Duration::from_secs(60);
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut wire = proxy.wire().await;
        wire.exchange(ada.head("GET", "/healthz", "")).await.expect("an answer");
        held.push(wire);
    }
    let mut ninth = proxy.wire().await;
    let waited = tokio::time::timeout(
        Duration::from_millis(500),
        ninth.exchange(ada.head("GET", "/healthz", "")),
    )
    .await;
    assert!(!matches!(waited, Ok(Ok(_))), "a ninth connection is served");
    drop(held);
    eventually("there is room again", async || {
        let mut wire = proxy.wire().await;
        wire.exchange(ada.head("GET", "/healthz", "")).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_left_half_way_leave_nothing_behind() {
    // Half of the answers never begin, the other half never end.
    let backend = Backend::acting(|mut visit| async move {
        let request = visit.request().await;
        if request.target.ends_with("/begin") {
            visit.begin_events().await;
        }
        visit.left().await;
    })
    .await;
    let (proxy, ada) = Proxy::capped(&backend, |event| event.max_open_requests = 100).await;
    for round in 0..20 {
        let mut wires = Vec::new();
        for n in 0..50 {
            let mut wire = proxy.wire().await;
            let path = if n % 2 == 0 { "/api/v1/mcp/demo/begin" } else { "/api/v1/mcp/demo/wait" };
            let request = ada.raw(path, CALL);
            // Some leave with their request unfinished.
            let sent = if n % 10 == 9 { request.len() - 5 } else { request.len() };
            wire.send(&request[..sent]).await.expect("read");
            wires.push(wire);
        }
        let whole = (round + 1) * 45;
        eventually("they reach the backend", async || backend.calls() >= whole).await;
    }
    proxy.are_open(0).await;
    eventually("the places are free", async || {
        let mut wire = proxy.wire().await;
        wire.send(ada.raw("/api/v1/mcp/demo/begin", CALL)).await.expect("read");
        wire.head().await.is_ok_and(|head| head.status == 200)
    })
    .await;
}
