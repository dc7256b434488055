//! Request targets that could mean another place at the backend than the one
//! that was checked.

use super::ANSWER;
use crate::harness::CALL;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn remainders_that_could_leave_the_endpoint_are_refused() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for rest in [
        "/..",
        "/../",
        "/../admin",
        "/a/../../admin",
        "/.",
        "/./x",
        "/%2e%2e/admin",
        "/%2E%2e",
        "/.%2e/x",
        "/%2e",
        "/..;",
        "/..;a=b/admin",
        "/%2e%2e%3b/admin",
        "/;x",
        "//",
        "//evil.example/",
        "/a//b",
        "/mcp//",
        "/a%2fb",
        "/%2F..%2f",
        "/a\\b",
        "/..\\admin",
        "/%5c..%5cadmin",
        "/a%00",
        "/a%0d%0aX:%20y",
        "/a%7f",
        "/%1b",
    ] {
        let mut wire = proxy.wire().await;
        let request = ada.raw(&format!("/api/v1/mcp/demo{rest}"), CALL);
        let answer = wire.exchange(request).await.unwrap_or_else(|error| panic!("{rest}: {error}"));
        // A backslash may be refused by the HTTP parser before us.
        assert_eq!(answer.status, 400, "{rest}");
        let code = answer.code();
        assert!(
            code == "invalid_path" || (rest.contains('\\') && code.is_empty()),
            "{rest}: {code}"
        );
    }
    backend.got_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployment_is_one_plain_segment() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for path in [
        "/api/v1/mcp/..",
        "/api/v1/mcp/../mcp/demo",
        "/api/v1/mcp//demo",
        "/api/v1/mcp/demo%2f..",
        "/api/v1/mcp/%2e%2e/demo",
        "/api/v1/mcp/demo%00",
        "/api/v1/../v1/mcp/demo",
        "//api/v1/mcp/demo",
        "/api/v1/MCP/demo",
        "/api/v1/mcp/demo;x=y",
    ] {
        let mut wire = proxy.wire().await;
        let answer = wire.exchange(ada.raw(path, CALL)).await.expect("an answer");
        assert_eq!(answer.status, 404, "{path}");
    }
    backend.got_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_form_the_target_has_the_backend_gets_its_own_path_and_host() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for target in [
        "http://evil.example/api/v1/mcp/demo/mcp?x=1",
        "http://evil.example:99/api/v1/mcp/demo?x=1",
        "https://user@evil.example/api/v1/mcp/demo?x=1",
    ] {
        let mut wire = proxy.wire().await;
        // RFC 9112 §3.2.2: the absolute form is to be accepted; its authority means nothing here.
        let answer = wire.exchange(ada.raw(target, CALL)).await.expect("an answer");
        assert!(matches!(answer.status, 200 | 400), "{target}: {}", answer.status);
    }
    for request in backend.requests() {
        assert_eq!((&*request.method, &*request.target), ("POST", "/mcp?x=1"));
        assert_eq!(request.header("host"), Some(&*backend.addr.to_string()));
        assert!(!request.whole().contains("evil"), "{request:?}");
    }
    for (method, target) in
        [("CONNECT", "evil.example:443"), ("OPTIONS", "*"), ("TRACE", "/api/v1/mcp/demo")]
    {
        let before = backend.requests().len();
        let mut wire = proxy.wire().await;
        let answer = wire.exchange(ada.head(method, target, "")).await.expect("an answer");
        assert!(matches!(answer.status, 400..=405), "{method} {target}: {}", answer.status);
        assert_eq!(backend.requests().len(), before, "{method} {target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoints_own_parameters_cannot_be_overridden() {
    let backend = Backend::saying(ANSWER).await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url_of("/mcp?tenant=1")).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    for query in [
        "tenant=2",
        "%74enant=2",
        "a=b&tenant=2&c",
        "tenant",
        "t%65nan%74=2&a=b",
        "TENANT=2",
        "tenant[]=2",
        "Tenant%5B0%5D=2",
        "a=b;tenant=2",
        "tenant=2;a=b",
    ] {
        let mut wire = proxy.wire().await;
        let request = ada.raw(&format!("/api/v1/mcp/demo?{query}"), CALL);
        assert_eq!(wire.exchange(request).await.expect("an answer").status, 200, "{query}");
    }
    for request in backend.requests() {
        let target = request.target;
        assert!(target.starts_with("/mcp?tenant=1"), "{target}");
        assert_eq!(target.to_lowercase().matches("enan").count(), 1, "{target}");
    }
}
