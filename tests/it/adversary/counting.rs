//! Bodies made to run a tool without paying for it: read one way by a careless
//! proxy, another way by the backend.

use super::ANSWER;
use crate::harness::CALL;
use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::wire::{Answer, Wire};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Sends `body` and says how many requests of the cap that took.
async fn cost(ada: &Attendee, headers: &str, body: &[u8]) -> (Answer, i64) {
    let before = remaining(ada).await;
    let mut wire = Wire::connect(ada.store.addr()).await;
    let framing = format!("{headers}content-length: {}\r\n", body.len());
    wire.send(ada.head("POST", DEMO, &framing)).await.expect("read");
    // A body that is refused by its length may not be read to its end.
    let _ = wire.send(body).await;
    let answer = wire.answer().await.expect("an answer");
    (answer, before - remaining(ada).await)
}

/// What the proxy says is left of the day.
async fn remaining(ada: &Attendee) -> i64 {
    let mut wire = Wire::connect(ada.store.addr()).await;
    let answer = wire.exchange(ada.raw(DEMO, PING)).await.expect("an answer");
    let left = answer.header("x-ratelimit-remaining-requests").expect("a rate header");
    left.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_paid_for_however_it_is_dressed() {
    let backend = Backend::saying(ANSWER).await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let (pad, spaces) = ("x".repeat(70_000), " ".repeat(70_000));
    let call = r#""method":"tools/call","params":{"name":"echo"}"#;
    let padded = [
        format!(r#"{{"method":"ping","pad":"{pad}",{call}}}"#),
        format!(r#"{{{call},"pad":"{pad}","method":"ping"}}"#),
        format!("{spaces}{{{call}}}"),
        format!("\u{feff}{{{call}}}"),
    ];
    for body in padded.iter().map(String::as_str).chain([
        CALL,
        r#"{"method":"ping","method":"tools/call"}"#,
        r#"{"method":"tools/call","method":"ping"}"#,
        r#"{"method":"ping","m\u0065thod":"tools/call"}"#,
        r#"{"m\u0065thod":"tools/call","params":{}}"#,
        r#"{"method":"t\u006fols/call"}"#,
        r#"{"method":"ping","Method":"tools/call"}"#,
        r#"{"METHOD":"tools/call"}"#,
        r#"{"method":"ping","result":{},"METHOD":"tools/call"}"#,
        r#"{"method":"ping\u0000","x":1}"#,
        r#"{"method":"Ping"}"#,
        r#"{"method":" ping"}"#,
        r#"{"method":["ping"]}"#,
        r#"{"method":"ping"}{"method":"tools/call"}"#,
        "{\"method\":\"ping\"}\n{\"method\":\"tools/call\"}",
        r#"{"method":"ping"/*,*/,"method":"tools/call"}"#,
        "{'method':'tools/call'}",
        r#"{"method":"ping""#,
        "",
    ]) {
        let (answer, cost) =
            cost(&ada, "content-type: application/json\r\n", body.as_bytes()).await;
        let shown = &body[..body.len().min(90)];
        match answer.status {
            200 => assert_eq!(cost, 1, "{shown}"),
            413 => assert_eq!(cost, 0, "{shown}"),
            other => panic!("{other} for {shown}"),
        }
    }
    let wide: Vec<u8> = CALL.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(cost(&ada, "", &wide).await.1 >= 1, "UTF-16");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocols_own_traffic_costs_nothing() {
    let backend = Backend::saying(ANSWER).await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for body in [
        PING,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"method":"tools/call"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call"}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#,
    ] {
        let (answer, cost) =
            cost(&ada, "content-type: application/json\r\n", body.as_bytes()).await;
        assert_eq!((answer.status, cost), (200, 0), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_of_a_batch_is_paid_for() {
    let backend = Backend::saying(ANSWER).await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let batch = |n: usize| format!("[{}]", vec![CALL; n].join(","));
    for n in [1, 2, 100] {
        let (answer, cost) = cost(&ada, "", batch(n).as_bytes()).await;
        assert_eq!((answer.status, cost), (200, n as i64));
    }
    let (_, nested) = cost(&ada, "", format!("[[{CALL},[{CALL}]],{CALL}]").as_bytes()).await;
    assert_eq!(nested, 3, "arrays in arrays");

    let seen = backend.requests().len();
    let beyond = batch(1_000_000 / CALL.len());
    let late = format!("{}{}", " ".repeat(1_000_000), batch(9));
    for body in [beyond, late] {
        let (answer, cost) = cost(&ada, "", body.as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str(), cost), (413, "body_too_large", 0));
    }
    let calls = backend.requests()[seen..]
        .iter()
        .filter(|request| request.text().contains("tools/call"))
        .count();
    assert_eq!(calls, 0, "a batch that cannot be counted must not be forwarded");
}

/// What some backends decode before they parse it, the proxy cannot count: a
/// thousand calls in a hundred bytes.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_another_coding_than_plain_utf_8_are_refused() {
    let backend = Backend::saying(ANSWER).await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let utf7 = r#"{"method":"ping","+AG0-ethod":"tools/call"}"#;
    for headers in [
        "content-type: application/json\r\ncontent-encoding: gzip\r\n",
        "content-type: application/json\r\ncontent-encoding: identity, deflate\r\n",
        "content-type: application/json\r\ncontent-encoding: br\r\n",
        "content-type: application/json; charset=utf-7\r\n",
        "content-type: application/json;charset=\"UTF-7\"\r\n",
        "content-type: application/json; charset=utf-8; charset=utf-7\r\n",
        "content-type: application/json\r\ncontent-type: application/json; charset=utf-7\r\n",
    ] {
        let before = backend.requests().len();
        let (answer, cost) = cost(&ada, headers, utf7.as_bytes()).await;
        assert_eq!(answer.status, 415, "{headers}");
        assert_eq!((answer.code().as_str(), cost), ("unsupported_media_type", 0), "{headers}");
        let between = &backend.requests()[before..];
        assert!(!between.iter().any(|request| request.text().contains("+AG0-")), "{headers}");
    }
    for headers in [
        "content-type: application/json; charset=utf-8\r\n",
        "content-type: application/json;charset=\"UTF-8\"\r\ncontent-encoding: identity\r\n",
    ] {
        assert_eq!(cost(&ada, headers, CALL.as_bytes()).await.0.status, 200, "{headers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_type_that_only_some_can_decode_is_refused() {
    let backend = Backend::saying(ANSWER).await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let body = br#"{"+AG0-ethod":"tools/call","method":"ping"}"#;
    for media_type in
        ["application/json; x=\"\u{e9}\"; charset=utf-7", "application/json;\u{e9}", "\u{e9}"]
    {
        let (answer, cost) = cost(&ada, &format!("content-type: {media_type}\r\n"), body).await;
        assert_eq!((answer.status, cost), (415, 0), "{media_type}");
    }
}
