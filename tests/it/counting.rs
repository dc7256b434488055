//! What counts against the daily request cap, and how much.

use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::{CALL, PING};

const READ_AHEAD: usize = 64 * 1024;

async fn capped(backend: &Backend, cap: u32) -> (Proxy, Attendee) {
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().daily_cap(cap).open().await.attendee().await;
    proxy.start().await;
    (proxy, ada)
}

/// `body`, made `length` bytes long by spaces before its last character.
fn padded(body: &str, length: usize) -> String {
    let (start, end) = body.split_at(body.len() - 1);
    format!("{start}{}{end}", " ".repeat(length - body.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_certainly_the_protocols_own_is_free() {
    let backend = Backend::answering(|_| Reply::json("{}")).await;
    let (_proxy, ada) = capped(&backend, 10_000).await;
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let hidden = format!(
        r#"{{"method":"ping","x":"{}","method":"tools/call","params":{{"name":"echo"}}}}"#,
        "x".repeat(70_000)
    );
    let mut used = 0;
    for (body, counts) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#, 0),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, 0),
        (r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#, 0),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#, 0),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#, 0),
        (PING, 0),
        (list, 0),
        (r#"{"jsonrpc":"2.0","id":1,"method":"prompts/list"}"#, 0),
        (r#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#, 0),
        (r#"{"jsonrpc":"2.0","id":1,"method":"resources/templates/list"}"#, 0),
        (r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#, 0),
        (r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"p\u0069ng"}"#, 0),
        (&padded(list, READ_AHEAD), 0),
        (CALL, 1),
        (r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"x"}}"#, 1),
        (r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"x"}}"#, 1),
        (r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete"}"#, 1),
        (r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}"#, 1),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/lists"}"#, 1),
        (r#"{"jsonrpc":"2.0","id":1,"method":"PING"}"#, 1),
        (r#"{"jsonrpc":"2.0","id":1,"method":" ping"}"#, 1),
        (r#"{"method":"ping","method":"tools/call"}"#, 1),
        (r#"{"method":"tools/call","method":"ping"}"#, 1),
        (r#"{"method":"ping","method":"ping"}"#, 1),
        (r#"{"method":"ping","m\u0065thod":"tools/call"}"#, 1),
        (r#"{"method":"ping","Method":"tools/call"}"#, 1),
        (r#"{"METHOD":"tools/call","method":"ping"}"#, 1),
        (r#"{"method":"ping"} {"method":"tools/call"}"#, 1),
        (r#"{"method":["ping"]}"#, 1),
        (r#"{"method":null}"#, 1),
        (r#"{"method":"ping""#, 1),
        (r#"{"jsonrpc":"2.0","id":1}"#, 1),
        ("not json", 1),
        ("", 1),
        (&padded(list, READ_AHEAD + 1), 1),
        (&hidden, 1),
    ] {
        let answer = ada.post(body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        used += counts;
        let remaining = (10_000 - used).to_string();
        let shown = body.get(..90).unwrap_or(body);
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(&*remaining), "{shown}");
    }
    for (method, body) in [("GET", ""), ("DELETE", ""), ("DELETE", CALL), ("GET", CALL)] {
        let answer = ada.ask(method, DEMO).json(body).await;
        let remaining = (10_000 - used).to_string();
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(&*remaining), "{method}");
    }
    assert_eq!(ada.used().await, used);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_headers_claim_makes_no_difference() {
    let backend = Backend::start().await;
    let (_proxy, ada) = capped(&backend, 10).await;
    let answer = ada
        .post(CALL)
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "ping")
        .header("mcp-name", "nothing")
        .await;
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("9"));
    let usage = ada.usage().await;
    assert_eq!(
        (&usage["usage"][0]["operation"], &usage["usage"][0]["name"]),
        (&"tools/call".into(), &"echo".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_takes_a_permit_for_each_member_that_counts_all_or_none() {
    let backend = Backend::answering(|_| Reply::json("[]")).await;
    let (_proxy, ada) = capped(&backend, 10).await;
    let batch = |members: &[&str]| format!("[{}]", members.join(","));
    let left = async |body: &str, status: u16| {
        let answer = ada.post(body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        answer.header("x-ratelimit-remaining-requests").unwrap().to_owned()
    };
    assert_eq!(left(&batch(&[PING, PING]), 200).await, "10");
    assert_eq!(left(&batch(&[CALL, PING, CALL]), 200).await, "8");
    assert_eq!(left(&batch(&[CALL; 9]), 429).await, "8");
    assert_eq!(left(&batch(&[CALL; 8]), 200).await, "0");
    assert_eq!(left(&batch(&[PING, CALL]), 429).await, "0");
    assert_eq!(left(&batch(&[PING]), 200).await, "0");
    assert_eq!(backend.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_does_not_fit_the_read_ahead_is_too_large() {
    let backend = Backend::answering(|_| Reply::json("[]")).await;
    let (_proxy, ada) = capped(&backend, 10).await;
    let batch = format!("[{CALL},{PING}]");
    let answer = ada.post(&padded(&batch, READ_AHEAD)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("9"));
    for length in [READ_AHEAD + 1, READ_AHEAD + 5000, 300_000] {
        for body in [padded(&batch, length), format!(" \r\n\t{}", padded(&batch, length))] {
            let answer = ada.post(&body).await;
            assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
            assert_eq!(answer.facts()["limit"], READ_AHEAD);
            assert_eq!(answer.json()["id"], 7, "of the first request in it");
            assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("9"));
        }
    }
    assert_eq!(backend.requests().len(), 1);
}
