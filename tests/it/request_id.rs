//! `x-request-id` and the rate headers, which answers carry.

use std::collections::HashSet;

use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::wire::Answer;
use crate::harness::{CALL, PING};

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_own_id_is_kept_where_it_is_harmless() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let long = "x".repeat(128);
    for good in ["a", "A.b_c-9", "0123456789", &long] {
        let answer = ada.post(PING).header("x-request-id", good).await;
        assert_eq!(answer.header("x-request-id"), Some(good));
        let got = backend.requests().pop().unwrap();
        assert_eq!(got.header("x-request-id"), Some(good));
        let answer = proxy.ask("GET", "/healthz").header("x-request-id", good).await;
        assert_eq!(answer.header("x-request-id"), Some(good));
    }
    let too_long = "x".repeat(129);
    for bad in ["", "a b", "a/b", "caf\u{e9}", "a;b", "a\"b", "<b>", &too_long] {
        let answer = ada.post(PING).header("x-request-id", bad).await;
        let id = answer.header("x-request-id").expect("a new id");
        assert!(is_harmless(id) && id != bad, "{bad:?} became {id:?}");
        let got = backend.requests().pop().unwrap();
        assert_eq!(got.header("x-request-id"), Some(id), "and the backend gets the same");
    }
}

fn is_harmless(id: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=128).contains(&id.len()) && id.chars().all(is_plain)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_of_its_own() {
    let backend =
        Backend::answering(|request| Reply::to(request).header("x-request-id", "of-the-backend"));
    let backend = backend.await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut seen = HashSet::new();
    for request in [
        ada.post(PING),
        ada.post(CALL),
        ada.get(),
        ada.post(CALL).key("unknown"),
        ada.ask("PUT", "/api/v1/mcp/demo"),
        ada.ask("GET", "/nowhere"),
        proxy.ask("GET", "/healthz"),
        proxy.ask("GET", "/readyz"),
        proxy
            .ask("OPTIONS", "/api/v1/mcp/demo")
            .header("origin", "http://localhost:1")
            .header("access-control-request-method", "POST"),
    ] {
        let sent = request.head();
        let answer = request.await;
        let id = answer.header("x-request-id").unwrap_or_else(|| panic!("no id: {sent}"));
        assert!(is_harmless(id) && seen.insert(id.to_owned()), "{id}: {sent}");
    }
    assert!(!seen.contains("of-the-backend"));
}

fn rates(answer: &Answer, prefix: &str) -> [Option<u64>; 3] {
    ["limit", "remaining", "reset"].map(|which| {
        let value = answer.header(&format!("{prefix}-{which}-requests"))?;
        Some(value.parse().expect("a number"))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_headers_tell_what_is_left_of_the_day() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().daily_cap(3).open().await.attendee().await;
    proxy.start().await;
    for (request, remaining) in [
        (ada.post(PING), 3),
        (ada.post(CALL), 2),
        (ada.get(), 2),
        (ada.ask("GET", "/api/v1/usage"), 2),
        (ada.ask("POST", "/api/v1/eventinfo"), 2),
        (ada.post(CALL), 1),
        (ada.post(CALL).to("/api/v1/mcp/nobody"), 1),
        (ada.post(CALL), 0),
        (ada.post(CALL), 0),
    ] {
        let sent = request.head();
        let answer = request.await;
        let [limit, left, reset] = rates(&answer, "x-ratelimit");
        assert_eq!((limit, left), (Some(3), Some(remaining)), "{sent}");
        assert!(reset.is_some_and(|seconds| (1..=86_400).contains(&seconds)), "{reset:?}");
    }
    for unauthenticated in [
        ada.post(CALL).key("unknown"),
        proxy.ask("GET", "/healthz"),
        ada.post(CALL).header("origin", "https://evil.example"),
    ] {
        assert_eq!(rates(&unauthenticated.await, "x-ratelimit"), [None; 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_headers_of_the_backend_pass_and_ours_step_aside() {
    let backend = Backend::answering(|request| {
        let reply = Reply::to(request).header("x-ratelimit-remaining-tokens", "9");
        // Those that the path names.
        let named = [("limit", "7"), ("remaining", "5"), ("reset", "1")];
        let named = named.into_iter().filter(|(name, _)| request.target.contains(name));
        named.fold(reply, |reply, (name, value)| {
            reply.header(&format!("x-ratelimit-{name}-requests"), value)
        })
    });
    let backend = backend.await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().daily_cap(3).open().await.attendee().await;
    proxy.start().await;
    for (path, theirs) in [
        ("limit-remaining-reset", [Some(7), Some(5), Some(1)]),
        ("limit", [Some(7), None, None]),
        ("remaining", [None, Some(5), None]),
        ("reset", [None, None, Some(1)]),
        ("none", [None; 3]),
    ] {
        let answer = ada.post(PING).to(&format!("/api/v1/mcp/demo/{path}")).await;
        assert_eq!(answer.header("x-ratelimit-remaining-tokens"), Some("9"));
        let mut sources = [rates(&answer, "x-ratelimit"), rates(&answer, "x-proxy-ratelimit")];
        if path == "none" {
            sources.reverse();
        }
        assert_eq!(sources[0], theirs, "{path}");
        assert_eq!(sources[1][..2], [Some(3), Some(3)], "{path}");
        assert!(sources[1][2].is_some(), "{path}");
    }
}
