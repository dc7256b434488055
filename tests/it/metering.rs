//! What was called, by whom, how often: by method and by tool, from the body.

use std::time::Duration;

use ai_proxy::catalog::usage;
use ai_proxy::clock;
use serde_json::{Value, json};

use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::{CALL, INITIALIZE, PING, eventually};

fn call(method: &str, name: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": name}}).to_string()
}

/// Resource, operation, name, requests and errors of each line of `/usage`.
async fn lines(attendee: &Attendee) -> Vec<(String, String, String, u64, u64)> {
    let usage = attendee.usage().await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let line = |line: &Value| {
        let (requests, errors) = (line["requests"].as_u64(), line["errors"].as_u64());
        let names = (text(&line["resource"]), text(&line["operation"]), text(&line["name"]));
        (names.0, names.1, names.2, requests.expect("a number"), errors.expect("a number"))
    };
    let mut lines: Vec<_> = usage["usage"].as_array().expect("lines").iter().map(line).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_metered_by_resource_operation_and_name() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    proxy.resource("other", &backend.url_of("/other")).await;
    let event = proxy.event().open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    for body in [
        INITIALIZE,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        PING,
        &call("tools/list", "ignored"),
        &call("tools/call", "echo"),
        &call("tools/call", "echo"),
        &call("tools/call", "add"),
        &call("prompts/get", "greet"),
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"secret://x","name":"n"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        "nonsense",
        &format!("[{},{}]", call("tools/call", "echo"), call("tools/call", "in-batch")),
    ] {
        assert!(ada.post(body).await.status < 300);
    }
    ada.get().await;
    ada.delete("s").await;
    ada.post(CALL).to("/api/v1/mcp/other").await;
    bob.call().await;
    // None of these was forwarded.
    ada.post(CALL).key("unknown").await;
    ada.post(CALL).to("/api/v1/mcp/nobody").await;
    ada.post(CALL).to(&format!("{DEMO}/../x")).await;

    let line = |resource: &str, operation: &str, name: &str, requests, errors| {
        (resource.to_owned(), operation.to_owned(), name.to_owned(), requests, errors)
    };
    assert_eq!(
        lines(&ada).await,
        [
            line("demo", "(end session)", "", 1, 0),
            line("demo", "(response)", "", 1, 0),
            line("demo", "(stream)", "", 1, 1),
            line("demo", "(unknown)", "", 1, 0),
            line("demo", "initialize", "", 1, 0),
            line("demo", "notifications/initialized", "", 1, 0),
            line("demo", "ping", "", 1, 0),
            line("demo", "prompts/get", "greet", 1, 0),
            line("demo", "resources/read", "", 1, 0),
            line("demo", "tools/call", "add", 1, 0),
            line("demo", "tools/call", "echo", 3, 0),
            line("demo", "tools/call", "in-batch", 1, 0),
            line("demo", "tools/list", "", 1, 0),
            line("other", "tools/call", "echo", 1, 0),
        ]
    );
    assert_eq!(lines(&bob).await, [line("demo", "tools/call", "echo", 1, 0)]);

    let day = clock::day_of(clock::now_ms());
    let stored = usage::of_attendee(&proxy.store.db, &ada.id, day).await.unwrap();
    let echo = stored.iter().find(|line| line.deployment == "demo" && line.name == "echo");
    assert_eq!(echo.map(|line| (line.requests, line.errors)), Some((3, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_an_error_whosever_it_is() {
    let backend = Backend::answering(|request| match request.target.as_str() {
        "/mcp/400" => Reply::status(400),
        "/mcp/500" => Reply::status(500),
        "/mcp/302" => Reply::status(302),
        "/mcp/nonsense" => Reply::status(99),
        "/mcp/cut" => {
            Reply::status(200).header("content-length", "9").header("connection", "close").open()
        }
        _ => Reply::to(request),
    });
    let backend = backend.await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for path in ["", "/400", "/500", "/302", "/nonsense"] {
        ada.post(CALL).to(&format!("{DEMO}{path}")).await;
    }
    let line = ("demo".to_owned(), "tools/call".to_owned(), "echo".to_owned(), 5, 4);
    assert_eq!(lines(&ada).await, [line]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_recorded_once_also_when_its_client_leaves() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    // Before the head, after it, at the end.
    let wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    drop(wire);
    visit.left().await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    wire.head().await.unwrap();
    drop(wire);
    visit.left().await;
    let mut wire = ada.post(CALL).send().await;
    visits.next().await.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    proxy.nothing_is_open().await;
    let line = ("demo".to_owned(), "tools/call".to_owned(), "echo".to_owned(), 3, 0);
    assert_eq!(lines(&ada).await, [line]);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_kept_until_the_last_byte() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    wire.head().await.unwrap();
    tokio::time::sleep(Duration::from_millis(120)).await;
    visit.chunk("").await;
    wire.ends().await;
    proxy.nothing_is_open().await;
    assert_eq!(lines(&ada).await.len(), 1);
    let row: (i64, i64, i64, i64) = sqlx::query_as(
        "select total_ms, le_5 + le_10 + le_25 + le_50 + le_100,
            le_250 + le_500 + le_1000 + le_2500 + le_5000, le_10000 + le_30000 + le_60000 + le_inf
         from usage",
    )
    .fetch_one(proxy.store.db.pool())
    .await
    .unwrap();
    assert!((120..5000).contains(&row.0), "{} ms", row.0);
    assert_eq!((row.1, row.2, row.3), (0, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_cut_and_two_hundred_are_told_apart() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let mut wire = proxy.wire().await;
    let long = "\u{e9}".repeat(300);
    let mut names = vec![long.clone()];
    names.extend((1..200).map(|n| format!("tool-{n}")));
    names.extend(["one-more".to_owned(), "and-another".to_owned(), "tool-7".to_owned(), long]);
    for name in &names {
        let answer = wire.exchange(ada.post(&call("tools/call", name)).bytes()).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    let lines = lines(&ada).await;
    let requests = |name: &str| {
        let found = lines.iter().find(|line| line.2 == name);
        found.map(|(_, operation, _, requests, _)| (operation.as_str(), *requests))
    };
    assert_eq!(requests(&"\u{e9}".repeat(128)), Some(("tools/call", 2)));
    assert_eq!(requests("tool-7"), Some(("tools/call", 2)));
    assert_eq!(requests("tool-199"), Some(("tools/call", 1)));
    assert_eq!(requests("one-more"), None);
    assert_eq!(requests("(other)"), Some(("(other)", 2)));
    assert_eq!(lines.len(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_arguments_nor_uris_nor_results_are_kept() {
    let backend = Backend::answering(|_| Reply::json(r#"{"result":"confidential-result"}"#)).await;
    let (mut proxy, ada) = Proxy::serving(&backend).await;
    for body in [
        r#"{"id":1,"method":"tools/call","params":{"name":"echo","arguments":{"x":"confidential-argument"}}}"#,
        r#"{"id":1,"method":"resources/read","params":{"uri":"file:///confidential-uri","name":"confidential-name"}}"#,
    ] {
        let request = ada.post(body).header("mcp-param-city", "confidential-param");
        assert_eq!(request.to(&format!("{DEMO}?q=confidential-query")).await.status, 200);
    }
    assert_eq!(lines(&ada).await.len(), 2);
    proxy.stop().await;
    let mut files = 0;
    for file in std::fs::read_dir(proxy.store.dir()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(memchr::memmem::find(&bytes, b"confidential").is_none());
        files += 1;
    }
    assert!(files > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn last_refusals_are_shown_to_who_was_refused() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    ada.post(CALL).to("/api/v1/mcp/nobody").await;
    ada.post(CALL).to(&format!("{DEMO}/../x")).await;
    let usage = ada.usage().await;
    let codes: Vec<_> =
        usage["last_refusals"].as_array().unwrap().iter().map(|refusal| &refusal["code"]).collect();
    assert_eq!(codes, ["invalid_path", "deployment_not_found"]);
    let at: jiff::Timestamp = usage["last_refusals"][0]["at"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(at).as_secs() < 60);
    let attendees = async || {
        let owner = &proxy.store.by.owner_id;
        let events = ai_proxy::catalog::event::list(&proxy.store.db, &proxy.store.vault, owner);
        let id = &events.await.unwrap()[0].id;
        ai_proxy::catalog::attendee::list(&proxy.store.db, owner, id).await.unwrap()
    };
    eventually("the organiser sees it too", async || {
        let attendee = attendees().await.remove(0);
        attendee.last_error.as_deref() == Some("invalid_path") && attendee.last_seen_at.is_some()
    })
    .await;
}
