//! Pages in a browser: which may call the proxy, and what they may read.

use ai_proxy::config::Config;

use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::wire::Answer;
use crate::harness::{CALL, PING};

/// The status of a request from a page of `origin` that the browser sent to `host`.
async fn status(ada: &Attendee, host: &str, origin: &str) -> u16 {
    let answer = ada.post(PING).header("host", host).header("origin", origin).await;
    let granted = (answer.status != 403).then_some(origin);
    assert_eq!(answer.header("access-control-allow-origin"), granted, "{origin} at {host}");
    answer.status
}

async fn proxy(set: impl FnOnce(&mut Config)) -> (Backend, Proxy, Attendee) {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving_with(&backend, set).await;
    (backend, proxy, ada)
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_the_public_one_loopback_and_those_that_were_agreed() {
    let (backend, _proxy, ada) = proxy(|config| {
        config.public_url = Some("https://proxy.example/".parse().unwrap());
        config.allowed_origins = vec!["https://lab.example".into(), "app://editor".into()];
    })
    .await;
    for good in [
        "https://proxy.example",
        "https://lab.example",
        "app://editor",
        "http://localhost",
        "http://localhost:5173",
        "https://localhost:5173",
        "http://127.0.0.1:6274",
        "http://[::1]:6274",
    ] {
        assert_eq!(status(&ada, "proxy.example", good).await, 200, "{good}");
    }
    let forwarded = backend.requests().len();
    for bad in [
        "http://proxy.example",
        "https://proxy.example:8443",
        "https://sub.proxy.example",
        "https://proxy.example.evil.example",
        "https://lab.example:444",
        "http://lab.example",
        "https://evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://192.0.2.5:8910",
        "https://proxy.example/",
        "null",
        "",
        "*",
        "file://",
    ] {
        for host in ["proxy.example", "192.0.2.5:8910", "evil.example"] {
            assert_eq!(status(&ada, host, bad).await, 403, "{bad} at {host}");
        }
    }
    assert_eq!(backend.requests().len(), forwarded, "no refused one was forwarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_public_url_an_address_in_host_is_believed_and_a_name_is_not() {
    let (_backend, _proxy, ada) = proxy(|_| {}).await;
    assert_eq!(status(&ada, "192.0.2.5:8910", "http://192.0.2.5:8910").await, 200);
    assert_eq!(status(&ada, "[2001:db8::1]:8910", "http://[2001:db8::1]:8910").await, 200);
    assert_eq!(status(&ada, "localhost:8910", "http://localhost:8910").await, 200);
    assert_eq!(status(&ada, "192.0.2.5:8910", "http://192.0.2.6:8910").await, 403);
    assert_eq!(status(&ada, "192.0.2.5:8910", "http://192.0.2.5:8911").await, 403);
    assert_eq!(status(&ada, "rebound.example:8910", "http://rebound.example:8910").await, 403);
    assert_eq!(status(&ada, "rebound.example", "http://rebound.example").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_data_plane_checks_the_origin() {
    let (_backend, proxy, ada) = proxy(|_| {}).await;
    for (method, path) in [
        ("POST", DEMO),
        ("GET", DEMO),
        ("GET", "/api/v1/usage"),
        ("POST", "/api/v1/eventinfo"),
        ("GET", "/api/v1/event/a1b2-c3d4"),
        ("GET", "/.well-known/openid-configuration"),
    ] {
        let answer = ada.ask(method, path).header("origin", "https://evil.example").await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "origin_not_allowed"), "{path}");
    }
    let two = proxy.ask("GET", "/api/v1/event/a1b2-c3d4").header("origin", "http://localhost");
    let answer = two.header("origin", "https://evil.example").await;
    assert_eq!(answer.status, 403, "of two nobody knows which it is");
}

/// What a page may read of an answer, in lower case.
fn exposed(answer: &Answer) -> Vec<String> {
    let exposed = answer.header("access-control-expose-headers").expect("what is exposed");
    exposed.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_may_call_may_read_what_it_needs() {
    let backend = Backend::answering(|request| {
        Reply::to(request)
            .header("access-control-allow-origin", "https://elsewhere.example")
            .header("access-control-allow-credentials", "true")
            .header("vary", "accept")
    });
    let backend = backend.await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let page = "http://localhost:6274";
    for (request, status) in [
        (ada.post(CALL), 200),
        (ada.get(), 405),
        (ada.post(CALL).key("unknown"), 401),
        (ada.post(CALL).to("/api/v1/mcp/nobody"), 404),
        (ada.ask("GET", "/api/v1/usage"), 200),
    ] {
        let answer = request.header("origin", page).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(page));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(answer.headers("vary").iter().any(|vary| vary.eq_ignore_ascii_case("origin")));
        let exposed = exposed(&answer);
        for name in [
            "mcp-session-id",
            "mcp-protocol-version",
            "x-request-id",
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
            "x-proxy-ratelimit-limit-requests",
            "x-proxy-ratelimit-remaining-requests",
            "x-proxy-ratelimit-reset-requests",
        ] {
            assert!(exposed.iter().any(|known| known == name), "{name} is not exposed");
        }
    }
    let answer = ada.post(CALL).await;
    assert_eq!(answer.header("access-control-allow-origin"), None, "no page, no leave");
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_are_answered_here_without_a_key() {
    let (backend, proxy, _) = proxy(|_| {}).await;
    let preflight = |origin: &str, path: &str| {
        proxy
            .ask("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "api-key, mcp-protocol-version")
    };
    for (path, methods) in [(DEMO, vec!["GET", "POST", "DELETE"]), ("/api/v1/usage", vec!["GET"])] {
        let answer = preflight("http://localhost:6274", path).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:6274"));
        let allowed = answer.header("access-control-allow-methods").unwrap();
        assert_eq!(allowed.split(", ").collect::<Vec<_>>(), methods);
        let headers = answer.header("access-control-allow-headers").unwrap();
        assert!(headers.contains("api-key") && headers.contains("mcp-protocol-version"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    let answer = preflight("https://evil.example", DEMO).await;
    assert_eq!(answer.status, 403);
    for (name, _) in &answer.headers {
        assert!(!name.starts_with("access-control-"), "{name}");
    }
    assert_eq!(backend.requests(), []);
}
