//! What clients find out, from any origin.

use http::header::{HOST, ORIGIN};
use http::{Method, StatusCode};
use serde_json::json;

use super::harness::json_of;
use crate::harness::{Page, Portal};

async fn get(portal: &Portal, path: &str, host: &str) -> Page {
    let request = portal.visitor().client.get(format!("{}{path}", portal.url));
    Page::read(request.header(HOST, host).send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_described_by_the_url_that_the_client_was_given() {
    let settings = ["--public-url", "https://proxy.example", "--allowed-origins", "http://lab:81"];
    let portal = Portal::with(&settings).await;
    for (host, base) in [
        ("proxy.example", "https://proxy.example"),
        ("127.0.0.1:8910", "http://127.0.0.1:8910"),
        ("lab:81", "http://lab:81"),
        ("evil.example", "https://proxy.example"),
    ] {
        for path in ["", "/api/v1/mcp/demo", "/api/v1/mcp/demo/mcp/", "/api/v1/mcp/nobody?a=b&c"] {
            let asked = format!("/.well-known/oauth-protected-resource{path}");
            let answer = get(&portal, &asked, host).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            let metadata = json_of(&answer);
            assert_eq!(metadata["resource"], format!("{base}{path}"), "{host}");
            assert_eq!(metadata["authorization_servers"], json!(["https://proxy.example"]));
            assert_eq!(metadata["scopes_supported"], json!(["mcp"]));
            assert!(!answer.body.contains("evil"), "{}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_is_one_text_everywhere_and_its_endpoints_are_the_well_known_ones() {
    let portal = Portal::with(&["--public-url", "https://proxy.example/"]).await;
    let path = "/.well-known/oauth-authorization-server";
    let metadata = json_of(&get(&portal, path, "127.0.0.1").await);
    assert_eq!(metadata["issuer"], "https://proxy.example");
    for (name, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("registration_endpoint", "/register"),
        ("revocation_endpoint", "/revoke"),
    ] {
        assert_eq!(metadata[name], format!("https://proxy.example{path}"));
    }
    for (name, value) in [
        ("response_types_supported", json!(["code"])),
        ("grant_types_supported", json!(["authorization_code", "refresh_token"])),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("token_endpoint_auth_methods_supported", json!(["none"])),
        ("scopes_supported", json!(["mcp"])),
        ("client_id_metadata_document_supported", json!(true)),
        ("authorization_response_iss_parameter_supported", json!(true)),
    ] {
        assert_eq!(metadata[name], value, "{name}");
    }

    let local = Portal::start().await;
    let metadata = json_of(&get(&local, path, "localhost:8910").await);
    assert_eq!(metadata["issuer"], "http://localhost:8910", "as the client asked for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_stays_a_404_that_programs_can_read() {
    let portal = Portal::start().await;
    for path in [
        "/.well-known/oauth-authorization-server/api/v1/mcp/demo",
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/api/v1/mcp/demo",
        "/.well-known/oauth-protected-resource/api/v1/usage",
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resourceful",
        "/api/v1/mcp/demo/.well-known/openid-configuration",
        "/token/",
    ] {
        let answer = portal.visitor().get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(json_of(&answer)["error"]["code"], "route_not_found", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_origin_may_ask_and_none_with_cookies() {
    let portal = Portal::start().await;
    let visitor = portal.visitor();
    for (method, path, status) in [
        (Method::GET, "/.well-known/oauth-authorization-server", 200),
        (Method::GET, "/.well-known/oauth-protected-resource/api/v1/mcp/demo", 200),
        (Method::POST, "/register", 400),
        (Method::POST, "/token", 400),
        (Method::POST, "/revoke", 400),
        (Method::GET, "/token", 405),
    ] {
        let ask = |method: Method| {
            let request = visitor.client.request(method, format!("{}{path}", portal.url));
            request.header(ORIGIN, "https://app.example")
        };
        let answer = Page::read(ask(method).send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
        assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{path}");
        assert!(!answer.headers.contains_key("set-cookie"), "{path}");
        json_of(&answer);

        let preflight = ask(Method::OPTIONS)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "mcp-protocol-version, x-any");
        let answer = Page::read(preflight.send().await.unwrap()).await;
        assert!(answer.status.is_success(), "{path}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
        let allowed = &answer.headers["access-control-allow-headers"];
        assert_eq!(allowed, "mcp-protocol-version, x-any", "{path}");
    }
}
