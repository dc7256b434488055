//! Bytes that one attendee leaves on a backend's connection must not become part of the
//! next attendee's request, nor of its answer.

use super::ANSWER;
use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::{CALL, PING};

#[tokio::test(flavor = "multi_thread")]
async fn a_get_or_delete_with_a_body_is_refused_and_reaches_nobody() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let hidden = "GET /mcp/hidden HTTP/1.1\r\nhost: x\r\n\r\n";
    let length = hidden.len();
    for method in ["GET", "DELETE"] {
        for (framing, body) in [
            (format!("content-length: {length}\r\n"), hidden.to_owned()),
            // Refused by what it announces, before any of it has come.
            ("content-length: 1000000\r\n".to_owned(), String::new()),
            (
                "transfer-encoding: chunked\r\n".to_owned(),
                format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n"),
            ),
        ] {
            let mut wire = proxy.wire().await;
            let request = ada.head(method, DEMO, &framing) + &body;
            let answer = wire.exchange(request).await.expect("an answer");
            let told = (answer.status, answer.code());
            assert_eq!(told, (400, "body_not_allowed".into()), "{method} {framing}");
        }
    }
    backend.got_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_no_bytes_is_none() {
    let backend = Backend::saying(ANSWER).await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for method in ["GET", "DELETE"] {
        for (framing, body) in
            [("content-length: 0\r\n", ""), ("transfer-encoding: chunked\r\n", "0\r\n\r\n")]
        {
            let mut wire = proxy.wire().await;
            let request = ada.head(method, DEMO, framing) + body;
            assert_eq!(wire.exchange(request).await.expect("an answer").status, 200, "{framing}");
            let got = backend.requests().pop().expect("a request");
            assert_eq!(
                (got.header("content-length"), got.header("transfer-encoding")),
                (None, None)
            );
        }
    }
}

/// The connection that each of `requests` came on where the backend answers the first
/// one with `first` and reads nothing of its body.
async fn connections(first: &'static str, body: &str) -> Vec<usize> {
    let backend = Backend::acting(move |mut visit| async move {
        if visit.is_first() {
            visit.head().await;
            visit.write(first).await;
        }
        while visit.next().await.is_some() {
            visit.write(ANSWER).await;
        }
    })
    .await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    ada.post(body).await;
    let answer = ada.call().await;
    assert!(answer.status == 200 && answer.text().contains("done"), "{first:?}: {answer:?}");
    backend.requests().iter().map(|request| request.connection).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_body_may_lie_unread_is_not_used_again() {
    for first in [
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 413 Too Large\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 500 Error\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\ncontent-length: 2\r\n\r\nHTTP/1.1 204 x\r\n\r\n",
    ] {
        assert_eq!(connections(first, CALL).await, [0, 1], "{first:?}");
    }
}

/// An answer that begins while the request is still being sent may be that of a backend
/// that reads no more of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_answered_early_is_not_used_again() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    let length = 200_000;
    let framing = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
    wire.send(ada.head("POST", DEMO, &framing)).await.unwrap();
    wire.send(vec![b'{'; length - 1]).await.unwrap();
    let mut visit = visits.next().await;
    visit.head().await;
    visit.reply(Reply::status(200).header("content-length", "2").open()).await;
    assert_eq!(wire.head().await.unwrap().status, 200);
    wire.send("{").await.unwrap();
    visit.body_bytes(length).await;
    visit.write("{}").await;
    assert_eq!(wire.bytes(2).await.unwrap(), b"{}");
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, request) = visits.request().await;
    assert_eq!(request.connection, 1);
    visit.reply(Reply::to(&request)).await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_a_request_without_a_body_costs_no_connection() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    assert_eq!(ada.get().await.status, 405);
    assert_eq!(ada.post(PING).await.status, 200);
    assert_eq!(ada.get().await.status, 405);
    assert_eq!(ada.call().await.status, 200);
    assert!(backend.requests().iter().all(|request| request.connection == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_says_while_nobody_asks_is_read_by_nobody() {
    let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for _ in 0..20 {
        let mut wire = ada.post(CALL).send().await;
        let (mut visit, request) = visits.request().await;
        visit.reply(Reply::to(&request)).await;
        assert!(!wire.answer().await.expect("an answer").text().contains("smuggled"));
        // Some time after the answer, so that the connection lies idle by then.
        visit.write(smuggled).await;
        drop(visit);
    }
}
