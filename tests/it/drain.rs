//! A shutdown: no new work, running requests finish, streams end, leases go
//! back, usage is written.

use std::time::{Duration, Instant};

use ai_proxy::catalog::{quota, usage};
use ai_proxy::clock;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::{Backend, Visits};
use crate::harness::proxy::Proxy;
use crate::harness::refusal::{plain, retry_after, rpc};
use crate::harness::reply::Reply;
use crate::harness::{CALL, eventually};

/// Begins to stop the proxy, and waits until it takes no new work.
async fn stopping(mut proxy: Proxy) -> JoinHandle<Proxy> {
    let app = proxy.app().clone();
    let stopped = tokio::spawn(async move {
        proxy.stop().await;
        proxy
    });
    eventually("it takes no new work", async || app.plane.is_draining()).await;
    stopped
}

async fn by_hand(drain: &str) -> (Backend, Visits, Proxy, Attendee) {
    let (backend, visits) = Backend::by_hand().await;
    let (proxy, ada) =
        Proxy::serving_with(&backend, |config| config.drain_timeout = drain.parse().unwrap()).await;
    (backend, visits, proxy, ada)
}

#[tokio::test(flavor = "multi_thread")]
async fn running_requests_finish_and_get_streams_end() {
    let (_backend, mut visits, proxy, ada) = by_hand("20").await;
    let mut get = ada.get().send().await;
    let (mut streaming, _) = visits.request().await;
    streaming.begin_events().await;
    get.head().await.unwrap();
    let mut post = ada.post(CALL).send().await;
    let (mut calling, _) = visits.request().await;
    calling.begin_events().await;
    post.head().await.unwrap();
    let mut unanswered = ada.post(CALL).send().await;
    let (mut answering, request) = visits.request().await;

    let stopped = stopping(proxy).await;
    get.ends().await;
    streaming.left().await;
    for n in 0..3 {
        let event = format!("data: {n}\n\n");
        calling.chunk(&event).await;
        post.hears(&event).await;
    }
    calling.chunk("").await;
    post.ends().await;
    assert!(!stopped.is_finished(), "one is still under way");
    answering.reply(Reply::to(&request)).await;
    let answer = unanswered.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    stopped.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_during_the_drain_is_told_so() {
    let (_backend, mut visits, proxy, ada) = by_hand("20").await;
    let mut kept = proxy.wire().await;
    assert_eq!(kept.exchange(proxy.ask("GET", "/readyz").bytes()).await.unwrap().status, 200);
    let mut busy = ada.post(CALL).send().await;
    let (mut visit, request) = visits.request().await;
    let anonymous = proxy.ask("GET", "/readyz");
    let health = proxy.ask("GET", "/healthz");
    let refused = proxy.ask("PUT", DEMO).header("origin", "https://evil.example");
    let stopped = stopping(proxy).await;

    let answer = anonymous.await;
    plain(&answer, 503, "shutting_down");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(health.await.status, 200, "it lives still");
    assert_eq!(refused.await.code(), "origin_not_allowed", "which comes first");
    // Before the method, the key and all the rest.
    let answer = ada.ask("PUT", DEMO).key("unknown").json(CALL).await;
    rpc(&answer, 503, "shutting_down", json!(null));
    assert!(retry_after(&answer) > 0);
    rpc(&ada.call().await, 503, "shutting_down", json!(7));
    rpc(&ada.get().await, 503, "shutting_down", json!(null));
    plain(&ada.ask("GET", "/api/v1/usage").await, 503, "shutting_down");
    kept.hung_up("a connection that was kept").await;

    visit.reply(Reply::to(&request)).await;
    assert_eq!(busy.answer().await.unwrap().status, 200);
    stopped.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_deadline_what_still_runs_is_cut() {
    let (_backend, mut visits, proxy, ada) = by_hand("0.5").await;
    let mut post = ada.post(CALL).send().await;
    let (mut calling, _) = visits.request().await;
    calling.begin_events().await;
    post.head().await.unwrap();
    let mut unanswered = ada.post(CALL).send().await;
    let (mut answering, _) = visits.request().await;

    let began = Instant::now();
    let stopped = stopping(proxy).await;
    let proxy = stopped.await.unwrap();
    let took = began.elapsed();
    assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&took), "{took:?}");
    post.is_cut().await;
    assert!(unanswered.answer().await.is_err());
    calling.left().await;
    answering.left().await;
    let day = clock::day_of(clock::now_ms());
    let stored = usage::of_attendee(&proxy.store.db, &ada.id, day).await.unwrap();
    assert_eq!(stored.iter().map(|line| line.requests).sum::<u64>(), 2, "both are recorded");
    assert_eq!(quota::used(&proxy.store.db, &ada.id, day).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_returned_and_usage_is_written() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().daily_cap(1000).open().await.attendee().await;
    proxy.start().await;
    for _ in 0..3 {
        assert_eq!(ada.call().await.status, 200);
    }
    proxy.stop().await;
    let (granted, spent): (i64, i64) =
        sqlx::query_as("select granted, spent from quota where attendee_id = $1")
            .bind(&ada.id)
            .fetch_one(proxy.store.db.pool())
            .await
            .unwrap();
    assert_eq!((granted, spent), (3, 3));
    let day = clock::day_of(clock::now_ms());
    let stored = usage::of_attendee(&proxy.store.db, &ada.id, day).await.unwrap();
    assert_eq!(stored.iter().map(|line| line.requests).collect::<Vec<_>>(), [3]);
}

/// Figures that were on their way to a store that was busy are written by the
/// last flush, once.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_end_interrupts_on_its_way_to_the_store_is_written() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().daily_cap(1000).open().await.attendee().await;
    proxy.start().await;
    let plane = proxy.app().plane.clone();
    let store = proxy.store.clone();
    let day = clock::day_of(clock::now_ms());
    let mut calls = 0_u32;
    eventually("what was leased is enough for two more", async || {
        assert_eq!(ada.call().await.status, 200);
        calls += 1;
        plane.lives.all().iter().any(|live| live.lease.left(day) >= 2)
    })
    .await;
    let busy = store.db.write().await.unwrap();
    for _ in 0..2 {
        assert_eq!(ada.call().await.status, 200);
        calls += 1;
    }
    eventually("a flush waits", async || plane.unwritten.try_lock().is_err()).await;
    let stopped = stopping(proxy).await;
    let has_settled = || plane.lives.all().iter().all(|live| live.lease.left(day) == 0);
    eventually("the leases are to go back", async || has_settled()).await;
    busy.rollback().await.unwrap();
    stopped.await.unwrap();
    let stored = usage::of_attendee(&store.db, &ada.id, day).await.unwrap();
    assert_eq!(stored.iter().map(|line| line.requests).sum::<u64>(), u64::from(calls));
    assert_eq!(quota::used(&store.db, &ada.id, day).await.unwrap(), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_proxy_stops_at_once() {
    let backend = Backend::start().await;
    let (mut proxy, ada) = Proxy::serving(&backend).await;
    assert_eq!(ada.call().await.status, 200);
    let mut idle = proxy.wire().await;
    let mut kept = proxy.wire().await;
    assert_eq!(kept.exchange(ada.post(CALL).bytes()).await.unwrap().status, 200);
    let began = Instant::now();
    proxy.stop().await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    kept.hung_up("a connection that was kept").await;
    idle.hung_up("a connection that was never used").await;
}
