//! Sessions are the same for all replicas.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::harness::attendee::Attendee;
use crate::harness::backend::Backend;
use crate::harness::proxy::{Proxy, Replica};
use crate::harness::reply::Reply;
use crate::harness::{CALL, CHANGE, INITIALIZE, eventually, within};

/// Two replicas in front of a server that takes every id for its own.
async fn replicas() -> (Backend, Proxy, Replica, Attendee, Attendee) {
    let backend = Backend::answering(|request| {
        let reply = Reply::to(request);
        if request.calls("initialize") { reply.header("mcp-session-id", "s-1") } else { reply }
    });
    let backend = backend.await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    let other = proxy.replica().await;
    (backend, proxy, other, ada, bob)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_one_replica_is_known_to_the_other_at_once() {
    let (backend, _proxy, other, ada, bob) = replicas().await;
    assert_eq!(ada.post(INITIALIZE).await.status, 200);
    assert_eq!(bob.post(CALL).session("s-1").at(&other).await.code(), "session_not_found");
    assert_eq!(ada.post(CALL).session("s-1").at(&other).await.status, 200);
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_claims_an_id_at_two_replicas_at_once_has_it_once() {
    let (_backend, _proxy, other, ada, bob) = replicas().await;
    for round in 0..10 {
        let id = format!("unseen-{round}");
        let here = async { ada.post(CALL).session(&id).await.status };
        let there = async { bob.post(CALL).session(&id).at(&other).await.status };
        let (here, there) = tokio::join!(here, there);
        assert_eq!(HashSet::from([here, there]), HashSet::from([200, 404]), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_at_one_replica_is_forwarded_by_no_other() {
    let (backend, _proxy, other, ada, _bob) = replicas().await;
    assert_eq!(ada.post(INITIALIZE).await.status, 200);
    let there = || ada.post(CALL).session("s-1");
    assert_eq!(there().at(&other).await.status, 200, "it is known there");
    assert_eq!(ada.delete("s-1").await.status, 200);
    within(CHANGE, "the other replica knows", async || there().at(&other).await.status == 404)
        .await;
    let before = backend.requests().len();
    assert_eq!(there().at(&other).await.code(), "session_not_found");
    assert_eq!(backend.requests().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_over_at_one_replica_is_lost_at_every_other() {
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let backend = Backend::answering(move |request| {
        let reply = Reply::to(request);
        if !request.calls("initialize") {
            return reply;
        }
        let mut count = counted.lock();
        *count += 1;
        reply.header("mcp-session-id", &count.to_string())
    });
    let backend = backend.await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    let other = proxy.replica().await;
    assert_eq!(ada.post(INITIALIZE).at(&other).await.status, 200);
    assert_eq!(ada.post(CALL).session("1").at(&other).await.status, 200);
    *count.lock() = 0;
    assert_eq!(bob.post(INITIALIZE).await.header("mcp-session-id"), Some("1"));
    within(CHANGE, "the other replica knows", async || {
        ada.post(CALL).session("1").at(&other).await.status == 404
    })
    .await;
    assert_eq!(bob.post(CALL).session("1").at(&other).await.status, 200);
}

/// A replica that has not heard yet that everybody has the session asks the store.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_everybody_has_is_known_to_the_other_replica_at_once() {
    let (_backend, _proxy, other, ada, bob) = replicas().await;
    for attendee in [&ada, &bob] {
        assert_eq!(attendee.post(INITIALIZE).await.header("mcp-session-id"), Some("s-1"));
        assert_eq!(attendee.post(CALL).session("s-1").await.status, 200);
        assert_eq!(attendee.post(CALL).session("s-1").at(&other).await.status, 200);
    }
    assert_eq!(bob.delete("s-1").at(&other).await.status, 405);
}

/// The second request goes to the other replica, proves the claim of the first, and
/// keeps it when that one is aborted.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_one_replica_is_proven_at_another() {
    let backend = Backend::acting(|mut visit| async move {
        while let Some(request) = visit.next().await {
            match request.target.as_str() {
                "/mcp/hang" => std::future::pending::<()>().await,
                _ => visit.reply(Reply::to(&request)).await,
            }
        }
    })
    .await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    let other = proxy.replica().await;
    let hanging = ada.post(CALL).session("s-1").to("/api/v1/mcp/demo/hang").send().await;
    eventually("the first request hangs", async || backend.requests().len() == 1).await;
    assert_eq!(ada.post(CALL).session("s-1").at(&other).await.status, 200);
    hanging.abort();
    proxy.nothing_is_open().await;
    assert_eq!(bob.post(CALL).session("s-1").await.code(), "session_not_found");
    assert_eq!(bob.post(CALL).session("s-1").at(&other).await.code(), "session_not_found");
    assert_eq!(ada.post(CALL).session("s-1").await.status, 200);
}
