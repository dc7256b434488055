//! Every row of the table of refusals: status, code, facts and shape.

use ai_proxy::config::OauthMode;
use serde_json::json;

use crate::harness::attendee::DEMO;
use crate::harness::backend::{Backend, Nobody};
use crate::harness::proxy::Proxy;
use crate::harness::refusal::{plain, retry_after, rpc};
use crate::harness::reply::Reply;
use crate::harness::{CALL, PING};

#[tokio::test(flavor = "multi_thread")]
async fn missing_api_key() {
    let backend = Backend::start().await;
    let (proxy, _) = Proxy::serving_with(&backend, |config| config.oauth = OauthMode::Off).await;
    rpc(&proxy.ask("POST", DEMO).json(CALL).await, 401, "missing_api_key", json!(7));
    rpc(&proxy.ask("GET", DEMO).await, 401, "missing_api_key", json!(null));
    plain(&proxy.ask("GET", "/api/v1/usage").await, 401, "missing_api_key");
    plain(&proxy.ask("POST", "/api/v1/eventinfo").await, 401, "missing_api_key");
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_api_key() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let answer = ada.post(CALL).key("not-a-key-of-ours").await;
    rpc(&answer, 401, "invalid_api_key", json!(7));
    assert!(!answer.text().contains("not-a-key"), "a key is never echoed");
    plain(&ada.ask("GET", "/api/v1/usage").key("unknown").await, 401, "invalid_api_key");
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_full() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let plan = proxy.event().shared_code("welcome1").with(|draft| draft.shared_code_limit = 2);
    let event = plan.open().await;
    proxy.start().await;
    let with = |name| proxy.ask("POST", DEMO).json(CALL).key(&event.shared_key("welcome1", name));
    assert_eq!(with("ada@example.org").await.status, 200);
    assert_eq!(with("bob@example.org").await.status, 200);
    rpc(&with("cyd@example.org").await, 401, "event_full", json!(7));
    assert_eq!(with("ada@example.org").await.status, 200, "who is in stays in");
    assert_eq!(backend.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_not_usable() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().shared_code("welcome1").open().await;
    proxy.start().await;
    let key = event.shared_key("welcome1", "x");
    let answer = proxy.ask("POST", DEMO).json(CALL).key(&key).await;
    rpc(&answer, 401, "name_not_usable", json!(7));
    plain(&proxy.ask("GET", "/api/v1/usage").key(&key).await, 401, "name_not_usable");
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_closed() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().shared_code("welcome1").open().await;
    proxy.start().await;
    let with = |name| proxy.ask("POST", DEMO).json(CALL).key(&event.shared_key("welcome1", name));
    assert_eq!(with("ada@example.org").await.status, 200);
    event.close_registration().await;
    let bob = with("bob@example.org").await;
    assert!(bob.text().contains(" at the moment. Ask "), "{}", bob.text());
    let facts = rpc(&with("bob@example.org").await, 401, "registration_closed", json!(7));
    assert_eq!(facts["organizer_email"], "ada@example.org");
    assert_eq!(with("ada@example.org").await.status, 200, "who is in stays in");
}

#[tokio::test(flavor = "multi_thread")]
async fn attendee_disabled() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().open().await.attendee().await;
    ada.set_active(false).await;
    proxy.start().await;
    let facts = rpc(&ada.call().await, 401, "attendee_disabled", json!(7));
    assert_eq!(facts["event_name"], "Room");
    assert_eq!(facts["organizer_name"], "Ada");
    assert_eq!(facts["organizer_email"], "ada@example.org");
    plain(&ada.ask("GET", "/api/v1/usage").await, 401, "attendee_disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn event_inactive_not_started_and_ended() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let inactive = proxy.event().with(|draft| draft.active = false).open().await;
    let inactive = inactive.attendee().await;
    let future = proxy.event().with(|draft| {
        draft.start = "2998-07-01T09:00".into();
        draft.time_zone = "Europe/Berlin".into();
    });
    let future = future.open().await.attendee().await;
    let past = proxy.event().with(|draft| draft.end = "2001-01-01T10:30".into());
    let past = past.open().await.attendee().await;
    proxy.start().await;

    for (attendee, code, fact) in [
        (&inactive, "event_inactive", None),
        (&future, "event_not_started", Some(("starts_at", "2998-07-01T07:00:00Z"))),
        (&past, "event_ended", Some(("ended_at", "2001-01-01T10:30:00Z"))),
    ] {
        let answer = attendee.call().await;
        let facts = rpc(&answer, 401, code, json!(7));
        assert_eq!(facts["event_name"], "Room");
        assert_eq!(facts["organizer_name"], "Ada");
        assert_eq!(facts["organizer_email"], "ada@example.org");
        if let Some((name, at)) = fact {
            assert_eq!(facts[name], at);
            let message = answer.json()["error"]["message"].to_string();
            assert!(message.contains(at), "{message}");
        }
    }
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn origin_not_allowed() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let answer = ada.post(CALL).header("origin", "https://evil.example").await;
    rpc(&answer, 403, "origin_not_allowed", json!(7));
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn deployment_not_found() {
    use ai_proxy::catalog::resource::{Draft, ResourceType};
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    for name in ["zoo", "alpha", "not-linked"] {
        proxy.resource(name, &backend.url()).await;
    }
    let draft = |deployment: &str| Draft {
        deployment: deployment.into(),
        endpoint: backend.url(),
        ..Draft::default()
    };
    proxy.save(Draft { kind: ResourceType::FoundryModel, ..draft("a-model") }).await;
    let event = proxy.event().resources(["zoo", "a-model", "alpha"]).open().await;
    let ada = event.attendee().await;
    let nothing = proxy.event().resources([]).open().await.attendee().await;
    proxy.start().await;

    for name in ["not-linked", "a-model", "nobody", "ZOO"] {
        let answer = ada.post(CALL).to(&format!("/api/v1/mcp/{name}/mcp")).await;
        let facts = rpc(&answer, 404, "deployment_not_found", json!(7));
        assert_eq!(facts["deployment"], name);
        assert_eq!(facts["available"], json!(["alpha", "zoo"]));
    }
    let answer = nothing.post(CALL).to("/api/v1/mcp/zoo").await;
    assert_eq!(rpc(&answer, 404, "deployment_not_found", json!(7))["available"], json!([]));
    let answer = ada.post(CALL).to(&format!("/api/v1/mcp/{}", "x".repeat(500))).await;
    let facts = rpc(&answer, 404, "deployment_not_found", json!(7));
    assert!(facts["deployment"].as_str().is_some_and(|name| name.len() < 100), "{facts}");
    assert_eq!(ada.post(CALL).to("/api/v1/mcp/alpha").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn deployment_off() {
    use ai_proxy::catalog::resource::{Draft, ResourceType};
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    let off = |deployment: &str| Draft {
        deployment: deployment.into(),
        endpoint: backend.url(),
        active: false,
        ..Draft::default()
    };
    for name in ["off", "not-linked"] {
        proxy.save(off(name)).await;
    }
    proxy.save(Draft { kind: ResourceType::FoundryModel, ..off("a-model") }).await;
    let ada = proxy.event().resources(["off", "a-model"]).open().await.attendee().await;
    proxy.start().await;
    for name in ["off", "%6fff/mcp"] {
        let answer = ada.post(CALL).to(&format!("/api/v1/mcp/{name}")).await;
        let facts = rpc(&answer, 404, "deployment_off", json!(7));
        assert_eq!(facts["deployment"], "off");
        assert_eq!(facts["event_name"], "Room");
        assert_eq!(facts["organizer_name"], "Ada");
        assert_eq!(facts["organizer_email"], "ada@example.org");
    }
    // A resource that the attendee could not use if it were on is not mentioned.
    for name in ["not-linked", "a-model", "OFF"] {
        let answer = ada.post(CALL).to(&format!("/api/v1/mcp/{name}")).await;
        let facts = rpc(&answer, 404, "deployment_not_found", json!(7));
        assert_eq!(facts["available"], json!([]));
    }
    assert_eq!(backend.requests(), []);
    assert_eq!(ada.used().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_not_found() {
    let backend = Backend::answering(|request| Reply::to(request).header("mcp-session-id", "s-1"));
    let backend = backend.await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let both = proxy.event().open().await.attendees(2).await;
    proxy.start().await;
    assert_eq!(both[0].post(PING).await.status, 200);
    rpc(&both[1].post(CALL).session("s-1").await, 404, "session_not_found", json!(7));
    rpc(&both[1].get().session("s-1").await, 404, "session_not_found", json!(null));
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_path() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let answer = ada.post(CALL).to("/api/v1/mcp/demo/a/../b").await;
    rpc(&answer, 400, "invalid_path", json!(7));
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn method_not_allowed() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for method in ["PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        let answer = ada.ask(method, DEMO).await;
        rpc(&answer, 405, "method_not_allowed", json!(null));
        assert_eq!(answer.header("allow"), Some("GET, POST, DELETE"));
    }
    let mut wire = ada.ask("HEAD", DEMO).send().await;
    let head = wire.head().await.unwrap();
    assert_eq!((head.status, head.header("allow")), (405, Some("GET, POST, DELETE")));
    for (method, path, allow) in [
        ("GET", "/api/v1/eventinfo", "POST"),
        ("POST", "/api/v1/event/a1b2-c3d4", "GET"),
        ("POST", "/api/v1/usage", "GET"),
    ] {
        let answer = proxy.ask(method, path).await;
        plain(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn body_too_large() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving_with(&backend, |config| config.max_body_bytes = 1000).await;
    assert_eq!(ada.post(&padded(1000)).await.status, 200);
    let answer = ada.post(&padded(1001)).await;
    assert_eq!(rpc(&answer, 413, "body_too_large", json!(null))["limit"], 1000);
    assert_eq!(backend.requests().len(), 1);
}

/// A message of exactly `length` bytes.
fn padded(length: usize) -> String {
    let (start, end) = (r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":""#, r#""}}"#);
    let pad = "x".repeat(length - start.len() - end.len());
    format!("{start}{pad}{end}")
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limited() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    // The next turn would come in a minute, which is longer than anybody waits.
    let ada = proxy.event().rate(1, 1).open().await.attendee().await;
    proxy.start().await;
    assert_eq!(ada.call().await.status, 200);
    let answer = ada.call().await;
    rpc(&answer, 429, "rate_limited", json!(7));
    assert!((45..=51).contains(&retry_after(&answer)), "{answer:?}");
    assert_eq!(backend.requests().len(), 1);
    let remaining = answer.header("x-ratelimit-remaining-requests");
    assert_eq!(remaining, Some("99999"), "what is refused does not count");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_open_requests() {
    let (backend, mut visits) = Backend::by_hand().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let plan = proxy.event().with(|draft| draft.max_open_requests = 2);
    let event = plan.open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;

    let one = ada.get().send().await;
    let (mut first, _) = visits.request().await;
    let _other = ada.get().send().await;
    let _second = visits.request().await;

    let answer = ada.call().await;
    assert_eq!(rpc(&answer, 429, "too_many_open_requests", json!(7))["limit"], 2);
    assert!(retry_after(&answer) >= 1);
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("100000"));

    let mut wire = bob.post(CALL).send().await;
    let mut third = visits.next().await;
    third.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200, "others are not held up");

    drop(one);
    first.left().await;
    let mut wire = ada.post(CALL).send().await;
    third.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200, "a place is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_attempts() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    // The minute may turn once meanwhile.
    let mut refused = None;
    for attempt in 1..=61 {
        let answer = ada.post(CALL).key(&format!("guess-{attempt}")).await;
        if answer.code() != "invalid_api_key" {
            assert!(attempt > 30, "refused at attempt {attempt}");
            refused = Some(answer);
            break;
        }
    }
    let answer = refused.expect("61 guesses were not throttled");
    rpc(&answer, 429, "too_many_attempts", json!(7));
    assert!((1..=60).contains(&retry_after(&answer)));
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_cap_reached() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().daily_cap(2).open().await.attendee().await;
    proxy.start().await;
    assert_eq!(ada.call().await.status, 200);
    assert_eq!(ada.call().await.status, 200);
    let answer = ada.call().await;
    let facts = rpc(&answer, 429, "daily_cap_reached", json!(7));
    assert_eq!((&facts["used"], &facts["limit"]), (&json!(2), &json!(2)));
    let midnight: jiff::Timestamp = facts["resets_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(midnight.as_second() % 86_400, 0, "UTC midnight");
    let left = midnight.as_second() - jiff::Timestamp::now().as_second();
    assert!((1..=86_400).contains(&left));
    assert!(retry_after(&answer).abs_diff(left as u64) <= 2, "{answer:?}");
    assert_eq!(ada.post(PING).await.status, 200, "what does not count still passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn backend_redirect_and_protocol_error() {
    let backend = Backend::answering(|request| match request.target.as_str() {
        "/mcp/redirect" => Reply::status(302).header("location", "/elsewhere"),
        _ => Reply::status(99),
    });
    let backend = backend.await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    for (path, code) in [("/redirect", "backend_redirect"), ("/nonsense", "backend_protocol_error")]
    {
        let answer = ada.post(CALL).to(&format!("{DEMO}{path}")).await;
        assert_eq!(rpc(&answer, 502, code, json!(7))["deployment"], "demo");
        assert_eq!(answer.header("location"), None);
        assert!(!answer.text().contains(&backend.addr.port().to_string()), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backend_unreachable() {
    let nobody = Nobody::new();
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &nobody.url()).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    let answer = ada.call().await;
    let facts = rpc(&answer, 503, "backend_unreachable", json!(7));
    assert_eq!(facts["deployment"], "demo");
    assert_eq!(retry_after(&answer), 5);
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
    assert_eq!(ada.used().await, 0, "what the backend never got is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn backend_timeout() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (_proxy, ada) = Proxy::serving_with(&backend, |config| {
        config.backend_timeout = "0.2".parse().expect("seconds");
    })
    .await;
    let mut wire = ada.post(CALL).send().await;
    let (mut visit, _) = visits.request().await;
    let answer = wire.answer().await.unwrap();
    assert_eq!(rpc(&answer, 503, "backend_timeout", json!(7))["deployment"], "demo");
    assert_eq!(retry_after(&answer), 5);
    visit.left().await;
    assert_eq!(ada.used().await, 1, "the backend got it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_is_the_requests_own_as_it_was_written() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let big = format!(r#"{{"id":"big","method":"ping","x":"{}"}}"#, "x".repeat(200_000));
    for (body, id) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#, json!(1)),
        (r#"{"method":"x","params":{"id":2},"id":"a\u0062\"c"}"#, json!("ab\"c")),
        (r#"{"id":-1.5,"method":"x"}"#, json!(-1.5)),
        (r#"{"id":null,"method":"x"}"#, json!(null)),
        (r#"{"id":{"a":1},"method":"x"}"#, json!(null)),
        (r#"{"method":"notifications/x"}"#, json!(null)),
        (r#"[{"method":"notifications/x"},{"id":3,"method":"x"}]"#, json!(3)),
        (r#"{"id":4,"method":"x""#, json!(4)),
        (&big, json!("big")),
        ("nonsense", json!(null)),
        ("", json!(null)),
    ] {
        let answer = ada.post(body).key("unknown").await;
        rpc(&answer, 401, "invalid_api_key", id);
    }
    let answer = ada.post(r#"{"id":12345678901234567890123,"method":"x"}"#).key("unknown").await;
    assert!(answer.text().contains(r#""id":12345678901234567890123,"#), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_is_waited_for_a_second_and_no_longer() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let refused = ada.ask("POST", DEMO).key("unknown").header("content-length", "100").head();
    for (soon, late, id) in
        [("", "", json!(null)), (r#"{"id":7,"#, "", json!(7)), ("", r#"{"id":8,"#, json!(8))]
    {
        let mut wire = proxy.wire().await;
        let began = std::time::Instant::now();
        wire.send(&refused).await.unwrap();
        wire.send(soon).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        wire.send(late).await.unwrap();
        let answer = wire.answer().await.unwrap();
        let took = began.elapsed().as_millis();
        rpc(&answer, 401, "invalid_api_key", id);
        assert!((900..2500).contains(&took), "{took} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn route_not_found() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for path in ["/api", "/api/v1", "/api/v1/", "/api/v1/mcp", "/api/v2/mcp/demo", "/mcp/demo"] {
        plain(&ada.ask("GET", path).await, 404, "route_not_found");
        plain(&proxy.ask("POST", path).await, 404, "route_not_found");
    }
}
