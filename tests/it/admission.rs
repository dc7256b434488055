//! The daily cap, counted where it matters: at the backend. On one process.

use std::net::Ipv4Addr;

use ai_proxy::proxy::caller::Caller;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::harness::attendee::DEMO;
use crate::harness::backend::{Backend, Nobody};
use crate::harness::process::Process;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::storm::{UNANSWERED, storm};
use crate::harness::{CALL, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn four_times_the_cap_in_parallel_lets_exactly_the_cap_through() {
    for cap in [50, 100, 1000] {
        let backend = Backend::start().await;
        let (proxy, ada) = Proxy::capped(&backend, |event| event.daily_request_cap = cap).await;
        let calls = cap as usize;
        let outcome = storm(&[proxy.addr()], &ada.raw(DEMO, CALL), 4 * calls).await;
        assert_eq!(outcome, [(200, calls), (429, 3 * calls)].into(), "cap {cap}");
        assert_eq!(backend.calls(), calls, "cap {cap}");

        let refused = ada.call().await;
        assert_eq!(refused.code(), "daily_cap_reached");
        let facts = refused.facts();
        assert_eq!((&facts["used"], &facts["limit"]), (&cap.into(), &cap.into()), "{facts}");
        assert!(refused.header("retry-after").is_some());
        assert_eq!(ada.used().await, u64::from(cap));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_count() {
    let backend = Backend::start().await;
    let (mut proxy, ada) = Proxy::capped(&backend, |event| event.daily_request_cap = 100).await;
    for _ in 0..30 {
        assert_eq!(ada.call().await.status, 200);
    }
    proxy.stop().await;
    proxy.start().await;
    assert_eq!(ada.used().await, 30);
    let outcome = storm(&[proxy.addr()], &ada.raw(DEMO, CALL), 400).await;
    assert_eq!((outcome[&200], backend.calls()), (70, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_costs_its_attendee_one_lease_at_most() {
    let backend = Backend::start().await;
    let store = Proxy::new().await;
    store.resource("demo", &backend.url()).await;
    let ada = store.event().daily_cap(1000).open().await.attendee().await;
    let call = ada.raw(DEMO, CALL);
    let mut process = Process::serve(&store.store.settings()).await;
    let (addr, busy) = (process.addr, call.clone());
    let running = tokio::spawn(async move { storm(&[addr], &busy, 1000).await });
    eventually("it is half-way", async || backend.calls() >= 500).await;
    process.kill();
    let outcome = running.await.expect("the storm passes");
    // Calls that were under way may have been paid for and yet not arrived.
    let under_way = outcome.get(&UNANSWERED).copied().unwrap_or_default();

    let process = Process::serve(&store.store.settings()).await;
    storm(&[process.addr], &call, 1000).await;
    let calls = backend.calls();
    assert!((1000 - 1000 / 32 - under_way..=1000).contains(&calls), "{calls} of 1000, {under_way}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_admitted_whole_or_not_at_all() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::capped(&backend, |event| event.daily_request_cap = 50).await;
    let addrs = [proxy.addr()];
    let batch = |n: usize| ada.raw(DEMO, &format!("[{}]", vec![CALL; n].join(",")));
    let too_big = storm(&addrs, &batch(51), 20).await;
    assert_eq!(too_big, [(429, 20)].into());
    let outcome = storm(&addrs, &batch(7), 40).await;
    assert_eq!(outcome, [(202, 7), (429, 33)].into(), "seven sevens fit into fifty");
    assert_eq!(ada.used().await, 49);
    let outcome = storm(&addrs, &ada.raw(DEMO, CALL), 20).await;
    assert_eq!(outcome, [(200, 1), (429, 19)].into(), "and the one that is left is usable");
    assert_eq!((ada.used().await, backend.calls()), (50, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_backend_never_got_is_given_back() {
    let (backend, gone) = (Backend::start().await, Nobody::new());
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    proxy.resource("gone", &gone.url()).await;
    let ada = proxy.event().daily_cap(50).open().await.attendee().await;
    proxy.start().await;
    for _ in 0..3 {
        // As many at a time as the cap holds: each has its permit until it is refused.
        let outcome = storm(&[proxy.addr()], &ada.raw("/api/v1/mcp/gone", CALL), 50).await;
        assert_eq!(outcome, [(503, 50)].into());
    }
    assert_eq!(ada.used().await, 0);
    let outcome = storm(&[proxy.addr()], &ada.raw(DEMO, CALL), 200).await;
    assert_eq!((outcome[&200], backend.calls()), (50, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_backend_got_is_spent_whatever_came_of_it() {
    // Hangs up on half of the calls, after it has read them.
    let backend = Backend::acting(|mut visit| async move {
        if visit.next().await.is_some()
            && let Some(request) = visit.next().await
        {
            visit.try_write(Reply::to(&request).bytes()).await;
        }
    })
    .await;
    let (proxy, ada) = Proxy::capped(&backend, |event| event.daily_request_cap = 50).await;
    storm(&[proxy.addr()], &ada.raw(DEMO, CALL), 50).await;
    assert!(backend.calls() <= 50, "a call was sent twice: {}", backend.calls());
    assert_eq!(ada.used().await, backend.calls() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_calls_cost_nothing() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::capped(&backend, |event| event.daily_request_cap = 50).await;
    for target in ["/api/v1/mcp/none", "/api/v1/mcp/demo/..", "/api/v1/mcp/demo//x"] {
        storm(&[proxy.addr()], &ada.raw(target, CALL), 60).await;
    }
    let ambiguous = ada.head("POST", DEMO, "content-length: 0\r\ntransfer-encoding: chunked\r\n");
    storm(&[proxy.addr()], &format!("{ambiguous}0\r\n\r\n"), 60).await;
    assert_eq!(ada.used().await, 0);
    let outcome = storm(&[proxy.addr()], &ada.raw(DEMO, CALL), 100).await;
    assert_eq!((outcome[&200], backend.calls()), (50, 50));
}

/// Somebody at the cap asks while it is being raised, or while the day changes.
#[tokio::test]
async fn a_refill_under_another_cap_refuses_nobody() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::capped(&backend, |event| event.daily_request_cap = 1).await;
    assert_eq!(ada.call().await.status, 200);
    let plane = &proxy.app().plane;
    let headers = HeaderMap::from_iter([(
        HeaderName::from_static("api-key"),
        HeaderValue::from_str(&ada.key).unwrap(),
    )]);
    let before = plane.keys.authenticate(&headers, Ipv4Addr::LOCALHOST.into(), None).await.unwrap();
    let raised = Caller { daily_cap: 2, ..before.clone() };
    // In this order: the second call finds the refill of the first under way.
    let (before, after) = tokio::join!(
        before.admit(1, &plane.refills, &plane.clock),
        raised.admit(1, &plane.refills, &plane.clock)
    );
    assert_eq!(before.err().map(|error| error.code()), Some("daily_cap_reached"));
    assert_eq!(after.err(), None);
}
