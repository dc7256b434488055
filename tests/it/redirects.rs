//! Redirects of a backend: followed inside where they stay on the registered
//! origin and nothing is lost, else refused; never shown.

use serde_json::json;

use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::refusal::rpc;
use crate::harness::reply::{Reply, Request};
use crate::harness::{BACKEND_KEY, CALL, PING};

/// Redirects a request for `/mcp/{n}` to `/mcp/{n-1}`, and answers for `/mcp/0`.
fn countdown(request: &Request) -> Reply {
    let rest = request.target.rsplit('/').next().unwrap();
    match rest.parse::<u32>() {
        Ok(n) if n > 0 => {
            let status = if n % 2 == 0 { 307 } else { 308 };
            Reply::status(status).header("location", &format!("/mcp/{}", n - 1)).body("moved")
        }
        _ => Reply::to(request),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_are_followed_and_a_fourth_is_not() {
    let backend = Backend::answering(countdown).await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for hops in 1..=3 {
        let answer = ada.post(CALL).to(&format!("{DEMO}/{hops}")).header("mcp-name", "echo").await;
        assert_eq!((answer.status, answer.header("location")), (200, None), "{hops} hops");
        let requests = backend.requests();
        let asked = &requests[requests.len() - 1 - hops..];
        for (hop, request) in asked.iter().enumerate() {
            assert_eq!(request.target, format!("/mcp/{}", hops - hop));
            assert_eq!((request.method.as_str(), request.text()), ("POST", CALL));
            assert_eq!(request.header("api-key"), Some(BACKEND_KEY));
            assert_eq!(request.header("mcp-name"), Some("echo"));
        }
    }
    let before = backend.requests().len();
    let answer = ada.post(CALL).to(&format!("{DEMO}/4")).await;
    assert_eq!(rpc(&answer, 502, "backend_redirect", json!(7))["deployment"], "demo");
    assert_eq!(answer.header("location"), None);
    assert_eq!(backend.requests().len() - before, 4);
    assert_eq!(ada.used().await, 4, "however often it was redirected, a call counts once");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_and_delete_are_followed_too() {
    let backend = Backend::answering(|request| {
        if request.target == "/mcp/" {
            return Reply::status(307).header("location", "/mcp");
        }
        Reply::status(200).header("x-method", &request.method)
    });
    let backend = backend.await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url_of("/mcp/")).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    for method in ["GET", "DELETE", "POST"] {
        let answer = ada.ask(method, DEMO).await;
        assert_eq!((answer.status, answer.header("x-method")), (200, Some(method)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_way_the_registered_origin_is_written_it_is_followed() {
    let backend = Backend::answering(|request| {
        let host = request.header("host").unwrap();
        let location = match request.target.as_str() {
            "/mcp/absolute" => format!("http://{host}/done?a=%2F&b"),
            // Behind a TLS front a server says the other scheme of itself.
            "/mcp/scheme" => format!("https://{host}/done"),
            "/mcp/no-scheme" => format!("//{host}/done"),
            "/mcp/relative" => "done".into(),
            "/mcp/x/up" => "../done".into(),
            "/mcp/query" => "?q=1".into(),
            _ => return Reply::status(200).header("x-target", &request.target),
        };
        Reply::status(307).header("location", &location)
    });
    let backend = backend.await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for (asked, target) in [
        ("absolute", "/done?a=%2F&b"),
        ("scheme", "/done"),
        ("no-scheme", "/done"),
        ("relative", "/mcp/done"),
        ("x/up", "/mcp/done"),
    ] {
        let answer = ada.post(PING).to(&format!("{DEMO}/{asked}")).await;
        assert_eq!((answer.status, answer.header("x-target")), (200, Some(target)), "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn off_the_origin_or_by_another_method_is_refused() {
    let elsewhere = Backend::start().await;
    let other = elsewhere.addr;
    let locations = [
        (307, format!("http://{other}/mcp")),
        (308, format!("//{other}/mcp")),
        (307, format!("https://{other}/mcp")),
        (307, format!("http://localhost:{}/mcp", other.port())),
        (307, "ftp://127.0.0.1/mcp".into()),
        (301, "/mcp/good".into()),
        (302, "/mcp/good".into()),
        (303, "/mcp/good".into()),
        (300, "/mcp/good".into()),
    ];
    let count = locations.len();
    let backend = Backend::answering(move |request| {
        let number: Option<usize> = request.target.rsplit('/').next().unwrap().parse().ok();
        match number.and_then(|number| locations.get(number)) {
            Some((status, location)) => Reply::status(*status).header("location", location),
            // Another host on the same port.
            None if request.target == "/mcp/neighbour" => {
                let port = request.header("host").unwrap().rsplit(':').next().unwrap();
                Reply::status(307).header("location", &format!("http://127.0.0.2:{port}/mcp"))
            }
            None if request.target == "/mcp/nowhere" => Reply::status(307),
            None => Reply::to(request),
        }
    });
    let backend = backend.await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let targets =
        (0..count).map(|number| number.to_string()).chain(["nowhere".into(), "neighbour".into()]);
    for target in targets {
        for method in ["POST", "GET"] {
            let before = backend.requests().len();
            let answer = ada.ask_or_call(method, &format!("{DEMO}/{target}")).await;
            assert_eq!(answer.code(), "backend_redirect", "{method} {target}");
            assert_eq!(answer.header("location"), None);
            assert_eq!(backend.requests().len(), before + 1, "{method} {target}");
        }
    }
    assert_eq!(elsewhere.requests(), [], "no key goes to another origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_read_ahead_is_not_sent_twice() {
    let backend = Backend::answering(countdown).await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let big = format!(r#"{{"id":1,"method":"tools/call","params":"{}"}}"#, "x".repeat(70_000));
    let answer = ada.post(&big).to(&format!("{DEMO}/1")).await;
    assert_eq!(rpc(&answer, 502, "backend_redirect", json!(1))["deployment"], "demo");
    assert_eq!(backend.request().body.len(), big.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn not_modified_is_no_redirect() {
    let backend = Backend::answering(|_| {
        Reply::status(304).header("etag", "\"x\"").header("location", "/mcp").open()
    });
    let backend = backend.await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let answer = ada.ask("GET", DEMO).header("if-none-match", "\"x\"").await;
    assert_eq!((answer.status, answer.header("etag")), (304, Some("\"x\"")));
    assert_eq!(answer.header("location"), None);
    assert_eq!(backend.request().header("if-none-match"), Some("\"x\""));
}
