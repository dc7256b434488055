//! What the probe says of servers that work and of those that do not.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ai_proxy::config::EndpointPolicy;
use ai_proxy::probe::{self, Failure, ProbeTarget, Report, check};
use http::{HeaderName, HeaderValue, Response};
use url::Url;

use crate::fake::{self, Asked, Fake, Reply};

fn target(url: Url) -> ProbeTarget {
    // Set once for the process; a second time is refused and harmless.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    ProbeTarget {
        url,
        credential: None,
        policy: EndpointPolicy::Any,
        connect_timeout: Duration::from_secs(5),
        answer_timeout: Duration::from_secs(5),
    }
}

pub fn with_key(url: Url, key: &str) -> ProbeTarget {
    let credential = (HeaderName::from_static("api-key"), HeaderValue::from_str(key).unwrap());
    ProbeTarget { credential: Some(credential), ..target(url) }
}

async fn works(target: &ProbeTarget) -> Report {
    check(target).await.unwrap_or_else(|failure| panic!("{failure}"))
}

/// The failure's code and its sentence, with the port of this run taken out.
async fn fails(target: &ProbeTarget) -> (&'static str, String) {
    let failure = check(target).await.expect_err("the server cannot be used");
    let port = target.url.port().map(|port| format!(":{port}")).unwrap_or_default();
    (failure.code(), failure.to_string().replace(&port, ":PORT"))
}

async fn fails_at(
    server: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (&'static str, String) {
    let fake = Fake::start(server).await;
    fails(&target(fake.url("/mcp"))).await
}

#[tokio::test]
async fn a_server_with_sessions_is_opened_listed_and_left() {
    let fake = Fake::start(|asked| fake::guarded("s3cret", asked, fake::legacy)).await;
    let report = works(&with_key(fake.url("/mcp"), "s3cret")).await;
    assert_eq!(report.server.name, "Demo MCP Server");
    assert_eq!(report.server.version, "1.2.3");
    assert_eq!(report.protocol_version, "2025-11-25");
    assert_eq!(report.tools, ["echo", "get_current_utc_time"]);
    assert_eq!(
        *fake.asked.lock(),
        [
            "POST /mcp initialize",
            "POST /mcp notifications/initialized",
            "POST /mcp tools/list",
            "POST /mcp tools/list",
            "POST /mcp initialize"
        ]
    );
    // It gave one session twice. To end that would end everybody's.
    assert_eq!(*report.constant_session.unwrap(), "5e55");
}

/// A server that gives each session an id of its own.
fn counting(asked: &Asked, count: &AtomicU32) -> Reply {
    let result = match asked.rpc() {
        "initialize" => {
            serde_json::json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}})
        }
        _ => serde_json::json!({"tools": []}),
    };
    let id = &asked.message["id"];
    let mut reply =
        fake::json(200, &serde_json::json!({"jsonrpc": "2.0", "id": id, "result": result}));
    if asked.rpc() == "initialize" {
        let n = count.fetch_add(1, Ordering::Relaxed);
        reply.headers_mut().insert("mcp-session-id", format!("s-{n}").parse().unwrap());
        let cookie = format!("lb={n}; Path=/; HttpOnly");
        reply.headers_mut().insert("set-cookie", cookie.parse().unwrap());
    } else {
        let session = asked.header("mcp-session-id").unwrap();
        let cookie = asked.header("cookie").unwrap();
        assert_eq!(session.strip_prefix("s-"), cookie.strip_prefix("lb="), "its own cookies");
    }
    reply
}

#[tokio::test]
async fn both_sessions_of_a_server_are_ended_where_they_are_two() {
    let count = AtomicU32::new(0);
    let fake = Fake::start(move |asked| counting(asked, &count)).await;
    assert_eq!(works(&target(fake.url("/mcp"))).await.constant_session, None);
    let asked = fake.asked.lock();
    assert_eq!(asked.iter().filter(|asked| *asked == "DELETE /mcp ").count(), 2, "{asked:?}");
}

#[tokio::test]
async fn two_sessions_are_opened_to_find_a_constant_one() {
    let fake = Fake::start(fake::legacy).await;
    let constant = probe::constant_session(&target(fake.url("/mcp"))).await.unwrap();
    assert_eq!(constant.unwrap(), "5e55");
    assert_eq!(*fake.asked.lock(), ["POST /mcp initialize", "POST /mcp initialize"]);
    let count = AtomicU32::new(0);
    let fake = Fake::start(move |asked| counting(asked, &count)).await;
    assert_eq!(probe::constant_session(&target(fake.url("/mcp"))).await.unwrap(), None);
    let fake = Fake::start(fake::modern).await;
    assert_eq!(probe::constant_session(&target(fake.url("/mcp"))).await.unwrap(), None);
}

