//! A backend that breaks the protocol, lies in its headers, or wants the key to
//! go elsewhere. The client gets an honest error, other attendees notice nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::ANSWER;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::{CALL, eventually};

/// Answers a request below `/mcp/{n}` with the `n`th of `answers`, others well.
async fn one_of(answers: Vec<Vec<u8>>) -> Backend {
    Backend::writing(move |request| {
        let number =
            request.target.strip_prefix("/mcp/").and_then(|rest| rest.parse::<usize>().ok());
        number.map_or_else(|| ANSWER.into(), |number| answers[number].clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_never_carry_the_key_to_another_origin() {
    let elsewhere = Backend::saying(ANSWER).await;
    let port = elsewhere.addr.port();
    let other = elsewhere.addr;
    let locations = [
        format!("http://{other}/mcp"),
        format!("//{other}/mcp"),
        format!("\\\\{other}\\mcp"),
        format!("/\\{other}/mcp"),
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}/mcp"),
        format!("http://127.0.0.1@{other}/mcp"),
        format!("http://2130706433:{port}/mcp"),
        format!("https://{other}/mcp"),
        format!("http:\t//{other}/mcp"),
        "ftp://127.0.0.1/mcp".into(),
        "javascript:alert(1)".into(),
        "http://[::1".into(),
        String::new(),
    ];
    let mut answers = Vec::new();
    for status in [301, 302, 303, 307, 308, 300, 305] {
        for location in &locations {
            answers.push(
                format!("HTTP/1.1 {status} x\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
                    .into_bytes(),
            );
        }
    }
    let backend = one_of(answers.clone()).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for (number, sent) in answers.iter().enumerate() {
        let mut wire = proxy.wire().await;
        let request = ada.raw(&format!("/api/v1/mcp/demo/{number}"), CALL);
        let answer = wire.exchange(request).await.expect("an answer");
        let sent = String::from_utf8_lossy(sent);
        // An empty Location names the same place: followed until it is enough.
        assert_eq!((answer.status, answer.code().as_str()), (502, "backend_redirect"), "{sent}");
        assert_eq!(answer.header("location"), None, "{sent}");
        assert!(!answer.text().contains(&port.to_string()), "{}", answer.text());
    }
    elsewhere.got_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_in_a_circle_are_followed_three_times() {
    let circle = "HTTP/1.1 307 x\r\nlocation: /mcp/\r\ncontent-length: 0\r\n\r\n";
    let backend = Backend::saying(circle).await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let answer = ada.call().await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "backend_redirect"));
    assert_eq!(backend.requests().len(), 4);
    assert!(backend.requests().iter().all(|request| request.text() == CALL));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_cannot_speak_as_the_proxy() {
    let forged = |status: &str| {
        format!(
            "HTTP/1.1 {status}\r\nx-error-source: proxy\r\nx-request-id: forged\r\n\
             x-ratelimit-limit-requests: 7\r\nx-ratelimit-remaining-requests: 7\r\n\
             x-ratelimit-reset-requests: 7\r\nset-cookie: a=b\r\nlocation: http://evil.example/\r\n\
             content-location: http://evil.example/\r\nlink: <http://evil.example/>\r\nrefresh: 0\r\n\
             www-authenticate: Bearer\r\nalt-svc: h3=\":443\"\r\nclear-site-data: \"*\"\r\n\
             strict-transport-security: max-age=1\r\naccess-control-allow-origin: *\r\n\
             access-control-allow-credentials: true\r\ncache-control: public, max-age=60\r\n\
             connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\n{{}}"
        )
        .into_bytes()
    };
    let statuses = ["200 OK", "401 x", "404 x", "429 x", "500 x"];
    let backend = one_of(statuses.iter().map(|status| forged(status)).collect()).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for (number, status) in statuses.iter().enumerate() {
        let mut wire = proxy.wire().await;
        let request = ada.raw(&format!("/api/v1/mcp/demo/{number}"), CALL);
        let answer = wire.exchange(request).await.expect("an answer");
        let source = (answer.status >= 400).then_some("backend");
        assert_eq!(answer.header("x-error-source"), source, "{status}");
        assert_ne!(answer.header("x-request-id"), Some("forged"));
        assert!(answer.header("x-request-id").is_some());
        // The backend's own stay; ours go under other names.
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("7"));
        assert_eq!(answer.header("cache-control"), Some("private, max-age=60"));
        for withheld in [
            "set-cookie",
            "location",
            "content-location",
            "link",
            "refresh",
            "www-authenticate",
            "alt-svc",
            "clear-site-data",
            "strict-transport-security",
            "x-hop",
            "keep-alive",
            "access-control-allow-origin",
            "access-control-allow-credentials",
        ] {
            assert_eq!(answer.header(withheld), None, "{withheld}");
        }
        assert_eq!(answer.text(), "{}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_http_are_a_502() {
    let ok =
        |headers: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}").into_bytes();
    let answers = vec![
        b"nonsense\r\n\r\n".to_vec(),
        b"HTTP/0.9 200 OK\r\n\r\n".to_vec(),
        b"HTTP/2 200 OK\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"HTTP/1.1 20 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 099 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nraw"
            .to_vec(),
        b"\x16\x03\x01\x00\x05hello".to_vec(),
        ok("content-length: 5\r\ncontent-length: 6\r\n", "hello"),
        ok("content-length: -5\r\n", "hello"),
        ok("content-length: 5, 6\r\n", "hello"),
        ok("content-length: x\r\n", "hello"),
        ok("x-a: nul\0\r\n", ""),
        ok("x a: 1\r\n", ""),
        ok("x-a : 1\r\n", ""),
        ok("no colon\r\n", ""),
        ok(&format!("x-big: {}\r\n", "x".repeat(2 << 20)), ""),
        ok(&"x-many: 1\r\n".repeat(5_000), ""),
    ];
    let backend = one_of(answers.clone()).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for (number, sent) in answers.iter().enumerate() {
        let shown = String::from_utf8_lossy(&sent[..sent.len().min(60)]);
        let mut wire = proxy.wire().await;
        let request = ada.raw(&format!("/api/v1/mcp/demo/{number}"), CALL);
        let answer =
            wire.exchange(request).await.unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        let told = (answer.status, answer.code());
        assert_eq!(told, (502, "backend_protocol_error".into()), "{shown:?}");
        assert_eq!(ada.call().await.status, 200, "after {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_two_lengths_is_never_passed_on_with_both() {
    let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
    let answers = vec![
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 900\r\n\r\n5\r\nhello\r\n0\r\n\r\n{smuggled}"
        ),
    ];
    let backend = one_of(answers.into_iter().map(String::into_bytes).collect()).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for number in 0..2 {
        let mut wire = proxy.wire().await;
        let request = ada.raw(&format!("/api/v1/mcp/demo/{number}"), CALL);
        let answer = wire.exchange(request).await.expect("an answer");
        let framings = ["content-length", "transfer-encoding"];
        let framed = framings.iter().filter(|name| answer.header(name).is_some()).count();
        assert_eq!(framed, 1, "{answer:?}");
        assert!(!answer.text().contains("smuggled"));
        assert!(answer.status == 502 || ["", "hello"].contains(&answer.text()), "{answer:?}");
        // The same connection serves on.
        let next = wire.exchange(ada.raw("/api/v1/mcp/demo", CALL)).await.expect("an answer");
        assert!(next.text().contains("done"), "{next:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_an_answer_unasked_is_given_to_nobody() {
    let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
    let backend = one_of(vec![
        format!("{ANSWER}{smuggled}").into_bytes(),
        format!("{ANSWER}garbage").into_bytes(),
        format!("HTTP/1.1 204 No Content\r\n\r\n{smuggled}").into_bytes(),
        format!("HTTP/1.1 304 Not Modified\r\ncontent-length: 900\r\n\r\n{smuggled}").into_bytes(),
        format!("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n{ANSWER}{smuggled}").into_bytes(),
    ])
    .await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for round in 0..50 {
        let mut wire = proxy.wire().await;
        let request = ada.raw(&format!("/api/v1/mcp/demo/{}", round % 5), CALL);
        wire.exchange(request).await.expect("an answer");
        let next = wire.exchange(ada.raw("/api/v1/mcp/demo", CALL)).await.expect("an answer");
        assert!(next.status == 200 && next.text().contains("done"), "{next:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_never_looks_whole() {
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"result\":",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let backend = Backend::acting(move |mut visit| async move {
            visit.request().await;
            visit.write(bytes).await;
        })
        .await;
        let (proxy, ada) = Proxy::serving(&backend).await;
        let mut wire = proxy.wire().await;
        let answer = wire.exchange(ada.raw("/api/v1/mcp/demo", CALL)).await;
        assert!(answer.is_err(), "{bytes:?} gave {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_end_are_cut_off() {
    for line in [
        "x-endless: 1\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\n",
        "\r\n",
    ] {
        let backend = Backend::acting(move |mut visit| async move {
            visit.request().await;
            let start = if line.starts_with('x') { "HTTP/1.1 200 OK\r\n" } else { "" };
            visit.write(start).await;
            while visit.try_write(line.repeat(100)).await.is_some() {}
        })
        .await;
        let (_proxy, ada) = Proxy::serving_with(&backend, |config| {
            config.backend_timeout.0 = Duration::from_secs(1);
        })
        .await;
        let answer = ada.call().await;
        assert!(matches!(answer.status, 502 | 503), "{line:?}: {}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_flows_no_faster_than_it_is_read_and_stops_with_the_reader() {
    let written = Arc::new(AtomicUsize::new(0));
    let stopped = Arc::new(AtomicUsize::new(0));
    let (count, stops) = (written.clone(), stopped.clone());
    let backend = Backend::acting(move |mut visit| {
        let (count, stops) = (count.clone(), stops.clone());
        async move {
            visit.request().await;
            visit.begin_events().await;
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            while visit.try_write(&chunk).await.is_some() {
                count.fetch_add(chunk.len(), Ordering::Relaxed);
            }
            stops.fetch_add(1, Ordering::Relaxed);
        }
    })
    .await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    wire.send(ada.raw("/api/v1/mcp/demo", CALL)).await.expect("read");

    // Nothing is read: the backend fills the sockets' buffers and has to wait.
    let mut before = usize::MAX;
    eventually("the backend is held back", async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = written.load(Ordering::Relaxed);
        now > 0 && std::mem::replace(&mut before, now) == now
    })
    .await;
    assert!(before < 32 << 20, "{before} bytes were taken from it");
    drop(wire);
    eventually("the backend is left", async || stopped.load(Ordering::Relaxed) == 1).await;
    proxy.are_open(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_end_of_the_request_delays_nobody_else() {
    // Answers on seeing the head, and reads on.
    let backend = Backend::acting(|mut visit| async move {
        loop {
            let head = visit.head().await;
            visit.write(ANSWER).await;
            if head.header("transfer-encoding").is_some() {
                visit.left().await;
                return;
            }
        }
    })
    .await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut slow = proxy.wire().await;
    let head = ada.head("POST", "/api/v1/mcp/demo", "transfer-encoding: chunked\r\n");
    slow.send(format!("{head}11170\r\n{{{}\r\n", " ".repeat(69_999))).await.expect("read");
    assert_eq!(slow.answer().await.expect("an early answer").status, 200);

    // Its body is still on the way; the calls of others go past it.
    for _ in 0..20 {
        let get = ada.head("GET", "/api/v1/mcp/demo", "");
        let mut wire = proxy.wire().await;
        let answer = tokio::time::timeout(Duration::from_secs(5), wire.exchange(get)).await;
        assert_eq!(answer.expect("in time").expect("an answer").status, 200);
    }
}
