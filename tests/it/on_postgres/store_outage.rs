//! The store goes away and comes back: nothing is admitted that could not be
//! accounted for, what is open stays open, and all is well again by itself.

use std::time::{Duration, Instant};

use ai_proxy::catalog::{change, quota};
use ai_proxy::clock;
use ai_proxy::db::Db;

use super::database::Database;
use super::relay::{Cable, Relay};
use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::storm::storm;
use crate::harness::{CALL, CHANGE, eventually, within};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_end_cannot_be_written_counts_as_the_refusal_that_it_got() {
    let database = Database::create().await;
    let relay = Relay::to(database.addr().await).await;
    let backend = Backend::answering(|request| match request.method.as_str() {
        "DELETE" => Reply::status(200),
        _ => Reply::to(request).header("mcp-session-id", "s-1"),
    });
    let backend = backend.await;
    let mut proxy = Proxy::on(Some(&database.url_by(relay.addr))).await;
    proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    assert_eq!(ada.call().await.status, 200);

    relay.set(Cable::Cut);
    assert_eq!(ada.delete("s-1").await.code(), "store_unavailable");
    relay.set(Cable::Whole);
    eventually("the figures are shown", async || {
        let answer = ada.ask("GET", "/api/v1/usage").send().await.answer().await;
        let answer = answer.expect("an answer");
        if answer.status != 200 {
            return false;
        }
        let usage = answer.json()["usage"].as_array().cloned().unwrap_or_default();
        usage.iter().any(|line| {
            line["operation"] == "(end session)" && line["requests"] == 1 && line["errors"] == 1
        })
    })
    .await;
}

/// How the one query begins that says whether the catalog has changed.
const REVISION: &str = "select value from revision";

/// How soon a change is in force where the answer to that query was lost: it is
/// given up after three seconds.
const CHANGE_AFTER_LOSS: Duration = CHANGE.saturating_add(Duration::from_secs(4));

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_store_that_never_comes_stops_no_upkeep() {
    let database = Database::create().await;
    let relay = Relay::to(database.addr().await).await;
    let (backend, mut visits) = Backend::by_hand().await;
    let mut proxy = Proxy::on(Some(&database.url_by(relay.addr))).await;
    proxy.resource("demo", &backend.url()).await;
    let (event, ending) = (proxy.event().open().await, proxy.event().open().await);
    let (ada, ben) = (event.attendee().await, event.attendee().await);
    let zoe = ending.attendee().await;
    let ends_in = Duration::from_secs(6);
    let end = Instant::now() + ends_in;
    ending.end_at(clock::now_ms() + ends_in.as_millis() as i64).await;
    proxy.start().await;
    let mut streams = Vec::new();
    for attendee in [&ada, &zoe] {
        let mut wire = attendee.get().send().await;
        let (mut visit, _) = visits.request().await;
        visit.begin_events().await;
        visit.chunk("data: 1\n\n").await;
        assert_eq!(wire.head().await.expect("a stream").status, 200);
        wire.hears("data: 1\n\n").await;
        streams.push((wire, visit));
    }

    relay.swallow(REVISION, 1_000);
    eventually("an answer was swallowed", async || relay.to_swallow() < 1_000).await;
    let mut call = ben.post(CALL).send().await;
    let (mut visit, request) = visits.request().await;
    visit.reply(Reply::to(&request)).await;
    assert_eq!(call.answer().await.unwrap().status, 200);
    within(CHANGE, "usage is written", async || {
        let clock = &proxy.app().clock;
        let today = clock.today(clock.now_ms());
        quota::used(&proxy.store.db, &ben.id, today).await.unwrap() == 1
    })
    .await;
    streams[1].0.ends().await;
    assert!(Instant::now() < end + CHANGE, "the clock ends events, not the store");

    relay.swallow(REVISION, 0);
    let mended = Instant::now();
    ada.set_active(false).await;
    streams[0].0.ends().await;
    let took = mended.elapsed();
    assert!(took < CHANGE_AFTER_LOSS, "Ada's stream ended after {took:?}");
    assert_eq!(ada.fares().await, "attendee_disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_whose_answers_were_lost_make_room_for_others() {
    let database = Database::create().await;
    let relay = Relay::to(database.addr().await).await;
    let db = Db::open(database.url_by(relay.addr).as_str()).await.expect("a store");
    // As many as there may be.
    relay.swallow(REVISION, 16);
    let waiting: Vec<_> = (0..16)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move { change::revision(&db).await })
        })
        .collect();
    eventually("all connections are lost", async || relay.to_swallow() == 0).await;
    waiting.iter().for_each(|task| task.abort());
    within(Duration::from_secs(10), "there are new ones", async || {
        change::revision(&db).await.is_ok()
    })
    .await;
}
