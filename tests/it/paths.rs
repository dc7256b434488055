//! From the client's path and query to the backend's.

use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::{CALL, PING};

#[tokio::test(flavor = "multi_thread")]
async fn the_remainder_is_joined_to_the_endpoint() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    for (name, path) in [
        ("mcp", "/mcp"),
        ("bare", ""),
        ("root", "/"),
        ("deep", "/a/mcp"),
        ("slash", "/a/mcp/"),
        ("query", "/mcp?tenant=1"),
        ("two", "/mcp?tenant=1&api-version=2"),
        ("similar", "/xmcp"),
        ("encoded", "/%C3%A9/mcp"),
    ] {
        proxy.resource(name, &backend.url_of(path)).await;
    }
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;

    for (number, (asked, target)) in [
        ("mcp", "/mcp"),
        ("mcp/", "/mcp"),
        ("mcp/mcp", "/mcp"),
        ("mcp/mcp/", "/mcp"),
        ("mcp/MCP", "/mcp/MCP"),
        ("mcp/x/mcp", "/mcp/x/mcp"),
        ("bare", "/"),
        ("bare/", "/"),
        ("bare/mcp", "/mcp"),
        ("bare/mcp/", "/mcp/"),
        ("root", "/"),
        ("root/mcp", "/mcp"),
        ("deep", "/a/mcp"),
        ("deep/mcp", "/a/mcp"),
        ("deep/a/mcp", "/a/mcp"),
        ("deep/x/y", "/a/mcp/x/y"),
        ("deep/x/", "/a/mcp/x/"),
        ("deep/cp", "/a/mcp/cp"),
        ("slash", "/a/mcp/"),
        ("slash/mcp", "/a/mcp/"),
        ("slash/x", "/a/mcp/x"),
        ("similar/mcp", "/xmcp/mcp"),
        ("encoded/mcp", "/%C3%A9/mcp"),
        ("encoded/x", "/%C3%A9/mcp/x"),
        (
            "mcp/%7Euser/a%20b/%e2%82%ac/x;p=1,2/*'()!$&+:@=",
            "/mcp/%7Euser/a%20b/%e2%82%ac/x;p=1,2/*'()!$&+:@=",
        ),
        ("mcp/.../..a/a..", "/mcp/.../..a/a.."),
        ("mcp/%252e%252e/x", "/mcp/%252e%252e/x"),
        ("query/mcp?a=b&a=c&e=&tenant=2", "/mcp?tenant=1&a=b&a=c&e="),
        ("query?tenant=2&tenant=3", "/mcp?tenant=1"),
        ("query?%74enant=2&x=%2F%2f", "/mcp?tenant=1&x=%2F%2f"),
        ("query?tenant", "/mcp?tenant=1"),
        ("query?tenants=2&Tenant=3", "/mcp?tenant=1&tenants=2"),
        ("two?a&api-version=9&b", "/mcp?tenant=1&api-version=2&a&b"),
        ("mcp?a=%20+%2B&&=&b", "/mcp?a=%20+%2B&&=&b"),
        ("mcp?q=http://x/../y?z", "/mcp?q=http://x/../y?z"),
        ("mcp/x?a=1", "/mcp/x?a=1"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = ada.post(CALL).to(&format!("/api/v1/mcp/{asked}")).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        assert_eq!(backend.requests()[number].target, target, "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_read_in_two_ways_is_refused() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for bad in [
        "/..",
        "/.",
        "/../mcp",
        "/a/../b",
        "/a/./b",
        "/a/..",
        "/%2e%2e",
        "/%2E./x",
        "/.%2e/x",
        "/%2e",
        "//",
        "//mcp",
        "/a//b",
        "/a//",
        "/a/%2e%2E/",
        "/a%2fb",
        "/a%2Fb",
        "/%2f",
        "/a%5cb",
        "/a%5Cb",
        "/a%00",
        "/a%0d%0ab",
        "/a%1f",
        "/%7f",
        "/..?a=b",
        "/%2e%2e%2fadmin",
    ] {
        let answer = ada.post(PING).to(&format!("/api/v1/mcp/demo{bad}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_path"), "{bad}");
    }
    // The HTTP parser takes the raw characters, or refuses the request itself.
    for raw in ["/a\\b", "/a\\..\\b", "/\\\\x"] {
        let answer = ada.post(PING).to(&format!("/api/v1/mcp/demo{raw}")).await;
        assert_eq!(answer.status, 400, "{raw}");
    }
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_named_by_its_whole_segment() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("mcp-demo", &backend.url_of("/hyphen")).await;
    proxy.resource("mcp.demo_2", &backend.url_of("/dot")).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    for (asked, target) in
        [("mcp-demo/x", "/hyphen/x"), ("mcp%2Ddemo/x", "/hyphen/x"), ("mcp.demo_2/x", "/dot/x")]
    {
        let answer = ada.post(PING).to(&format!("/api/v1/mcp/{asked}")).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        assert_eq!(backend.requests().last().unwrap().target, target);
    }
    for unknown in ["mcp-dem", "mcp-demo2/x", "mcp-demo%2Fx", "MCP-DEMO", "..", "%2e%2e/x", ""] {
        let answer = ada.post(PING).to(&format!("/api/v1/mcp/{unknown}")).await;
        assert_eq!(answer.status, 404, "{unknown}: {}", answer.text());
    }
}
