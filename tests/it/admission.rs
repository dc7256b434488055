//! The daily cap, counted where it matters: at the backend. On one process.

use crate::harness::{CALL, eventually};
use crate::rig::hostile::Hostile;
use crate::rig::process::Process;
use crate::rig::room::{ANSWER, Room};
use crate::rig::storm::{UNANSWERED, storm};

const PATH: &str = "/api/v1/mcp/demo";

#[tokio::test(flavor = "multi_thread")]
async fn four_times_the_cap_in_parallel_lets_exactly_the_cap_through() {
    for cap in [50, 100, 1000] {
        let backend = Hostile::answering(ANSWER).await;
        let room = Room::plan(&backend.url()).daily_cap(cap).open().await;
        let calls = cap as usize;
        let outcome = storm(&[room.addr], &room.post(PATH, CALL), 4 * calls).await;
        assert_eq!(outcome, [(200, calls), (429, 3 * calls)].into(), "cap {cap}");
        assert_eq!(backend.calls(), calls, "cap {cap}");

        let refused = room.call().await;
        assert_eq!(refused.code(), "daily_cap_reached");
        let facts: serde_json::Value = serde_json::from_str(refused.text()).expect("JSON");
        let facts = &facts["error"]["data"];
        assert_eq!((&facts["used"], &facts["limit"]), (&cap.into(), &cap.into()), "{facts}");
        assert!(refused.header("retry-after").is_some());
        assert_eq!(room.used().await, u64::from(cap));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_count() {
    let backend = Hostile::answering(ANSWER).await;
    let mut room = Room::plan(&backend.url()).daily_cap(100).open().await;
    for _ in 0..30 {
        assert_eq!(room.call().await.status, 200);
    }
    room = room.restart().await;
    assert_eq!(room.used().await, 30);
    let outcome = storm(&[room.addr], &room.post(PATH, CALL), 400).await;
    assert_eq!((outcome[&200], backend.calls()), (70, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_costs_its_attendee_one_lease_at_most() {
    let backend = Hostile::answering(ANSWER).await;
    let seeded = Room::plan(&backend.url()).daily_cap(1000).seed().await;
    let mut process = Process::serve(&seeded.settings()).await;
    let post = seeded.post(PATH, CALL);
    let (addr, busy) = (process.addr, post.clone());
    let running = tokio::spawn(async move { storm(&[addr], &busy, 1000).await });
    eventually("it is half-way", async || backend.calls() >= 500).await;
    process.kill();
    let outcome = running.await.expect("the storm passes");
    // Calls that were under way may have been paid for and yet not arrived.
    let under_way = outcome.get(&UNANSWERED).copied().unwrap_or_default();

    let process = Process::serve(&seeded.settings()).await;
    storm(&[process.addr], &post, 1000).await;
    let calls = backend.calls();
    assert!((1000 - 16 - under_way..=1000).contains(&calls), "{calls} of 1000, {under_way}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_admitted_whole_or_not_at_all() {
    let backend = Hostile::answering(ANSWER).await;
    let room = Room::plan(&backend.url()).daily_cap(50).open().await;
    let batch = |n: usize| room.post(PATH, &format!("[{}]", vec![CALL; n].join(",")));
    let too_big = storm(&[room.addr], &batch(51), 20).await;
    assert_eq!(too_big, [(429, 20)].into());
    let outcome = storm(&[room.addr], &batch(7), 40).await;
    assert_eq!(outcome, [(200, 7), (429, 33)].into(), "seven sevens fit into fifty");
    assert_eq!(room.used().await, 49);
    let outcome = storm(&[room.addr], &room.post(PATH, CALL), 20).await;
    assert_eq!(outcome, [(200, 1), (429, 19)].into(), "and the one that is left is usable");
    assert_eq!((room.used().await, backend.calls()), (50, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_backend_never_got_is_given_back() {
    let backend = Hostile::answering(ANSWER).await;
    let gone = Hostile::answering(ANSWER).await.url();
    let plan = Room::plan(&backend.url()).deployment("gone", &gone).daily_cap(50);
    let room = plan.open().await;
    for _ in 0..3 {
        let outcome = storm(&[room.addr], &room.post("/api/v1/mcp/gone", CALL), 50).await;
        assert_eq!(outcome, [(503, 50)].into());
    }
    assert_eq!(room.used().await, 0);
    let outcome = storm(&[room.addr], &room.post(PATH, CALL), 200).await;
    assert_eq!((outcome[&200], backend.calls()), (50, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_backend_got_is_spent_whatever_came_of_it() {
    // Hangs up on half of the calls, after it has read them.
    let backend = Hostile::acting(|mut visit| async move {
        visit.request().await?;
        visit.request().await?;
        visit.write(ANSWER).await
    })
    .await;
    let room = Room::plan(&backend.url()).daily_cap(50).open().await;
    storm(&[room.addr], &room.post(PATH, CALL), 50).await;
    assert!(backend.calls() <= 50, "a call was sent twice: {}", backend.calls());
    assert_eq!(room.used().await, backend.calls() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_calls_cost_nothing() {
    let backend = Hostile::answering(ANSWER).await;
    let room = Room::plan(&backend.url()).daily_cap(50).open().await;
    for path in ["/api/v1/mcp/none", "/api/v1/mcp/demo/..", "/api/v1/mcp/demo//x"] {
        storm(&[room.addr], &room.post(path, CALL), 60).await;
    }
    let stolen = room.head("POST", PATH, "mcp-session-id: s\r\ncontent-length: 0\r\n");
    storm(&[room.addr], &stolen.replace("content-length: 0", "content-length: x"), 60).await;
    assert_eq!(room.used().await, 0);
    let outcome = storm(&[room.addr], &room.post(PATH, CALL), 100).await;
    assert_eq!((outcome[&200], backend.calls()), (50, 50));
}
