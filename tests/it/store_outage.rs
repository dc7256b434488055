//! The store goes away and comes back: nothing is admitted that could not be
//! accounted for, what is open stays open, and all is well again by itself.

use std::time::{Duration, Instant};

use crate::harness::{CALL, eventually};
use crate::rig::hostile::Hostile;
use crate::rig::postgres::Database;
use crate::rig::relay::{Cable, Relay};
use crate::rig::room::{ANSWER, Room};
use crate::rig::storm::storm;

const PATH: &str = "/api/v1/mcp/demo";

async fn outage(cable: Cable) {
    let database = Database::create().await;
    let relay = Relay::to(database.addr().await).await;
    let stream =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let backend = Hostile::acting(move |mut visit| async move {
        while visit.request().await?.starts_with("POST") {
            visit.write(ANSWER).await?;
        }
        // A stream that ticks for as long as it is read.
        visit.write(stream).await?;
        loop {
            visit.write("e\r\ndata: tick\r\n\r\n\r\n").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let cap = 100;
    let plan = Room::plan(&backend.url()).daily_cap(cap).attendees(2);
    let room = plan.store(&database.url_by(relay.addr)).open().await;
    storm(&[room.addr], &room.post(PATH, CALL), 40).await;
    let mut stream = room.wire().await;
    stream.send(room.head("GET", PATH, "accept: text/event-stream\r\n")).await.expect("read");
    assert_eq!(stream.head().await.expect("a stream").status, 200);

    relay.set(cable);
    // What was leased may still be spent; then the store is needed.
    eventually("calls are refused for want of the store", async || {
        let begun = Instant::now();
        let answer = room.call().await;
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody waits long for a refusal");
        assert!(answer.status == 200 || answer.code() == "store_unavailable", "{}", answer.text());
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some());
        }
        answer.status == 503
    })
    .await;
    assert!(backend.calls() <= 40 + 16, "{} calls without the store", backend.calls());
    let mut other = room.wire().await;
    let stranger = other.exchange(room.post(PATH, CALL).replace(&room.key, &room.keys[1])).await;
    assert_eq!(
        stranger.expect("an answer").code(),
        "store_unavailable",
        "an unknown key is not a wrong one"
    );
    let mut healthz = room.wire().await;
    let alive = healthz.exchange(room.head("GET", "/healthz", "")).await.expect("an answer");
    assert_eq!(alive.status, 200, "a store that is away is no reason to be restarted");
    for _ in 0..3 {
        stream.hears("data: tick\r\n\r\n").await;
    }

    relay.set(Cable::Whole);
    eventually("calls go through again", async || room.call().await.status == 200).await;
    stream.hears("data: tick\r\n\r\n").await;
    drop(stream);
    storm(&[room.addr], &room.post(PATH, CALL), 4 * cap as usize).await;
    eventually("no part of the cap is stranded", async || {
        storm(&[room.addr], &room.post(PATH, CALL), 20).await;
        backend.calls() >= cap as usize
    })
    .await;
    assert_eq!(backend.calls(), cap as usize);
    eventually("what was spent is shown", async || room.used().await == u64::from(cap)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_breaks_its_connections_is_survived() {
    outage(Cable::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_falls_silent_is_survived() {
    outage(Cable::Silent).await;
}
