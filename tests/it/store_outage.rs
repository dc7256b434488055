//! The store goes away and comes back: nothing is admitted that could not be
//! accounted for, what is open stays open, and all is well again by itself.

use std::time::{Duration, Instant};

use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::postgres::Database;
use crate::harness::proxy::Proxy;
use crate::harness::relay::{Cable, Relay};
use crate::harness::reply::Reply;
use crate::harness::storm::storm;
use crate::harness::{CALL, eventually};

async fn outage(cable: Cable) {
    let database = Database::create().await;
    let relay = Relay::to(database.addr().await).await;
    let backend = Backend::acting(|mut visit| async move {
        while let Some(request) = visit.next().await {
            if request.method == "POST" {
                visit.reply(Reply::to(&request)).await;
                continue;
            }
            // A stream that ticks for as long as it is read.
            visit.begin_events().await;
            while visit.try_write("c\r\ndata: tick\n\n\r\n").await.is_some() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    })
    .await;
    let mut proxy = Proxy::on(Some(&database.url_by(relay.addr))).await;
    proxy.resource("demo", &backend.url()).await;
    let cap = 100;
    let event = proxy.event().daily_cap(cap).open().await;
    let (ada, ben) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    storm(&[proxy.addr()], &ada.raw(DEMO, CALL), 40).await;
    let mut stream = proxy.wire().await;
    stream.send(ada.head("GET", DEMO, "accept: text/event-stream\r\n")).await.expect("read");
    assert_eq!(stream.head().await.expect("a stream").status, 200);

    relay.set(cable);
    // What was leased may still be spent; then the store is needed.
    eventually("calls are refused for want of the store", async || {
        let begun = Instant::now();
        let answer = ada.call().await;
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody waits long for a refusal");
        assert!(answer.status == 200 || answer.code() == "store_unavailable", "{}", answer.text());
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some());
        }
        answer.status == 503
    })
    .await;
    assert!(backend.calls() <= 40 + 16, "{} calls without the store", backend.calls());
    let unknown = ben.call().await;
    assert_eq!(unknown.code(), "store_unavailable", "a key is not wrong for want of the store");
    let mut healthz = proxy.wire().await;
    let alive = healthz.exchange(ada.head("GET", "/healthz", "")).await.expect("an answer");
    assert_eq!(alive.status, 200, "a store that is away is no reason to be restarted");
    for _ in 0..3 {
        stream.hears("data: tick\n\n").await;
    }

    relay.set(Cable::Whole);
    eventually("calls go through again", async || ada.call().await.status == 200).await;
    stream.hears("data: tick\n\n").await;
    drop(stream);
    storm(&[proxy.addr()], &ada.raw(DEMO, CALL), 4 * cap as usize).await;
    eventually("no part of the cap is stranded", async || {
        storm(&[proxy.addr()], &ada.raw(DEMO, CALL), 20).await;
        backend.calls() >= cap as usize
    })
    .await;
    assert_eq!(backend.calls(), cap as usize);
    eventually("what was spent is shown", async || ada.used().await == u64::from(cap)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_breaks_its_connections_is_survived() {
    outage(Cable::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_falls_silent_is_survived() {
    outage(Cable::Silent).await;
}
