//! Load balancers that know a session by cookies: these stay between the proxy and them.

use std::sync::Arc;

use ai_proxy::catalog::session_mark;
use parking_lot::Mutex;

use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::{Reply, Request};
use crate::harness::{CALL, INITIALIZE, PING, eventually};

/// A server behind a balancer that sets these cookies when a session is opened.
async fn balanced(cookies: &'static [&'static str]) -> Backend {
    Backend::answering(move |request| {
        let mut reply = Reply::to(request);
        if request.calls("initialize") {
            reply = reply.header("mcp-session-id", "s-1");
            for cookie in cookies {
                reply = reply.header("set-cookie", cookie);
            }
        }
        reply
    })
    .await
}

async fn open(attendee: &Attendee) -> String {
    let answer = attendee.post(INITIALIZE).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("set-cookie"), None, "clients never see them");
    answer.header("mcp-session-id").unwrap().to_owned()
}

fn last(backend: &Backend) -> Request {
    backend.requests().pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookies_of_a_session_go_with_its_requests() {
    let backend =
        balanced(&["lb=1; Path=/; HttpOnly", "other=x; Max-Age=60", "tls=1; Secure"]).await;
    let (mut proxy, ada) = Proxy::serving(&backend).await;
    let id = open(&ada).await;
    assert_eq!(backend.request().header("cookie"), None);
    for _ in 0..2 {
        let answer = ada.post(CALL).session(&id).header("cookie", "lb=mine").await;
        assert_eq!(answer.status, 200);
        assert_eq!(last(&backend).header("cookie"), Some("lb=1; other=x"), "never the client's");
        ada.post(CALL).await;
        assert_eq!(last(&backend).header("cookie"), None, "of no session");
        let replica = proxy.replica().await;
        ada.post(CALL).session(&id).at(&replica).await;
        assert_eq!(last(&backend).header("cookie"), Some("lb=1; other=x"));
        // They are kept in the store, sealed.
        proxy.stop().await;
        let sealed = sqlx::query_scalar("select affinity_sealed from mcp_session");
        let sealed: String = sealed.fetch_one(proxy.store.db.pool()).await.unwrap();
        assert!(!sealed.contains("lb="));
        proxy.start().await;
    }
    ada.delete(&id).await;
    assert_eq!(last(&backend).header("cookie"), Some("lb=1; other=x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_answer_replaces_cookies_of_the_same_name() {
    let to_set = Arc::new(Mutex::new("lb=1"));
    let set = to_set.clone();
    let backend = Backend::answering(move |request| {
        let reply = match request.target.as_str() {
            "/mcp/500" => Reply::status(500),
            _ => Reply::to(request),
        };
        let reply = reply.header("set-cookie", &set.lock());
        if request.calls("initialize") { reply.header("mcp-session-id", "s-1") } else { reply }
    })
    .await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let id = open(&ada).await;
    let sent = async || {
        assert_eq!(ada.post(PING).session(&id).await.status, 200);
        last(&backend).header("cookie").map(str::to_owned)
    };
    *to_set.lock() = "lb=2";
    assert_eq!(ada.post(PING).session(&id).to(&format!("{DEMO}/500")).await.status, 500);
    *to_set.lock() = "unknown=1";
    assert_eq!(sent().await.as_deref(), Some("lb=1"), "a failure replaces nothing");
    *to_set.lock() = "lb=3";
    sent().await;
    assert_eq!(sent().await.as_deref(), Some("lb=3"));
    let replica = proxy.replica().await;
    eventually("it is written", async || {
        ada.post(PING).session(&id).at(&replica).await;
        last(&backend).header("cookie") == Some("lb=3")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_a_redirect_belong_to_the_session_that_it_leads_to() {
    let backend = Backend::answering(|request| match request.target.as_str() {
        "/mcp/" => {
            let reply = Reply::status(307).header("location", "/mcp");
            reply.header("set-cookie", "on_the_way=1")
        }
        _ => Reply::to(request).header("mcp-session-id", "s-1").header("set-cookie", "lb=1"),
    })
    .await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url_of("/mcp/")).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    let id = open(&ada).await;
    assert_eq!(last(&backend).header("cookie"), Some("on_the_way=1"));
    assert_eq!(ada.post(PING).session(&id).await.status, 200);
    let cookie = last(&backend).header("cookie").map(str::to_owned);
    assert!(cookie.unwrap().contains("lb=1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_that_are_too_large_are_not_kept_and_the_organiser_can_know() {
    let large: &'static str = format!("lb={}", "x".repeat(2_046)).leak();
    let backend = balanced(vec![large, "lb2=1"].leak()).await;
    let mut proxy = Proxy::new().await;
    let resource = proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    let id = open(&ada).await;
    assert_eq!(ada.post(CALL).session(&id).await.status, 200);
    assert_eq!(last(&backend).header("cookie"), None);
    eventually("it is noted", async || {
        session_mark::of(&proxy.store.db, &resource).await.unwrap().has_large_affinity
    })
    .await;
}
