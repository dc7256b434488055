//! What every refusal has in common, checked wherever one is expected.

use serde_json::{Value, json};

use super::wire::Answer;

/// The facts that a refusal of the proxy's own gives, whatever the route.
pub fn facts(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-error-source"), Some("proxy"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), None, "editors answer it with a dialog");
    let facts = answer.facts();
    assert_eq!(facts["status"], status);
    facts
}

/// The facts of a refusal to a JSON-RPC peer, whose request had `id`.
pub fn rpc(answer: &Answer, status: u16, code: &str, id: Value) -> Value {
    let facts = facts(answer, status, code);
    let body = answer.json();
    let rpc_code = if code == "session_not_found" { -32001 } else { -32010 };
    assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &id), "{body}");
    assert_eq!(body["error"]["code"], rpc_code, "{body}");
    is_sentence(&body["error"]["message"]);
    facts
}

/// The facts of a refusal on any other route.
pub fn plain(answer: &Answer, status: u16, code: &str) -> Value {
    let facts = facts(answer, status, code);
    let body = answer.json();
    assert_eq!(body.as_object().map(|body| body.len()), Some(1), "{body}");
    is_sentence(&body["error"]["message"]);
    facts
}

fn is_sentence(message: &Value) {
    let message = message.as_str().expect("a message");
    assert!(message.ends_with('.') && message.contains(' '), "{message:?} is no sentence");
}

/// The seconds after which a refusal lets its caller try again.
pub fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").expect("a Retry-After").parse().expect("whole seconds")
}
