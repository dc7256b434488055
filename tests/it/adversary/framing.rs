//! Requests whose end could be seen in two places (RFC 9112 §11.2), and what
//! must not be read as a request at all.

use super::ANSWER;
use crate::harness::CALL;
use crate::harness::attendee::Attendee;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;

/// A request that the proxy must never see as one: it hides in another's body.
fn hidden(ada: &Attendee) -> String {
    format!("GET /api/v1/mcp/demo/hidden HTTP/1.1\r\nhost: x\r\napi-key: {}\r\n\r\n", ada.key)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_two_ends_are_refused_and_reach_nobody() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let length = CALL.len();
    for framing in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        format!("Transfer-Encoding:\tchunked\r\ncontent-length: {length}\r\n"),
        format!("content-length: {length}\r\ncontent-length: 0\r\n"),
        format!("content-length: 0\r\ncontent-length: {length}\r\n"),
        format!("content-length: {length}\r\ncontent-length: {length}\r\n"),
        format!("content-length: {length}, {length}\r\n"),
        format!("content-length: {length}, 0\r\n"),
        format!("content-length: +{length}\r\n"),
        format!("content-length: -{length}\r\n"),
        format!("content-length: 0x{length:x}\r\n"),
        "content-length: 99999999999999999999\r\n".into(),
        "content-length: \r\n".into(),
        "transfer-encoding: identity\r\n".into(),
        "transfer-encoding: gzip\r\n".into(),
        "transfer-encoding: chunked, identity\r\n".into(),
        "transfer-encoding: xchunked\r\n".into(),
        "transfer-encoding: \x0bchunked\r\n".into(),
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n".into(),
        "transfer-encoding : chunked\r\n".into(),
        format!("content-length : {length}\r\n"),
        format!(" content-length: {length}\r\n"),
        format!("content-length\r\n: {length}\r\n"),
    ] {
        let head = ada.head("POST", "/api/v1/mcp/demo", &framing);
        // Whichever end is believed, the hidden request would come next. The
        // second time it all comes behind a good request, in the same packet.
        for before in ["", &ada.head("GET", "/api/v1/usage", "")] {
            let mut wire = proxy.wire().await;
            let sent = format!("{before}{head}0\r\n\r\n{}{CALL}", hidden(&ada));
            // The proxy may hang up before all of it is written.
            let _ = wire.send(sent).await;
            if !before.is_empty() {
                assert_eq!(wire.answer().await.expect("an answer").status, 200);
            }
            let answer = wire.answer().await.unwrap_or_else(|error| panic!("{framing:?}: {error}"));
            assert_eq!(answer.status, 400, "{framing:?}");
            wire.hung_up(&framing).await;
        }
    }
    backend.got_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_protocol_version_has_no_chunks() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    let head = ada.head("POST", "/api/v1/mcp/demo", "transfer-encoding: chunked\r\n");
    let head = head.replace("HTTP/1.1", "HTTP/1.0");
    let answer = wire.exchange(format!("{head}0\r\n\r\n{}", hidden(&ada))).await;
    assert_eq!(answer.expect("an answer").status, 400);
    wire.hung_up("HTTP/1.0").await;
    backend.got_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_parsers_read_differently_are_refused() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let length = format!("content-length: {}\r\n", CALL.len());
    for odd in [
        "x-a: 1\n",
        "x-a: 1\nx-b: 2\r\n",
        "x-a: 1\n\r\n",
        "x-a: 1\rx-b: 2\r\n",
        "x-a: 1\r\n folded\r\n",
        "x-a: 1\r\n\tfolded\r\n",
        "x-a: nul\0\r\n",
        "x-a: bell\x07\r\n",
        "x-a: delete\x7f\r\n",
        "x-\0a: 1\r\n",
        "x a: 1\r\n",
        ": 1\r\n",
        "x-a\r\n",
    ] {
        let mut wire = proxy.wire().await;
        let head = ada.head("POST", "/api/v1/mcp/demo", &format!("{odd}{length}"));
        let _ = wire.send(format!("{head}{CALL}")).await;
        let answer = wire.answer().await.unwrap_or_else(|error| panic!("{odd:?}: {error}"));
        assert_eq!(answer.status, 400, "{odd:?}");
        wire.hung_up(odd).await;
    }
    backend.got_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_arrive_as_one_body_without_extensions_or_trailers() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let (first, second) = CALL.split_at(20);
    let chunks = format!(
        "14;ext=\"a;b\"\r\n{first}\r\n{:X} ; x=GET\r\n{second}\r\n0;last\r\nx-trailer: secret\r\nhost: evil\r\n\r\n",
        second.len()
    );
    let head = ada.head("POST", "/api/v1/mcp/demo", "transfer-encoding: chunked\r\n");
    let mut wire = proxy.wire().await;
    // The next request on the same connection is read from its very start.
    for _ in 0..2 {
        let answer = wire.exchange(format!("{head}{chunks}")).await.expect("an answer");
        assert_eq!(answer.status, 200);
    }
    for request in backend.requests() {
        assert_eq!(request.text(), CALL);
        for gone in ["ext=", "x=GET", "x-trailer", "evil"] {
            assert!(!request.whole().contains(gone), "{request:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_chunks_end_the_connection() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for chunks in [
        "5\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nno trailer\r\n\r\n",
    ] {
        let mut wire = proxy.wire().await;
        let head = ada.head("POST", "/api/v1/mcp/demo", "transfer-encoding: chunked\r\n");
        let _ = wire.send(format!("{head}{chunks}{}", hidden(&ada))).await;
        if let Ok(answer) = wire.answer().await {
            assert_eq!(answer.status, 400, "{chunks:?}");
        }
        wire.hung_up(chunks).await;
    }
    let hidden = backend.requests().iter().any(|request| request.whole().contains("hidden"));
    assert!(!hidden, "a broken body was read past its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_does_not_shift_the_answers_of_the_next() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let body = hidden(&ada);
    let refused = [
        // The body of each looks like a request.
        ("an unknown key", 401, {
            let head = ada.head("POST", "/api/v1/mcp/demo", &length_of(&body));
            head.replace(&ada.key, "nobodys-key")
        }),
        ("an unknown deployment", 404, ada.head("POST", "/api/v1/mcp/none", &length_of(&body))),
        ("a wrong method", 405, ada.head("PUT", "/api/v1/mcp/demo", &length_of(&body))),
        ("a wrong path", 400, ada.head("POST", "/api/v1/mcp/demo/..", &length_of(&body))),
        ("a foreign origin", 403, {
            let origin = format!("origin: http://evil.example\r\n{}", length_of(&body));
            ada.head("POST", "/api/v1/mcp/demo", &origin)
        }),
    ];
    for (why, status, head) in refused {
        let mut wire = proxy.wire().await;
        let next = ada.raw("/api/v1/mcp/demo", CALL);
        let _ = wire.send(format!("{head}{body}{next}")).await;
        let answer = wire.answer().await.unwrap_or_else(|error| panic!("{why}: {error}"));
        assert_eq!(answer.status, status, "{why}");
        // Either the connection ends here, or the next answer is the next request's.
        if let Ok(answer) = wire.answer().await {
            assert_eq!((answer.status, answer.text().contains("\"done\"")), (200, true), "{why}");
        }
    }
    let requests = backend.requests();
    assert!(requests.iter().all(|request| request.text() == CALL), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_their_order() {
    // Says back what it was called for.
    let backend = Backend::answering(|request| {
        let (_, mark) = request.text().split_once("mark-").expect("a mark");
        let mark: String = mark.chars().take_while(char::is_ascii_digit).collect();
        Reply::status(200).body(mark)
    })
    .await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut pipeline = String::new();
    for mark in 0..30 {
        let body =
            format!(r#"{{"id":{mark},"method":"tools/call","params":{{"x":"mark-{mark}"}}}}"#);
        let path = if mark % 3 == 0 { "/api/v1/mcp/none" } else { "/api/v1/mcp/demo" };
        pipeline.push_str(&ada.raw(path, &body));
    }
    let mut wire = proxy.wire().await;
    wire.send(pipeline).await.expect("the proxy reads on");
    for mark in 0..30 {
        let answer = wire.answer().await.expect("one answer each");
        if mark % 3 == 0 {
            assert_eq!(answer.status, 404);
            assert!(answer.text().contains(&format!("\"id\":{mark},")), "{}", answer.text());
        } else {
            assert_eq!((answer.status, answer.text()), (200, mark.to_string().as_str()));
        }
    }
}

fn length_of(body: &str) -> String {
    format!("content-length: {}\r\n", body.len())
}
