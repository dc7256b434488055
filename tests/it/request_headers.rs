//! What the backend gets: method, body and every end-to-end header, and a key
//! of its own.

use ai_proxy::catalog::resource::{Auth, Draft, KeyChange};

use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Request;
use crate::harness::{BACKEND_KEY, CALL, PING};

/// All headers, names in lower case, by name; those of one name in their order.
fn headers(request: &Request) -> Vec<(String, String)> {
    let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    let mut headers: Vec<_> = request.headers.iter().map(lower).collect();
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn just_the_end_to_end_headers_arrive() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut request = ada.post(CALL).header("x-request-id", "id-1");
    for (name, value) in [
        // Passed on.
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "echo"),
        ("Mcp-Param-City", "=?utf-8?b?w6k=?="),
        ("last-event-id", "7"),
        ("accept-encoding", "gzip, br"),
        ("user-agent", "it/1"),
        ("traceparent", "00-x"),
        ("x-many", "1"),
        ("x-many", "2"),
        ("x-empty", ""),
        ("x-text", "caf\u{e9} \t ok"),
        ("cache-control", "no-transform"),
        ("if-none-match", "\"x\""),
        // Kept back.
        ("host", "proxy.example"),
        ("connection", "keep-alive, X-Named"),
        ("Connection", "x-also-named,"),
        ("x-named", "x"),
        ("x-also-named", "x"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eA=="),
        ("proxy-authenticate", "Basic"),
        ("te", "trailers"),
        ("trailer", "x-sum"),
        ("upgrade", "websocket"),
        ("origin", "http://localhost:6274"),
        ("x-api-key", "secret"),
        ("authorization", "Bearer secret"),
        ("cookie", "a=b"),
        ("cookie", "c=d"),
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "h"),
        ("x-forwarded-anything", "x"),
        ("x-real-ip", "192.0.2.1"),
        ("x-ms-client-principal", "secret"),
        ("x-ms-client-principal-id", "secret"),
        ("X-MS-Client-Principal-Name", "secret"),
        ("X-MS-Token-AAD-Access-Token", "secret"),
        ("Cf-Access-Jwt-Assertion", "secret"),
        ("X-Amzn-Oidc-Data", "secret"),
        ("X-Goog-IAP-JWT-Assertion", "secret"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("X-HTTP-Method-Override", "DELETE"),
        // Servers that fold `_` to `-` would read these as what is checked or kept back.
        ("Mcp_Session_Id", "of-somebody-else"),
        ("Mcp-Session_Id", "of-somebody-else"),
        ("X_Forwarded_For", "192.0.2.1"),
        ("Api_Key", "secret"),
        ("x_anything", "x"),
    ] {
        request = request.header(name, value);
    }
    let answer = request.await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let got = backend.request();
    assert_eq!((got.method.as_str(), got.text()), ("POST", CALL));
    let length = CALL.len().to_string();
    let expected = [
        ("accept", "application/json, text/event-stream"),
        ("accept-encoding", "gzip, br"),
        ("api-key", BACKEND_KEY),
        ("cache-control", "no-transform"),
        ("content-length", &length),
        ("content-type", "application/json"),
        ("host", &backend.addr.to_string()),
        ("if-none-match", "\"x\""),
        ("last-event-id", "7"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "echo"),
        ("mcp-param-city", "=?utf-8?b?w6k=?="),
        ("mcp-protocol-version", "2026-07-28"),
        ("traceparent", "00-x"),
        ("user-agent", "it/1"),
        ("x-empty", ""),
        ("x-many", "1"),
        ("x-many", "2"),
        ("x-request-id", "id-1"),
        ("x-text", "caf\u{e9} \t ok"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(headers(&got), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_an_underscore_is_removed_and_counted() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    let id = proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    let dropped = || proxy.app().plane.dropped.of(&id);
    assert_eq!(ada.post(PING).await.status, 200);
    assert_eq!(dropped(), []);
    for _ in 0..2 {
        let request = ada.post(PING).header("Mcp_Session_Id", "x").header("X_Key", "1");
        assert_eq!(request.header("x_key", "2").await.status, 200);
    }
    assert!(backend.requests().iter().all(|got| !got.whole().contains("_")));
    assert_eq!(dropped(), [("mcp_session_id".to_owned(), 2), ("x_key".to_owned(), 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_added_to_a_get_or_delete() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    ada.get().header("x-request-id", "id-1").await;
    ada.ask("DELETE", DEMO).header("x-request-id", "id-2").await;
    let names =
        |request: &Request| headers(request).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let requests = backend.requests();
    assert_eq!(requests[0].method, "GET");
    assert_eq!(names(&requests[0]), ["accept", "api-key", "host", "x-request-id"]);
    assert_eq!(requests[1].method, "DELETE");
    assert_eq!(names(&requests[1]), ["api-key", "host", "x-request-id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expectation_is_met_by_the_proxy() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    let head = ada.ask("POST", DEMO).header("expect", "100-continue");
    let head = head.header("content-length", &PING.len().to_string()).head();
    wire.send(head).await.unwrap();
    assert_eq!(wire.next_status().await, 100, "the client waits for it with its body");
    wire.send(PING).await.unwrap();
    assert_eq!(wire.answer().await.unwrap().status, 200);
    assert_eq!(backend.request().header("expect"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_key_goes_where_the_resource_says() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    let with_key = KeyChange::Set("K1 of the backend".to_owned().into());
    for (deployment, auth, key) in [
        ("api-key", Auth::ApiKey, with_key.clone()),
        ("bearer", Auth::Bearer, with_key.clone()),
        ("named", "header:X-Functions-Key".parse().unwrap(), with_key.clone()),
        ("standard", "header:User-Agent".parse().unwrap(), with_key.clone()),
        ("folded", "header:X_Functions_Key".parse().unwrap(), with_key.clone()),
        ("none", Auth::None, with_key),
        ("keyless", Auth::ApiKey, KeyChange::Keep),
    ] {
        let draft = Draft {
            deployment: deployment.into(),
            endpoint: backend.url(),
            auth,
            key,
            ..Draft::default()
        };
        proxy.save(draft).await;
    }
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;

    for (deployment, header, value) in [
        ("api-key", "api-key", "K1 of the backend"),
        ("bearer", "authorization", "Bearer K1 of the backend"),
        ("named", "x-functions-key", "K1 of the backend"),
        ("standard", "user-agent", "K1 of the backend"),
        ("folded", "x_functions_key", "K1 of the backend"),
        ("none", "", ""),
        ("keyless", "", ""),
    ] {
        let request = ada
            .post(PING)
            .to(&format!("/api/v1/mcp/{deployment}"))
            .header("authorization", "Bearer of-the-client")
            .header("X-Functions-Key", "of-the-client")
            .header("x-functions-key", "of-the-client")
            .header("user-agent", "of-the-client");
        assert_eq!(request.await.status, 200);
        let got = backend.requests().pop().unwrap();
        let names =
            ["api-key", "authorization", "x-functions-key", "x_functions_key", "user-agent"];
        for name in names {
            let expected = match name {
                _ if name == header => vec![value],
                // A server may read this name as that of the key's header.
                "x-functions-key" if header == "x_functions_key" => vec![],
                "x-functions-key" => vec!["of-the-client", "of-the-client"],
                "user-agent" => vec!["of-the-client"],
                _ => vec![],
            };
            assert_eq!(got.headers(name), expected, "{deployment}: {name}");
        }
        let sent = format!("{:?} {}", got.headers, got.target);
        assert!(!sent.contains(&ada.key), "the attendee's key left the proxy");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attendees_key_stays_here_in_whichever_header_it_came() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let bearer = format!("Bearer {}", ada.key);
    for request in [
        proxy.ask("POST", DEMO).json(PING).header("authorization", &bearer),
        ada.post(PING).header("authorization", &bearer).header("x-api-key", &ada.key),
        ada.post(PING).header("connection", "close, api-key, authorization"),
    ] {
        assert_eq!(request.await.status, 200);
        let got = backend.requests().pop().unwrap();
        assert!(!format!("{:?}", got.headers).contains(&ada.key));
        assert_eq!(got.header("api-key"), Some(BACKEND_KEY));
        assert_eq!(got.header("authorization"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_on_the_schemes_own_port_and_ipv6_are_written_as_usual() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &format!("http://localhost:{}/mcp", backend.addr.port())).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    assert_eq!(ada.post(PING).await.status, 200);
    let expected = format!("localhost:{}", backend.addr.port());
    assert_eq!(backend.request().header("host"), Some(expected.as_str()));
}
