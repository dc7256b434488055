//! Sessions are the same for all replicas.

use std::collections::HashSet;

use crate::harness::attendee::Attendee;
use crate::harness::backend::Backend;
use crate::harness::proxy::{Proxy, Replica};
use crate::harness::reply::Reply;
use crate::harness::{CALL, INITIALIZE};

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
