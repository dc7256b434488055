//! What the client gets: status, body and every end-to-end header, but nothing
//! by which a backend could act on the proxy's own origin.

use crate::harness::PING;
use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::wire::Answer;

/// The names of all headers, save those the proxy puts on every answer.
fn names(answer: &Answer) -> Vec<&str> {
    let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.retain(|name| {
        !name.starts_with("x-ratelimit-") && !matches!(*name, "x-request-id" | "date")
    });
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn just_the_end_to_end_headers_arrive() {
    let backend = Backend::answering(|_| {
        let mut reply = Reply::json(r#"{"any":"body"}"#);
        for (name, value) in [
            ("mcp-session-id", "s-1"),
            ("mcp-protocol-version", "2025-11-25"),
            ("retry-after", "3"),
            ("etag", "\"x\""),
            ("x-many", "1"),
            ("x-many", "2"),
            ("x-text", "caf\u{e9}"),
            ("vary", "accept"),
            ("server", "uvicorn"),
            ("content-language", "de"),
            ("allow", "POST"),
            // Kept back.
            ("connection", "keep-alive, X-Named"),
            ("x-named", "x"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("proxy-connection", "x"),
            ("upgrade", "h2c"),
            ("te", "x"),
            ("trailer", "x"),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("www-authenticate", "Bearer resource_metadata=\"http://backend/\""),
            ("alt-svc", "h3=\":443\""),
            ("strict-transport-security", "max-age=1"),
            ("clear-site-data", "\"*\""),
            ("content-location", "/x"),
            ("link", "<http://backend/>; rel=next"),
            ("refresh", "0; url=http://backend/"),
            ("location", "http://backend/"),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "*"),
            ("nel", "{\"report_to\":\"x\"}"),
            ("report-to", "{\"group\":\"x\"}"),
            ("reporting-endpoints", "x=\"http://backend/\""),
            ("accept-ch", "Sec-CH-UA-Model"),
            ("service-worker-allowed", "/"),
            ("x-accel-redirect", "/internal"),
            ("x-accel-buffering", "yes"),
            ("x-error-source", "proxy"),
        ] {
            reply = reply.header(name, value);
        }
        reply
    })
    .await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let answer = ada.post(PING).await;
    assert_eq!((answer.status, answer.text()), (200, r#"{"any":"body"}"#));
    assert_eq!(
        names(&answer),
        [
            "allow",
            "cache-control",
            "content-language",
            "content-length",
            "content-type",
            "etag",
            "mcp-protocol-version",
            "mcp-session-id",
            "retry-after",
            "server",
            "vary",
            "x-many",
            "x-many",
            "x-text",
        ]
    );
    assert_eq!(answer.header("mcp-session-id"), Some("s-1"));
    assert_eq!(answer.header("retry-after"), Some("3"));
    assert_eq!(answer.headers("x-many"), ["1", "2"]);
    assert_eq!(answer.header("x-text"), Some("caf\u{e9}"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backends_status_and_body_pass_whatever_they_are() {
    let statuses = [200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 409, 421, 429, 500, 503];
    let backend = Backend::answering(|request| {
        let status: u16 = request.target.rsplit('/').next().unwrap().parse().unwrap();
        let reply = Reply::status(status)
            .header("content-type", "text/plain")
            .header("www-authenticate", "Bearer")
            .header("x-error-source", "nobody");
        if matches!(status, 204 | 304) { reply.open() } else { reply.body("as it was") }
    })
    .await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for status in statuses {
        for method in ["GET", "POST", "DELETE"] {
            let answer = ada.ask(method, &format!("{DEMO}/{status}")).await;
            let body = if matches!(status, 204 | 304) { "" } else { "as it was" };
            assert_eq!((answer.status, answer.text()), (status, body), "{method}");
            let source = (status >= 400).then_some("backend");
            assert_eq!(answer.header("x-error-source"), source, "{status}");
            assert_eq!(answer.header("www-authenticate"), None);
            assert_eq!(answer.header("content-type"), Some("text/plain"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shared_cache_may_keep_an_answer() {
    let cases = [
        ("public, max-age=60", "private, max-age=60"),
        ("max-age=60 , PUBLIC", "max-age=60, private"),
        ("no-cache", "no-cache"),
        ("private, max-age=5", "private, max-age=5"),
        ("no-store, no-transform", "no-store, no-transform"),
        ("x-public, max-age=1", "x-public, max-age=1"),
    ];
    let backend = Backend::answering(move |request| {
        let number: usize = request.target.rsplit('/').next().unwrap().parse().unwrap();
        let reply = Reply::json("{}").header("expires", "0");
        reply.header("cache-control", cases[number].0)
    })
    .await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for (number, (sent, given)) in cases.into_iter().enumerate() {
        let answer = ada.post(PING).to(&format!("{DEMO}/{number}")).await;
        assert_eq!(answer.header("cache-control"), Some(given), "{sent}");
        assert_eq!(answer.header("expires"), Some("0"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn informational_answers_stay_between_proxy_and_backend() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(PING).send().await;
    let (mut visit, request) = visits.request().await;
    visit.write("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n").await;
    visit.reply(Reply::to(&request)).await;
    assert_eq!(wire.next_status().await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_belong_to_the_hop() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(PING).send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    visit.write("2\r\n{}\r\n0\r\nx-sum: secret\r\n\r\n").await;
    wire.head().await.unwrap();
    wire.hears("{}").await;
    wire.ends().await;
}
