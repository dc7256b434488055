//! What the proxy says of itself, of events and of the caller.

use ai_proxy::catalog::attendee;
use ai_proxy::catalog::event::Draft as Fields;
use ai_proxy::catalog::resource::{Draft, ResourceType};
use ai_proxy::clock::now_ms;
use ai_proxy::config::OauthMode;
use serde_json::{Value, json};

use crate::harness::attendee::Attendee;
use crate::harness::backend::Backend;
use crate::harness::event::Event;
use crate::harness::proxy::Proxy;
use crate::harness::refusal::plain;
use crate::harness::{CALL, CHANGE, within};

/// An event with two MCP servers, a model, and one that is switched off.
async fn event(proxy: &Proxy, backend: &Backend) -> (Event, Attendee) {
    proxy.resource("mcp-demo", &backend.url()).await;
    proxy.resource("another", &backend.url()).await;
    let draft = |deployment: &str, kind| Draft {
        deployment: deployment.into(),
        endpoint: backend.url(),
        kind,
        ..Draft::default()
    };
    proxy.save(draft("gpt", ResourceType::FoundryModel)).await;
    proxy.save(Draft { active: false, ..draft("off", ResourceType::McpServer) }).await;
    let plan = proxy.event().daily_cap(5).resources(["mcp-demo", "gpt", "off", "another"]);
    let plan = plan.with(|draft| {
        draft.name = "Demo workshop".into();
        draft.description = "# Welcome".into();
        draft.start = "2026-07-01T09:00".into();
        draft.end = "2998-07-01T18:00".into();
        draft.time_zone = "Europe/Berlin".into();
        draft.max_token_cap = 99;
    });
    let event = plan.open().await;
    let ada = event.attendee().await;
    (event, ada)
}

