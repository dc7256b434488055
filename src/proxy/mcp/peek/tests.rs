use super::*;

fn counts(body: &str) -> u32 {
    peek(body.as_bytes(), true).unwrap().counts
}

fn operation(body: &str) -> (String, String) {
    let peek = peek(body.as_bytes(), true).unwrap();
    let (first, _) = peek.operations.into_iter().next().unwrap();
    (first.method, first.name)
}

#[test]
fn the_protocols_own_traffic_is_free() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/templates/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"p\u0069ng"}"#,
    ] {
        assert_eq!(counts(body), 0, "{body}");
    }
}

#[test]
fn whatever_is_not_certainly_free_counts() {
    for body in [
        r#"{"id":1,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"id":1,"method":"resources/read"}"#,
        r#"{"method":"ping","method":"tools/call"}"#,
        r#"{"method":"tools/call","m\u0065thod":"ping"}"#,
        r#"{"method":"ping","Method":"tools/call"}"#,
        r#"{"method":["ping"]}"#,
        r#"{"id":1}"#,
        r#"{"method":"ping"} {"method":"tools/call"}"#,
        r#"{"method":"ping"} {"method":"ping"}"#,
        r#"{"method":"ping","x":NaN}"#,
        r#"{"method":"ping","x":{"a":"{","b":[{}]},"y":NaN}"#,
        r#"{"method":"ping","method\u0000":"tools/call"}"#,
        r#"{"method":"ping","\u0001method":"tools/call"}"#,
        r#"{"method":"ping","x\n":"tools/call"}"#,
        r#"{"method":"ping"," Method ":"tools/call"}"#,
        r#"{"method":"tools/call\u0000/list"}"#,
        r#"{"method":"notifications/\u0008x"}"#,
        r#"{"method":"tools/call /list"}"#,
        r#"{"method":"ping"}x"#,
        r#"{"method":"ping""#,
        "",
        "null",
        "[]",
    ] {
        assert_eq!(counts(body), 1, "{body}");
    }
}

#[test]
fn several_messages_one_after_another_count_each() {
    let ping = r#"{"method":"ping","params":{"x":"}{\\\""}}"#;
    let call = r#"{"method":"tools/call"}"#;
    assert_eq!(counts(&format!("{call}\n{ping}\n{call}\n")), 2);
    assert_eq!(counts(&format!("[{call},{call}] {call}")), 3);
    assert_eq!(counts(&format!(r#"{ping}{call}{{"x":NaN}}"#)), 3);
    assert_eq!(peek(format!("{ping}{ping}").as_bytes(), false), None, "more may follow");
}

#[test]
fn each_message_takes_a_turn_and_equal_ones_are_one_line() {
    let ping = r#"{"method":"ping"}"#;
    let call = r#"{"id":1,"method":"tools/call","params":{"name":"echo"}}"#;
    let peek = peek(format!("[{ping},{call},{ping},{ping}]").as_bytes(), true).unwrap();
    assert_eq!((peek.messages, peek.counts, peek.operations.len()), (4, 1, 2));
    let pings = peek.operations.iter().find(|(operation, _)| operation.method == "ping");
    assert_eq!(pings.unwrap().1, 3);
    assert_eq!(super::peek(b"", true).unwrap().messages, 1);
}

#[test]
fn each_member_of_a_batch_counts_for_itself() {
    let call = r#"{"id":1,"method":"tools/call","params":{"name":"echo"}}"#;
    let ping = r#"{"id":2,"method":"ping"}"#;
    assert_eq!(counts(&format!("[{call},{ping},{call}]")), 2);
    assert_eq!(counts(&format!("[{ping}]")), 0);
    assert!(counts(&format!("[{call},{call},{call}")) >= 3, "a broken batch counts in full");
}

#[test]
fn encodings_that_only_some_backends_read_hide_nothing() {
    let batch: String = format!("[{0},{0},{0}]", r#"{"method":"tools/call"}"#);
    let utf16: Vec<u8> = batch.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(peek(&utf16, true).unwrap().counts >= 3);
    assert_eq!(peek(&utf16, false), None);
    let marked: Vec<u8> = [b"\xef\xbb\xbf", batch.as_bytes()].concat();
    assert!(peek(&marked, true).unwrap().counts >= 3);
    assert_eq!(peek(&marked, false), None);
}

#[test]
fn a_body_that_goes_on_counts_and_is_metered_by_what_was_seen() {
    let start = br#"{"id":"a","method":"tools/call","params":{"name":"echo","arguments":{"x":"#;
    let peek = peek(start, false).unwrap();
    assert_eq!(peek.counts, 1);
    assert_eq!(peek.id.as_deref(), Some(r#""a""#));
    assert_eq!(peek.operations[0].0.name, "echo");
    assert_eq!(super::peek(br#"{"method":"ping","pad":"#, false).unwrap().counts, 1);
}

#[test]
fn operations_are_named_by_method_and_tool() {
    let named = |method: &str, name: &str| (method.to_owned(), name.to_owned());
    let call =
        r#"{"id":1,"params":{"arguments":{"name":"no"},"name":"echo"},"method":"tools/call"}"#;
    assert_eq!(operation(call), named("tools/call", "echo"));
    let read = r#"{"id":1,"method":"resources/read","params":{"uri":"file:///x","name":"x"}}"#;
    assert_eq!(operation(read), named("resources/read", ""));
    assert_eq!(operation(r#"{"id":1,"result":{}}"#), named("(response)", ""));
    assert_eq!(operation("nonsense"), named("(unknown)", ""));
    let control = r#"{"method":"tools/call","params":{"name":"a\u0000\n\u0085b"}}"#;
    assert_eq!(operation(control), named("tools/call", "a\u{fffd}\u{fffd}\u{fffd}b"));
    for params in ["null", "1", "-1", "1.5", "true", "\"x\"", "[1]", r#"{"name":7}"#] {
        let body = format!(r#"{{"method":"tools/call","params":{params}}}"#);
        assert_eq!(operation(&body), named("tools/call", ""), "{params}");
    }
}

#[test]
fn only_scalar_ids_are_echoed() {
    let id =
        |id: &str| peek(format!(r#"{{"id":{id},"method":"ping"}}"#).as_bytes(), true).unwrap().id;
    assert_eq!(id("7").as_deref(), Some("7"));
    assert_eq!(id(r#""x\"y""#).as_deref(), Some(r#""x\"y""#));
    assert_eq!(id("null"), None);
    assert_eq!(id(r#"{"a":1}"#), None);
    assert_eq!(id(&format!("\"{}\"", "x".repeat(600))), None);
}
