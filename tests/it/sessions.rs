//! An MCP session belongs to the attendee who opened it.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::{Backend, Nobody};
use crate::harness::proxy::Proxy;
use crate::harness::reply::{Reply, Request};
use crate::harness::wire::Answer;
use crate::harness::{CALL, INITIALIZE, PING, eventually};

/// An MCP server that issues `s-1`, `s-2`, … and knows which of them it ended.
async fn server() -> Backend {
    let known = Arc::new(Mutex::new((0, HashSet::new())));
    Backend::answering(move |request| {
        let mut known = known.lock();
        if request.calls("initialize") {
            known.0 += 1;
            let id = format!("s-{}", known.0);
            known.1.insert(id.clone());
            return Reply::to(request).header("Mcp-Session-Id", &id);
        }
        let id = request.header("mcp-session-id").unwrap_or_default();
        match request.method.as_str() {
            _ if !known.1.contains(id) => Reply::status(404),
            "DELETE" => {
                known.1.remove(id);
                Reply::status(200)
            }
            "GET" => Reply::status(200).body("stream"),
            _ => Reply::to(request),
        }
    })
    .await
}

/// A server that takes every session id for its own.
async fn adopting() -> Backend {
    Backend::answering(|request| match request.target.as_str() {
        "/mcp/refuse" => Reply::status(404),
        "/mcp/fail" => Reply::status(500),
        _ => Reply::to(request),
    })
    .await
}

async fn two_attendees(backend: &Backend) -> (Proxy, Attendee, Attendee) {
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    (proxy, ada, bob)
}

async fn initialize(attendee: &Attendee) -> String {
    let answer = attendee.post(INITIALIZE).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("mcp-session-id").expect("a session").to_owned()
}

