//! Request targets that could mean another place at the backend than the one
//! that was checked.

use crate::harness::CALL;
use crate::rig::hostile::Hostile;
use crate::rig::room::{ANSWER, Room};

#[tokio::test(flavor = "multi_thread")]
async fn remainders_that_could_leave_the_endpoint_are_refused() {
    let backend = Hostile::answering(ANSWER).await;
    let room = Room::of(&backend).await;
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
        let mut wire = room.wire().await;
        let request = room.post(&format!("/api/v1/mcp/demo{rest}"), CALL);
        let answer = wire.exchange(request).await.unwrap_or_else(|error| panic!("{rest}: {error}"));
        // A backslash may be refused by the HTTP parser before us.
        assert_eq!(answer.status, 400, "{rest}");
        let code = answer.code();
        assert!(
            code == "invalid_path" || (rest.contains('\\') && code.is_empty()),
            "{rest}: {code}"
        );
    }
    assert_eq!(backend.requests(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployment_is_one_plain_segment() {
    let backend = Hostile::answering(ANSWER).await;
    let room = Room::of(&backend).await;
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
        let mut wire = room.wire().await;
        let answer = wire.exchange(room.post(path, CALL)).await.expect("an answer");
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(backend.requests(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_form_the_target_has_the_backend_gets_its_own_path_and_host() {
    let backend = Hostile::answering(ANSWER).await;
    let room = Room::of(&backend).await;
    for target in [
        "http://evil.example/api/v1/mcp/demo/mcp?x=1",
        "http://evil.example:99/api/v1/mcp/demo?x=1",
        "https://user@evil.example/api/v1/mcp/demo?x=1",
    ] {
        let mut wire = room.wire().await;
        // RFC 9112 §3.2.2: the absolute form is to be accepted; its authority means nothing here.
        let answer = wire.exchange(room.post(target, CALL)).await.expect("an answer");
        assert!(matches!(answer.status, 200 | 400), "{target}: {}", answer.status);
    }
    for request in backend.requests() {
        assert!(request.starts_with("POST /mcp?x=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("host: {}\r\n", backend.addr)), "{request}");
        assert!(!request.contains("evil"), "{request}");
    }
    for (method, target) in
        [("CONNECT", "evil.example:443"), ("OPTIONS", "*"), ("TRACE", "/api/v1/mcp/demo")]
    {
        let before = backend.requests().len();
        let mut wire = room.wire().await;
        let answer = wire.exchange(room.head(method, target, "")).await.expect("an answer");
        assert!(matches!(answer.status, 400..=405), "{method} {target}: {}", answer.status);
        assert_eq!(backend.requests().len(), before, "{method} {target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoints_own_parameters_cannot_be_overridden() {
    let backend = Hostile::answering(ANSWER).await;
    let room = Room::at(&format!("{}?tenant=1", backend.url())).await;
    for query in ["tenant=2", "%74enant=2", "a=b&tenant=2&c", "tenant", "t%65nan%74=2&a=b"] {
        let mut wire = room.wire().await;
        let request = room.post(&format!("/api/v1/mcp/demo?{query}"), CALL);
        assert_eq!(wire.exchange(request).await.expect("an answer").status, 200, "{query}");
    }
    for request in backend.requests() {
        let line = request.lines().next().unwrap_or_default();
        assert!(line.starts_with("POST /mcp?tenant=1"), "{line}");
        assert_eq!(line.to_lowercase().matches("enan").count(), 1, "{line}");
    }
}