#[tokio::test(flavor = "multi_thread")]
async fn eventinfo_is_what_a_key_opens() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    let (_, ada) = event(&proxy, &backend).await;
    proxy.start().await;
    let answer = ada.ask("POST", "/api/v1/eventinfo").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        answer.json(),
        json!({
            "is_authorized": true,
            "max_token_cap": 99,
            "event_code": "Demo workshop",
            "organizer_name": "Ada",
            "organizer_email": "ada@example.org",
            "capabilities": {"mcp-server": ["mcp-demo", "another"], "foundry-model": ["gpt"]},
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_shown_to_everybody() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    let (event, _) = event(&proxy, &backend).await;
    proxy
        .start_with(|config| config.public_url = Some("https://proxy.example/".parse().unwrap()))
        .await;
    let answer = proxy.ask("GET", &format!("/api/v1/event/{}", event.id)).await;
    assert_eq!(answer.status, 200);
    let mcp = |name: &str| {
        let url = format!("https://proxy.example/api/v1/mcp/{name}/mcp");
        json!({"deployment_name": name, "endpoint_url": url})
    };
    let expected = json!({
        "event_id": event.id,
        "event_code": "Demo workshop",
        "organizer_name": "Ada",
        "event_markdown": "# Welcome",
        "start_timestamp": "2026-07-01T09:00",
        "end_timestamp": "2998-07-01T18:00",
        "time_zone_label": "Europe/Berlin",
        "time_zone_offset": 120,
        "proxy_url": "https://proxy.example/api/v1",
        "foundry_toolkit_endpoints": [],
        "mcp_server_endpoints": [mcp("mcp-demo"), mcp("another")],
        "capabilities": {"mcp-server": ["mcp-demo", "another"], "foundry-model": ["gpt"]},
    });
    assert_eq!(answer.json(), expected, "these and no others: anybody may read them");
    let text = answer.text();
    assert!(!text.contains(&backend.addr.port().to_string()), "no backend's address: {text}");
    plain(&proxy.ask("GET", "/api/v1/event/0000-0000").await, 404, "event_not_found");
    plain(&proxy.ask("GET", "/api/v1/event/").await, 404, "route_not_found");
    plain(&proxy.ask("GET", "/api/v1/event/x/y").await, 404, "route_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_known_once_it_was_switched_on() {
    let mut proxy = Proxy::new().await;
    let later = |draft: &mut Fields| draft.start = "2998-07-01T09:00".into();
    let off = |draft: &mut Fields| draft.active = false;
    let mut draft = proxy.event().with(later).with(off).open().await;
    let scheduled = proxy.event().with(later).open().await;
    let mut paused = proxy.event().open().await;
    paused.change(off).await;
    let ended = proxy.event().with(|draft| draft.end = "2001-01-01T00:00".into()).open().await;
    proxy.start().await;
    let ask = |event: &Event| proxy.ask("GET", &format!("/api/v1/event/{}", event.id));
    for known in [&scheduled, &paused, &ended] {
        assert_eq!(ask(known).await.json()["event_id"], known.id);
    }
    let unknown = proxy.ask("GET", "/api/v1/event/0000-0000").await;
    plain(&unknown, 404, "event_not_found");
    let hidden = ask(&draft).await;
    assert_eq!((hidden.status, hidden.text()), (404, unknown.text()), "as if there were none");
    draft.change(|draft| draft.active = true).await;
    within(CHANGE, "it is switched on", async || ask(&draft).await.status == 200).await;
}

/// Whoever hosts a front end elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_reads_an_event_and_the_callers_usage() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    let (event, ada) = event(&proxy, &backend).await;
    let page = "https://lab.example";
    proxy.start_with(|config| config.allowed_origins = vec![page.to_owned()]).await;
    let path = format!("/api/v1/event/{}", event.id);
    for (answer, status) in [
        (proxy.ask("GET", &path).header("origin", page).await, 200),
        (proxy.ask("GET", "/api/v1/event/0000-0000").header("origin", page).await, 404),
        (ada.ask("GET", "/api/v1/usage").header("origin", page).await, 200),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some(page));
    }
    let elsewhere = proxy.ask("GET", &path).header("origin", "https://evil.example").await;
    plain(&elsewhere, 403, "origin_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_is_never_echoed() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    let (event, _) = event(&proxy, &backend).await;
    proxy.start().await;
    let path = format!("/api/v1/event/{}", event.id);
    let url = async |host: &str| {
        let answer = proxy.ask("GET", &path).header("host", host).await;
        answer.json()["proxy_url"].as_str().unwrap().to_owned()
    };
    for host in ["192.0.2.5:8910", "192.0.2.5", "localhost:1234", "[2001:db8::1]:8910"] {
        assert_eq!(url(host).await, format!("http://{host}/api/v1"));
    }
    for host in
        ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example"]
    {
        assert!(!url(host).await.contains("evil"), "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_front_with_tls_the_address_is_https() {
    let backend = Backend::start().await;
    for (trusted, address) in
        [(true, "https://192.0.2.5/api/v1"), (false, "http://192.0.2.5/api/v1")]
    {
        let mut proxy = Proxy::new().await;
        let (event, _) = event(&proxy, &backend).await;
        proxy
            .start_with(|config| {
                if trusted {
                    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
                }
            })
            .await;
        let asked = proxy.ask("GET", &format!("/api/v1/event/{}", event.id));
        let answer = asked.header("host", "192.0.2.5").header("x-forwarded-proto", "https").await;
        assert_eq!(answer.json()["proxy_url"], address);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_the_callers_own() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    let (event, ada) = event(&proxy, &backend).await;
    let bob = event.attendee().await;
    proxy.start().await;
    for _ in 0..2 {
        assert_eq!(ada.post(CALL).to("/api/v1/mcp/mcp-demo").await.status, 200);
    }
    let usage = ada.usage().await;
    assert_eq!((&usage["used"], &usage["limit"]), (&json!(2), &json!(5)));
    let midnight: jiff::Timestamp = usage["resets_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(midnight.as_second() % 86_400, 0);
    let line = &usage["usage"][0];
    assert_eq!((&line["resource"], &line["name"]), (&json!("mcp-demo"), &json!("echo")));
    let usage = bob.usage().await;
    assert_eq!((&usage["used"], &usage["usage"]), (&json!(0), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_nothing_left_sees_what_was_refused_and_pays_nothing_for_it() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().daily_cap(1).open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    assert_eq!(ada.call().await.status, 200);
    assert_eq!(ada.ask("GET", "/api/v1/mcp/nobody").await.code(), "deployment_not_found");
    assert_eq!(ada.call().await.code(), "daily_cap_reached");
    let codes = |usage: &Value| -> Vec<String> {
        let refusals = usage["last_refusals"].as_array().unwrap().iter();
        refusals.map(|refusal| refusal["code"].as_str().unwrap().to_owned()).collect()
    };
    for _ in 0..2 {
        let usage = ada.usage().await;
        assert_eq!((&usage["used"], &usage["limit"]), (&json!(1), &json!(1)));
        assert_eq!(codes(&usage), ["daily_cap_reached", "deployment_not_found"]);
        let at: jiff::Timestamp =
            usage["last_refusals"][0]["at"].as_str().unwrap().parse().unwrap();
        assert!((now_ms() - at.as_millisecond()).abs() < 60_000, "{at}");
    }
    assert_eq!(codes(&bob.usage().await), Vec::<String>::new());
    attendee::set_cap(&proxy.store.db, &proxy.store.by, &ada.id, Some(3)).await.unwrap();
    assert_eq!(ada.usage().await["limit"], 3);
    proxy.stop().await;
    proxy.start().await;
    assert_eq!(codes(&ada.usage().await), ["daily_cap_reached"], "the store has the last one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_is_remembered_by_the_next_process() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().daily_cap(5).open().await.attendee().await;
    proxy.start().await;
    for _ in 0..3 {
        assert_eq!(ada.call().await.status, 200);
    }
    proxy.stop().await;
    proxy.start().await;
    let answer = ada.post(crate::harness::PING).await;
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("2"));
    assert_eq!(ada.used().await, 3);
    let usage = ada.usage().await;
    let call = usage["usage"].as_array().unwrap().iter().find(|line| line["name"] == "echo");
    assert_eq!(call.unwrap()["requests"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_editors_probe_is_a_plain_404_where_nobody_can_sign_in() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving_with(&backend, |config| config.oauth = OauthMode::Off).await;
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/api/v1/mcp/demo/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/api/v1/mcp/demo/mcp",
        "/.well-known/openid-configuration",
        "/api/v1/mcp/demo/mcp/.well-known/openid-configuration",
        "/api/v1/mcp/demo/.well-known/oauth-authorization-server",
        "/register",
        "/authorize",
        "/token",
        "/revoke",
    ] {
        for method in ["GET", "POST"] {
            for ask in [proxy.ask(method, path).json("{}"), ada.ask(method, path)] {
                let answer = ask.await;
                plain(&answer, 404, "route_not_found");
                // People are shown this in place of the 401 that led here.
                let said = "There is no sign-in here. The API key of the request before was \
                            missing or refused";
                assert!(answer.text().contains(said), "{path}: {}", answer.text());
            }
        }
    }
    let other = proxy.ask("GET", "/api/v1/nothing").await;
    assert!(!other.text().contains("sign-in"), "{}", other.text());
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_said_without_a_key() {
    let backend = Backend::start().await;
    let (proxy, _) = Proxy::serving(&backend).await;
    for path in ["/healthz", "/readyz"] {
        let answer = proxy.ask("GET", path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    }
}