fn is_lost(answer: &Answer) -> bool {
    answer.status == 404 && answer.code() == "session_not_found"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_bound_before_its_id_is_seen() {
    let backend = server().await;
    let (_proxy, ada, bob) = two_attendees(&backend).await;
    for _ in 0..20 {
        let id = initialize(&ada).await;
        let before = backend.requests().len();
        for stolen in [
            bob.post(CALL).session(&id),
            bob.get().session(&id),
            bob.delete(&id),
            bob.post(PING).session(&id),
        ] {
            assert!(is_lost(&stolen.await));
        }
        assert_eq!(backend.requests().len(), before, "the backend never hears of it");
        assert_eq!(ada.post(CALL).session(&id).await.status, 200);
        assert_eq!(ada.get().session(&id).await.text(), "stream");
        let got = backend.requests().pop().unwrap();
        assert_eq!(got.header("mcp-session-id"), Some(id.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_not_reached_by_another_way_to_its_backend() {
    let backend = server().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    proxy.resource("again", &backend.url()).await;
    proxy.resource("slash", &backend.url_of("/mcp/")).await;
    let first = proxy.event().open().await;
    let (ada, bob) = (first.attendee().await, first.attendee().await);
    let elsewhere = proxy.event().open().await.attendee().await;
    proxy.start().await;
    let id = initialize(&ada).await;
    for thief in [&bob, &elsewhere] {
        for way in ["demo", "demo/", "demo/mcp", "again", "slash", "demo?x=y", "%64emo"] {
            let answer = thief.post(CALL).session(&id).to(&format!("/api/v1/mcp/{way}")).await;
            assert!(is_lost(&answer), "{way}: {}", answer.text());
        }
    }
    let answer = ada.post(CALL).session(&id).to("/api/v1/mcp/again").await;
    assert_eq!(answer.status, 200, "whose it is may come by any way");
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_delete_the_id_is_nobodys() {
    let backend = server().await;
    let (mut proxy, ada, bob) = two_attendees(&backend).await;
    let id = initialize(&ada).await;
    assert_eq!(ada.delete(&id).await.status, 200);
    let before = backend.requests().len();
    for _ in 0..2 {
        for attendee in [&ada, &bob] {
            assert!(is_lost(&attendee.post(CALL).session(&id).await));
            assert!(is_lost(&attendee.get().session(&id).await));
            assert!(is_lost(&attendee.delete(&id).await));
        }
        assert_eq!(backend.requests().len(), before);
        // It is a tombstone in the store.
        proxy.stop().await;
        proxy.start().await;
    }
}

/// What many calls open and end together goes to the store together.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_opened_and_ended_at_once_each_is_its_own_attendees() {
    let backend = server().await;
    let (mut proxy, ada, bob) = two_attendees(&backend).await;
    let (whose, anothers) = ([&ada, &bob], [&bob, &ada]);
    for _ in 0..5 {
        let ids = join_all((0..40).map(|n| initialize(whose[n % 2]))).await;
        let delete = async |by: [&Attendee; 2], ids: &[String]| {
            let asked = ids.iter().enumerate().map(|(n, id)| by[n % 2].delete(id).into_future());
            join_all(asked).await
        };
        assert!(delete(anothers, &ids).await.iter().all(is_lost));
        assert!(delete(whose, &ids[..20]).await.iter().all(|answer| answer.status == 200));
        proxy.stop().await;
        proxy.start().await;
        for (n, id) in ids.iter().enumerate() {
            let answer = whose[n % 2].post(PING).session(id).await;
            assert_eq!(is_lost(&answer), n < 20, "{n}: {}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_the_backend_refuses_ends_nothing() {
    let backend = Backend::answering(|request| match request.method.as_str() {
        "DELETE" => Reply::status(405),
        _ => Reply::to(request).header("mcp-session-id", "s-1"),
    });
    let backend = backend.await;
    let (_proxy, ada, bob) = two_attendees(&backend).await;
    let id = initialize(&ada).await;
    assert_eq!(ada.delete(&id).await.header("x-error-source"), Some("backend"));
    assert_eq!(ada.post(CALL).session(&id).await.status, 200);
    assert!(is_lost(&bob.post(CALL).session(&id).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn bindings_outlive_the_process() {
    let backend = server().await;
    let (mut proxy, ada, bob) = two_attendees(&backend).await;
    let id = initialize(&ada).await;
    proxy.stop().await;
    proxy.start().await;
    assert!(is_lost(&bob.post(CALL).session(&id).await));
    assert_eq!(ada.post(CALL).session(&id).await.status, 200);
}

/// Makes all sessions seem unused for `hours`.
async fn age(proxy: &Proxy, hours: i64) {
    sqlx::query("update mcp_session set last_seen_at = last_seen_at - $1")
        .bind(hours * 3_600_000)
        .execute(proxy.store.db.writer())
        .await
        .expect("sessions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_unused_for_a_day_is_over() {
    let backend = server().await;
    let (mut proxy, ada, bob) = two_attendees(&backend).await;
    let (used, unused) = (initialize(&ada).await, initialize(&ada).await);
    for _ in 0..3 {
        proxy.stop().await;
        age(&proxy, 13).await;
        proxy.start().await;
        assert_eq!(ada.post(PING).session(&used).await.status, 200, "in use, it goes on");
    }
    let before = backend.requests().len();
    assert!(is_lost(&ada.post(PING).session(&unused).await));
    assert!(is_lost(&bob.post(PING).session(&unused).await));
    assert_eq!(backend.requests().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_never_seen_is_whose_is_first() {
    let backend = adopting().await;
    let (mut proxy, ada, bob) = two_attendees(&backend).await;
    assert_eq!(ada.post(CALL).session("from-elsewhere").await.status, 200);
    assert!(is_lost(&bob.post(CALL).session("from-elsewhere").await));
    proxy.stop().await;
    proxy.start().await;
    assert!(is_lost(&bob.post(CALL).session("from-elsewhere").await));
    assert_eq!(ada.post(CALL).session("from-elsewhere").await.status, 200);

    let mut wires = Vec::new();
    for n in 0..20 {
        let attendee = if n % 2 == 0 { &ada } else { &bob };
        wires.push((n % 2, attendee.post(CALL).session("contested").send().await));
    }
    let mut winners = HashSet::new();
    for (who, wire) in &mut wires {
        let answer = wire.answer().await.unwrap();
        if !is_lost(&answer) {
            assert_eq!(answer.status, 200);
            winners.insert(*who);
        }
    }
    assert_eq!(winners.len(), 1, "of two who claim at once, one has it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_taken_back_where_the_backend_does_not_know_the_id() {
    let backend = adopting().await;
    let (_proxy, ada, bob) = two_attendees(&backend).await;
    let at = |attendee: &Attendee, path: &str| {
        attendee.post(CALL).session("s-1").to(&format!("{DEMO}{path}"))
    };
    let refused = at(&ada, "/refuse").await;
    assert_eq!(refused.header("x-error-source"), Some("backend"));
    eventually("the claim is taken back", async || at(&bob, "").await.status == 200).await;
    assert!(is_lost(&at(&ada, "").await));

    // The refusal of a session that is bound takes nothing back.
    assert_eq!(at(&bob, "/refuse").await.header("x-error-source"), Some("backend"));
    assert!(is_lost(&at(&ada, "").await));
    assert_eq!(at(&bob, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_answer_that_went_well_issues_a_session() {
    let backend = Backend::answering(|request| {
        let status = request.target.rsplit('/').next().unwrap().parse().unwrap_or(200);
        Reply::status(status).header("mcp-session-id", &format!("s-{status}"))
    });
    let backend = backend.await;
    let (_proxy, ada, bob) = two_attendees(&backend).await;
    for (status, is_bound) in [(200, true), (202, true), (400, false), (500, false)] {
        let answer = ada.post(PING).to(&format!("{DEMO}/{status}")).await;
        let id = answer.header("mcp-session-id").expect("as the backend sent it");
        assert_eq!(is_lost(&bob.post(PING).session(id).await), is_bound, "{status}");
    }
}

/// A server that counts its sessions, and begins again at 1 for each count that is set.
async fn counting(count: Arc<Mutex<u32>>) -> Backend {
    Backend::answering(move |request| {
        let reply = Reply::to(request);
        if !request.calls("initialize") {
            return reply;
        }
        let mut count = count.lock();
        *count += 1;
        reply.header("mcp-session-id", &count.to_string())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_issue_of_an_id_wins() {
    let count = Arc::new(Mutex::new(0));
    let backend = counting(count.clone()).await;
    let (mut proxy, ada, bob) = two_attendees(&backend).await;
    let id = initialize(&ada).await;
    // The server was restarted, and counts from the beginning.
    *count.lock() = 0;
    assert_eq!(initialize(&bob).await, id);
    for _ in 0..2 {
        assert_eq!(bob.post(PING).session(&id).await.status, 200);
        assert!(is_lost(&ada.post(PING).session(&id).await));
        proxy.stop().await;
        proxy.start().await;
    }
    // An id that has ended may live again, for whoever the backend issues it to.
    assert_eq!(bob.delete(&id).await.status, 200);
    assert!(is_lost(&bob.post(PING).session(&id).await));
    *count.lock() = 0;
    assert_eq!(initialize(&ada).await, id);
    assert_eq!(ada.post(PING).session(&id).await.status, 200);
    assert!(is_lost(&bob.post(PING).session(&id).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_everybody_gets_is_nobodys() {
    let backend = Backend::answering(|request| {
        let reply = Reply::to(request);
        match request.calls("initialize") {
            true => reply.header("mcp-session-id", "stateless"),
            false => reply,
        }
    })
    .await;
    let (mut proxy, ada, bob) = two_attendees(&backend).await;
    for attendee in [&ada, &bob, &ada] {
        assert_eq!(initialize(attendee).await, "stateless");
    }
    for _ in 0..2 {
        let is_ended = |request: &Request| request.method == "DELETE";
        for attendee in [&ada, &bob] {
            assert_eq!(attendee.post(CALL).session("stateless").await.status, 200);
            let answer = attendee.delete("stateless").await;
            assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
            assert_eq!(answer.header("allow"), Some("GET, POST"));
        }
        assert!(!backend.requests().iter().any(is_ended), "everybody's would have ended");
        // The mark is durable.
        proxy.stop().await;
        proxy.start().await;
    }
    // Another id of the server is no constant.
    assert_eq!(ada.post(CALL).session("other").await.status, 200);
    assert!(is_lost(&bob.post(CALL).session("other").await));
}

/// Attendees cannot make the proxy believe that an id is everybody's.
#[tokio::test(flavor = "multi_thread")]
async fn what_attendees_do_marks_no_id() {
    let backend = adopting().await;
    let (proxy, ada, bob) = two_attendees(&backend).await;
    for _ in 0..3 {
        assert_eq!(ada.post(CALL).session("s-1").await.status, 200);
        assert!(is_lost(&bob.post(CALL).session("s-1").await));
        assert!(is_lost(&bob.delete("s-1").await));
    }
    let marks = sqlx::query_scalar("select count(*) from session_mark");
    let marks: i64 = marks.fetch_one(proxy.store.db.pool()).await.unwrap();
    assert_eq!(marks, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_session_id_is_none() {
    let backend = Backend::answering(|request| Reply::to(request).header("mcp-session-id", ""));
    let backend = backend.await;
    let (_proxy, ada, bob) = two_attendees(&backend).await;
    for attendee in [&ada, &bob] {
        let answer = attendee.post(INITIALIZE).await;
        assert_eq!((answer.status, answer.header("mcp-session-id")), (200, None));
        assert_eq!(attendee.post(CALL).session("").await.status, 200);
    }
    assert!(backend.requests().iter().all(|got| got.header("mcp-session-id").is_none()));
}

/// An answer to a second request proves the claim of the first, which then can come to
/// nothing without taking the session away.
#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_first_request_takes_no_proven_claim_away() {
    let backend = Backend::acting(|mut visit| async move {
        while let Some(request) = visit.next().await {
            match request.target.as_str() {
                "/mcp/hang" => std::future::pending::<()>().await,
                _ => visit.reply(Reply::to(&request)).await,
            }
        }
    })
    .await;
    let (proxy, ada, bob) = two_attendees(&backend).await;
    let hanging = ada.post(CALL).session("s-1").to(&format!("{DEMO}/hang")).send().await;
    eventually("the first request hangs", async || backend.requests().len() == 1).await;
    assert_eq!(ada.post(CALL).session("s-1").await.status, 200);
    hanging.abort();
    proxy.nothing_is_open().await;
    assert_eq!(ada.post(CALL).session("s-1").await.status, 200);
    assert!(is_lost(&bob.post(CALL).session("s-1").await));

    // One that was sent keeps its claim, also if nothing proved it and its client left.
    let hanging = ada.post(CALL).session("s-2").to(&format!("{DEMO}/hang")).send().await;
    eventually("another hangs", async || backend.requests().len() == 4).await;
    hanging.abort();
    proxy.nothing_is_open().await;
    assert!(is_lost(&bob.post(CALL).session("s-2").await));
    assert_eq!(ada.post(CALL).session("s-2").await.status, 200);
}

/// Which answers to a first request leave the id to the attendee.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_released_by_400_and_404_only() {
    let backend = Backend::answering(|request| {
        let status = request.target.rsplit('/').next().unwrap().parse().unwrap_or(200);
        Reply::status(status)
    })
    .await;
    let (_proxy, ada, bob) = two_attendees(&backend).await;
    for (status, is_kept) in [
        (200, true),
        (401, true),
        (406, true),
        (429, true),
        (500, true),
        (400, false),
        (404, false),
    ] {
        let id = format!("s-{status}");
        let to = format!("{DEMO}/{status}");
        assert_eq!(ada.post(CALL).session(&id).to(&to).await.status, status);
        if is_kept {
            assert!(is_lost(&bob.post(CALL).session(&id).await), "{status}");
            assert_eq!(ada.post(CALL).session(&id).await.status, 200);
        } else {
            eventually("the claim is released", async || {
                bob.post(CALL).session(&id).await.status == 200
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_was_never_sent_is_released() {
    let nobody = Nobody::new();
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &nobody.url()).await;
    let event = proxy.event().open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    assert_eq!(ada.post(CALL).session("s-1").await.code(), "backend_unreachable");
    eventually("the claim is released", async || {
        bob.post(CALL).session("s-1").await.code() == "backend_unreachable"
    })
    .await;
}

/// A claim outlives no client who left while it was written.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_was_written_after_its_client_left_is_released() {
    let backend = adopting().await;
    let (proxy, ada, bob) = two_attendees(&backend).await;
    // Known by now, so that only the claim has to wait for the store.
    assert_eq!(ada.post(PING).await.status, 200);
    let busy = proxy.store.db.write().await.unwrap();
    let waiting = ada.post(PING).session("s-1").send().await;
    proxy.are_open(1).await;
    waiting.abort();
    proxy.nothing_is_open().await;
    drop(busy);
    eventually("the claim is released", async || bob.post(PING).session("s-1").await.status == 200)
        .await;
    assert!(is_lost(&ada.post(PING).session("s-1").await));
    assert_eq!(backend.requests().len(), 2);
}

/// A call whose turn has not come, or that is over the cap, writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_claims_nothing() {
    let backend = adopting().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().rate(1, 2).daily_cap(1).open().await;
    let ada = event.attendee().await;
    proxy.start().await;
    assert_eq!(ada.post(CALL).session("s-0").await.status, 200);
    assert_eq!(ada.post(CALL).session("s-1").await.code(), "daily_cap_reached");
    assert_eq!(ada.post(CALL).session("s-2").await.code(), "rate_limited");
    let rows = sqlx::query_scalar("select count(*) from mcp_session");
    let rows: i64 = rows.fetch_one(proxy.store.db.pool()).await.unwrap();
    assert_eq!(rows, 1);
}

/// One server under two spellings of its name has two origins and the same sessions.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_session_is_not_claimed_at_another_spelling_of_its_server() {
    let backend = server().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let other = format!("http://localhost:{}/mcp", backend.addr.port());
    proxy.resource("other", &other).await;
    let event = proxy.event().open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    let id = initialize(&ada).await;
    let other = "/api/v1/mcp/other";
    assert!(is_lost(&bob.post(CALL).session(&id).to(other).await));
    assert_eq!(backend.requests().len(), 1);
    assert_eq!(ada.post(CALL).session(&id).to(other).await.status, 200, "it is hers");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_not_unmistakable_is_nobodys() {
    let backend = server().await;
    let (_proxy, ada, _) = two_attendees(&backend).await;
    let (id, other) = (initialize(&ada).await, initialize(&ada).await);
    for request in [
        ada.post(CALL).session(&id).session(&other),
        ada.post(CALL).session(&id).session(&id),
        ada.post(CALL).session("").session(&id),
        ada.post(CALL).session(&format!("{id}, {other}")),
        ada.post(CALL).session("caf\u{e9}"),
    ] {
        assert!(is_lost(&request.await));
    }
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sessions_live_and_the_longest_idle_gives_way() {
    let backend = server().await;
    let (mut proxy, ada, bob) = two_attendees(&backend).await;
    let bobs = initialize(&bob).await;
    let (first, second) = (initialize(&ada).await, initialize(&ada).await);
    let mut wire = proxy.wire().await;
    for _ in 2..1000 {
        let answer = wire.exchange(ada.post(INITIALIZE).bytes()).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    assert_eq!(ada.post(PING).session(&first).await.status, 200, "a thousand live");
    let newest = initialize(&ada).await;
    assert_eq!(ada.post(PING).session(&newest).await.status, 200);
    // What a replica has just used it believes for a while; the store knows at once.
    proxy.stop().await;
    proxy.start().await;
    assert_eq!(bob.post(PING).session(&bobs).await.status, 200, "others' do not count");
    let gone = [
        is_lost(&ada.post(PING).session(&first).await),
        is_lost(&ada.post(PING).session(&second).await),
    ];
    assert_eq!(gone.iter().filter(|gone| **gone).count(), 1, "one gave way: {gone:?}");
}