#[tokio::test]
async fn a_server_without_sessions_is_discovered() {
    let fake = Fake::start(fake::modern).await;
    let report = works(&target(fake.url("/mcp"))).await;
    assert_eq!((report.server.name.as_str(), report.server.version.as_str()), ("Modern", "9"));
    assert_eq!(report.protocol_version, "2026-07-28");
    assert_eq!(report.tools, ["echo", "get_current_utc_time"]);
}

#[tokio::test]
async fn a_server_without_tools_works() {
    let fake = Fake::start(|asked| {
        let result = serde_json::json!({"protocolVersion": "2025-03-26", "capabilities": {}});
        let body =
            serde_json::json!({"jsonrpc": "2.0", "id": asked.message["id"], "result": result});
        fake::json(200, &body)
    });
    let report = works(&target(fake.await.url("/"))).await;
    assert!(report.tools.is_empty());
}

#[tokio::test]
async fn a_wrong_or_a_missing_key_is_told_apart_and_not_shown() {
    let fake = Fake::start(|asked| fake::guarded("s3cret", asked, fake::legacy)).await;
    let (code, wrong) = fails(&with_key(fake.url("/mcp"), "not-the-key")).await;
    assert_eq!(code, "unauthorized");
    insta::assert_snapshot!(wrong, @"401 from backend: it does not accept the key registered for this resource, which was sent in the header api-key");
    let (_, missing) = fails(&target(fake.url("/mcp"))).await;
    insta::assert_snapshot!(missing, @"401 from backend: it asks for a key and none is registered for this resource");
}

#[tokio::test]
async fn what_the_backend_says_is_shown_without_the_key_and_control_characters() {
    let server = |asked: &Asked| {
        let key = asked.header("authorization").unwrap_or_default().to_owned();
        fake::rpc_error(400, asked, -32000, &format!("\u{1b}[31mI dislike {key}!\nTruly"))
    };
    let fake = Fake::start(server).await;
    let credential = (http::header::AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
    let target = ProbeTarget { credential: Some(credential), ..target(fake.url("/mcp")) };
    let (code, said) = fails(&target).await;
    assert_eq!(code, "protocol");
    insta::assert_snapshot!(said, @"the MCP server refused initialize: [31mI dislike Bearer …!Truly (code -32000)");
}

#[tokio::test]
async fn the_path_that_would_work_is_named() {
    let fake = Fake::start(|asked| fake::only_at("/mcp", asked, fake::legacy)).await;
    for path in ["/", "/wrong", "/api/"] {
        let (code, said) = fails(&target(fake.url(path))).await;
        assert_eq!(code, "wrong_path");
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.replace(&format!("at {path},"), "at PATH,"), @"wrong path: nothing speaks MCP at PATH, but /mcp does; put /mcp into the endpoint URL");
        }
    }
    let deep = Fake::start(|asked| fake::only_at("/a/mcp", asked, fake::modern)).await;
    let failure = check(&target(deep.url("/a"))).await.unwrap_err();
    assert!(matches!(failure, Failure::WrongPath { works, .. } if works == "/a/mcp"));
}

#[tokio::test]
async fn a_path_that_gives_no_answer_is_not_said_to_be_wrong() {
    let fake = Fake::start(|asked| match &*asked.path {
        "/mcp" => fake::reply(503, "text/plain", "Busy"),
        _ => fake::reply(404, "text/plain", "Not Found"),
    })
    .await;
    let (code, said) = fails(&target(fake.url("/wrong"))).await;
    assert_eq!(code, "not_found");
    insta::assert_snapshot!(said, @"404 from backend: nothing is at /wrong; check the path of the endpoint URL (whether /mcp is the right one could not be told: 503 from backend: it is there, but it does not work now)");
}

#[tokio::test]
async fn a_site_without_mcp_is_told_as_it_is() {
    let (code, nothing) = fails_at(|_| fake::reply(404, "text/plain", "Not Found")).await;
    assert_eq!(code, "not_found");
    insta::assert_snapshot!(nothing, @"404 from backend: nothing is at /mcp; check the path of the endpoint URL");
    let (code, page) = fails_at(|_| fake::reply(200, "text/html; charset=utf-8", "<html>")).await;
    assert_eq!(code, "not_mcp");
    insta::assert_snapshot!(page, @"not an MCP endpoint: it answered 200 with a web page");
    let (code, other) = fails_at(|_| fake::json(200, &serde_json::json!({"ok": true}))).await;
    assert_eq!(code, "not_mcp");
    insta::assert_snapshot!(other, @"not an MCP endpoint: it answered 200 with JSON that is not JSON-RPC");
}

#[tokio::test]
async fn the_older_transport_is_recognised() {
    let server = |asked: &Asked| match asked.method {
        http::Method::GET => fake::open_stream("event: endpoint\ndata: /messages?s=1\n\n".into()),
        _ => fake::reply(405, "text/plain", "Method Not Allowed"),
    };
    let fake = Fake::start(server).await;
    let (code, said) = fails(&target(fake.url("/sse"))).await;
    assert_eq!(code, "sse_only");
    insta::assert_snapshot!(said, @"an MCP server of the older HTTP+SSE transport: only Streamable HTTP can be proxied");
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed() {
    // Behind a TLS front a server names itself by another scheme and no port.
    for to in ["/mcp", "https://127.0.0.1/mcp"] {
        let fake = Fake::start(move |asked| match asked.path.as_str() {
            "/mcp/" => redirect(307, to),
            _ => fake::only_at("/mcp", asked, fake::legacy),
        });
        let report = works(&target(fake.await.url("/mcp/"))).await;
        assert_eq!(report.tools.len(), 2);
    }
}

#[tokio::test]
async fn a_redirect_elsewhere_is_named_and_gets_no_key() {
    let other = Fake::start(fake::legacy).await;
    let to = format!("http://localhost:{}/mcp", other.addr.port());
    let fake = Fake::start(move |_| redirect(307, &to)).await;
    let (code, said) = fails(&with_key(fake.url("/mcp"), "s3cret")).await;
    assert_eq!(code, "redirect");
    assert!(said.contains("http://localhost:"), "{said}");
    assert!(other.asked.lock().is_empty());

    let (code, _) = fails_at(|_| redirect(302, "/login")).await;
    assert_eq!(code, "redirect");
    let (code, circle) = fails_at(|_| redirect(308, "/mcp")).await;
    assert_eq!(code, "redirect_loop");
    insta::assert_snapshot!(circle, @"it redirects again and again; register the URL where that ends");
}

fn redirect(status: u16, to: &str) -> Reply {
    let mut reply: Response<_> = fake::reply(status, "text/plain", "");
    reply.headers_mut().insert("location", to.parse().unwrap());
    reply
}

#[tokio::test]
async fn a_backend_in_trouble_is_told_from_a_wrong_one() {
    let (code, said) = fails_at(|_| fake::reply(502, "text/html", "Bad Gateway")).await;
    assert_eq!(code, "backend_error");
    insta::assert_snapshot!(said, @"502 from backend: it is there, but it does not work now");
    let (code, said) = fails_at(|_| fake::reply(421, "text/plain", "Invalid Host header")).await;
    assert_eq!(code, "host_refused");
    insta::assert_snapshot!(said, @"421 from backend: the MCP server does not answer to the host name 127.0.0.1:PORT; allow that name in its settings");
}

#[tokio::test]
async fn a_refused_connection_is_said_so() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", free.local_addr().unwrap());
    drop(free);
    let (code, said) = fails(&target(url.parse().unwrap())).await;
    assert_eq!(code, "refused");
    insta::assert_snapshot!(said, @"127.0.0.1:PORT refused the connection: is the MCP server running, and on this port?");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_said_so() {
    let (code, said) = fails(&target("http://mcp.invalid:8000/mcp".parse().unwrap())).await;
    assert_eq!(code, "dns");
    insta::assert_snapshot!(said, @"the name mcp.invalid cannot be resolved: check its spelling and this machine's DNS");
}

#[tokio::test]
async fn a_metadata_address_is_refused_before_connecting() {
    for url in ["http://169.254.169.254:80/mcp", "http://[::ffff:169.254.169.254]/mcp"] {
        let (code, _) = fails(&target(url.parse().unwrap())).await;
        assert_eq!(code, "address_refused", "{url}");
    }
    let fake = Fake::start(fake::legacy).await;
    let (code, _) =
        fails(&ProbeTarget { policy: EndpointPolicy::Public, ..target(fake.url("/mcp")) }).await;
    assert_eq!(code, "address_refused");
    assert!(fake.asked.lock().is_empty());
}

#[tokio::test]
async fn tls_that_fails_says_why() {
    let fake = Fake::start_tls(fake::legacy).await;
    let https = |host: &str, port| format!("https://{host}:{port}/mcp").parse().unwrap();
    let (code, untrusted) = fails(&target(https("localhost", fake.addr.port()))).await;
    assert_eq!(code, "tls");
    insta::assert_snapshot!(untrusted, @"TLS with localhost:PORT failed: its certificate is not signed by an authority that this machine trusts");

    let plain = Fake::start(fake::legacy).await;
    let (code, not_tls) = fails(&target(https("127.0.0.1", plain.addr.port()))).await;
    assert_eq!(code, "tls");
    insta::assert_snapshot!(not_tls, @"TLS with 127.0.0.1:PORT failed: that port does not speak TLS: should the endpoint URL begin with http://?");

    let (code, not_http) = fails(&target(fake.url("/mcp"))).await;
    assert_eq!(code, "broken");
    insta::assert_snapshot!(not_http, @"the connection broke before an answer: it is not HTTP; should the endpoint URL begin with https://?");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let fake = Fake::start(|_| fake::open_stream(": still thinking\n\n".into())).await;
    let target =
        ProbeTarget { answer_timeout: Duration::from_millis(200), ..target(fake.url("/mcp")) };
    let (code, said) = fails(&target).await;
    assert_eq!(code, "timed_out");
    insta::assert_snapshot!(said, @"the answer took longer than 0.2 s");
}
