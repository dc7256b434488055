//! Calls of clients that have signed in: whose they are, where their token is good, and what they are
//! told when it is not.

use ai_proxy::catalog::oauth::{self, ACCESS_MS, LEEWAY_MS, NewCode, NewGrant, TokenPair};
use ai_proxy::catalog::{Error, attendee};
use ai_proxy::clock::{day_of, now_ms};
use ai_proxy::config::OauthMode;
use secrecy::ExposeSecret;

use crate::harness::attendee::{Ask, Attendee, DEMO};
use crate::harness::backend::Backend;
use crate::harness::event::Event;
use crate::harness::proxy::Proxy;
use crate::harness::refusal::{facts, rpc};
use crate::harness::reply::Reply;
use crate::harness::wire::Answer;
use crate::harness::{CALL, CHANGE, PING, within};

/// What the attendee allowed a client.
fn grant<'a>(who: &'a Attendee, deployment: Option<&'a str>) -> NewGrant<'a> {
    NewGrant {
        attendee_id: &who.id,
        client_id: "the client",
        client_name: "Editor",
        redirect_host: "localhost",
        deployment,
        shared_code: None,
        is_proven: true,
        session_id: &who.id,
    }
}

/// Signs everybody in, in a session with their own id.
const SIGN_IN: &str =
    "insert into attendee_session (digest, attendee_id, way, agent, created_at, last_seen_at)
    select id, id, 'joined', 'Firefox', 1, 1 from attendee
    where not exists (select 1 from attendee_session where digest = attendee.id)";

/// The tokens of a client.
async fn allow(proxy: &Proxy, grant: &NewGrant<'_>) -> TokenPair {
    let (db, vault) = (&proxy.store.db, &proxy.store.vault);
    sqlx::query(SIGN_IN).execute(db.writer()).await.unwrap();
    let code = NewCode { redirect_uri: "http://localhost/", challenge: "challenge" };
    let code = oauth::authorize(db, vault, grant, &code, now_ms()).await.unwrap();
    let allow = |_: &_| Ok::<_, Error>(());
    oauth::redeem(db, vault, code.expose_secret(), now_ms(), allow).await.unwrap().unwrap()
}

/// An access token of the attendee for the deployment, as it is sent.
async fn token(proxy: &Proxy, who: &Attendee, deployment: Option<&str>) -> String {
    let tokens = allow(proxy, &grant(who, deployment)).await;
    format!("Bearer {}", tokens.access.expose_secret())
}

/// A message that does not count, with this bearer and no key.
fn ping(proxy: &Proxy, bearer: &str) -> Ask {
    proxy.ask("POST", DEMO).json(PING).header("authorization", bearer)
}

/// The status of an answer, and the code of a refusal.
fn said(answer: &Answer) -> (u16, String) {
    let code = if answer.status < 400 { String::new() } else { answer.code() };
    (answer.status, code)
}

/// A refusal that has a client sign in again.
#[track_caller]
fn ends(answer: &Answer, code: &str) {
    assert_eq!(said(answer), (401, code.to_owned()), "{}", answer.text());
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with(r#"Bearer error="invalid_token", resource_metadata=""#));
}

async fn room(backend: &Backend) -> (Proxy, Event, Attendee) {
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    proxy.resource("other", &backend.url()).await;
    let event = proxy.event().open().await;
    let ada = event.attendee().await;
    proxy.start().await;
    (proxy, event, ada)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_calls_as_its_attendee_and_goes_no_further() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let ada = proxy.event().daily_cap(2).open().await.attendee().await;
    proxy.start().await;
    let bearer = token(&proxy, &ada, Some("demo")).await;
    let call = || proxy.ask("POST", DEMO).json(CALL).header("authorization", &bearer);
    assert_eq!(ada.call().await.status, 200);
    let answer = call().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
    rpc(&call().await, 429, "daily_cap_reached", 7.into());
    assert_eq!(ada.used().await, 2, "one cap for both");
    for request in backend.requests() {
        assert!(!format!("{request:?}").contains("aipx_at_"), "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_token_decides_whatever_key_is_beside_it_and_a_dead_one_does_not() {
    let backend = Backend::start().await;
    let (proxy, event, ada) = room(&backend).await;
    let bob = event.attendee().await;
    let live = token(&proxy, &ada, Some("demo")).await;
    let elsewhere = token(&proxy, &ada, Some("other")).await;
    let caller = async |bearer: &str, key: &str| {
        let answer = ping(&proxy, bearer).header("api-key", key).await;
        (answer.status, proxy.app().plane.lives.all().len(), answer)
    };
    for key in ["wrong-key", "", "x", &ada.key] {
        assert_eq!(caller(&live, key).await.0, 200, "{key}");
    }
    let (status, people, _) = caller(&live, &bob.key).await;
    assert_eq!((status, people), (200, 1), "it is Ada who called");
    for dead in [&elsewhere, "Bearer aipx_at_unknown"] {
        let (status, people, _) = caller(dead, &bob.key).await;
        assert_eq!((status, people), (200, 2), "it is Bob who called");
        for key in ["wrong-key", "x", ""] {
            ends(&caller(dead, key).await.2, "invalid_token");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_call_without_a_credential_is_challenged_where_it_was_sent() {
    let backend = Backend::start().await;
    let (proxy, _ada) = Proxy::serving_with(&backend, |config| {
        config.public_url = Some("https://proxy.example".parse().unwrap());
    })
    .await;
    for (host, base) in [
        ("proxy.example", "https://proxy.example"),
        ("127.0.0.1:8910", "http://127.0.0.1:8910"),
        ("localhost:1", "http://localhost:1"),
        ("evil.example", "https://proxy.example"),
    ] {
        for target in [DEMO.to_owned(), format!("{DEMO}/"), format!("{DEMO}/mcp/?a=b&c")] {
            let ask = proxy.ask("POST", &target).json(PING).header("host", host);
            let answer = ask.await;
            assert_eq!(said(&answer), (401, "missing_api_key".into()));
            let metadata = format!("{base}/.well-known/oauth-protected-resource{target}");
            let expected = format!(r#"Bearer resource_metadata="{metadata}", scope="mcp""#);
            assert_eq!(answer.header("www-authenticate"), Some(&*expected));
        }
    }

    let ask = || proxy.ask("POST", DEMO).json(PING);
    for empty in [ask().header("api-key", ""), ask().header("authorization", "Bearer ")] {
        let answer = empty.await;
        assert_eq!(said(&answer), (401, "missing_api_key".into()));
        assert!(answer.header("www-authenticate").is_some());
    }
    for wrong in [
        ask().header("api-key", "wrong-key"),
        ask().header("api-key", "x"),
        ask().header("authorization", "Bearer wrong-key"),
        ask().header("authorization", "Bearer aipx_rt_0123456789"),
    ] {
        facts(&wrong.await, 401, "invalid_api_key");
    }
    let of_the_portal = format!("aip_{}", "0123456789abcdef".repeat(4));
    let bearer = format!("Bearer {of_the_portal}");
    for wrong in [ask().header("api-key", &of_the_portal), ask().header("authorization", &bearer)] {
        let answer = wrong.await;
        facts(&answer, 401, "invalid_api_key");
        assert!(
            String::from_utf8_lossy(&answer.body).contains("API token of the portal"),
            "{answer:?}"
        );
    }
    facts(&proxy.ask("GET", "/api/v1/usage").await, 401, "missing_api_key");
    facts(&proxy.ask("POST", "/api/v1/eventinfo").await, 401, "missing_api_key");
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_sign_in_there_are_no_tokens_and_no_challenges() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving_with(&backend, |config| config.oauth = OauthMode::Off).await;
    let bearer = token(&proxy, &ada, None).await;
    facts(&proxy.ask("POST", DEMO).json(PING).await, 401, "missing_api_key");
    facts(&ping(&proxy, &bearer).await, 401, "invalid_api_key");
    assert_eq!(ada.fares().await, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_the_server_it_was_asked_for() {
    let backend = Backend::start().await;
    let (proxy, _event, ada) = room(&backend).await;
    let (one, all) = (token(&proxy, &ada, Some("demo")).await, token(&proxy, &ada, None).await);
    for path in ["", "/", "/mcp", "/mcp/", "?x=1"] {
        let answer = ping(&proxy, &one).to(&format!("{DEMO}{path}")).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(ping(&proxy, &one).to("/api/v1/mcp/d%65mo").await.status, 200);
    ends(&ping(&proxy, &one).to("/api/v1/mcp/other").await, "invalid_token");
    ends(&ping(&proxy, &one).to("/api/v1/mcp/nobody").await, "invalid_token");
    for path in [DEMO, "/api/v1/mcp/other"] {
        assert_eq!(ping(&proxy, &all).to(path).await.status, 200, "{path}");
    }
    let nobody = ping(&proxy, &all).to("/api/v1/mcp/nobody").await;
    facts(&nobody, 404, "deployment_not_found");

    // It is no key, whether it is cached or not.
    for bearer in [&all, &token(&proxy, &ada, None).await] {
        let token = bearer.trim_start_matches("Bearer ");
        facts(&proxy.ask("POST", DEMO).json(PING).key(token).await, 401, "invalid_api_key");
        for (method, path) in [("GET", "/api/v1/usage"), ("POST", "/api/v1/eventinfo")] {
            let answer = proxy.ask(method, path).header("authorization", bearer).await;
            facts(&answer, 401, "invalid_api_key");
        }
    }
    ends(&ping(&proxy, &format!("Bearer aipx_at_{}", ada.key)).await, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_event_or_proxy_is_none_here() {
    let backend = Backend::start().await;
    let (proxy, _event, _ada) = room(&backend).await;
    let (elsewhere, _, eve) = room(&backend).await;
    ends(&ping(&proxy, &token(&elsewhere, &eve, None).await).await, "invalid_token");
    let other = proxy.event().resources(["other"]).open().await.attendee().await;
    let bearer = token(&proxy, &other, None).await;
    within(CHANGE, "the event is known", async || {
        said(&ping(&proxy, &bearer).await) == (404, "deployment_not_found".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_held_stays_signed_in_and_who_has_ended_signs_in_again() {
    let backend = Backend::start().await;
    let (proxy, mut event, ada) = room(&backend).await;
    let store = &proxy.store;
    let tokens = allow(&proxy, &grant(&ada, Some("demo"))).await;
    let bearer = format!("Bearer {}", tokens.access.expose_secret());
    let ask = || ping(&proxy, &bearer);
    let comes_to = async |status: u16, code: &str| {
        within(CHANGE, code, async || {
            // A change may cut a call that is under way.
            let answer = ask().send().await.answer().await;
            answer.is_ok_and(|answer| said(&answer) == (status, code.to_owned()))
        })
        .await;
        let answer = ask().await;
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{code}");
        if status == 401 {
            ends(&answer, code);
        }
    };
    comes_to(200, "").await;
    ada.set_active(false).await;
    comes_to(403, "attendee_disabled").await;
    ada.set_active(true).await;
    comes_to(200, "").await;
    event.change(|draft| draft.active = false).await;
    comes_to(403, "event_inactive").await;
    event.change(|draft| draft.active = true).await;
    comes_to(200, "").await;
    event.change(|draft| draft.start = "2998-01-01T00:00".into()).await;
    comes_to(403, "event_not_started").await;
    event.change(|draft| draft.start = "2000-01-01T00:00".into()).await;
    event.change(|draft| draft.end = "2001-01-01T00:00".into()).await;
    comes_to(401, "event_ended").await;
    ada.set_active(false).await;
    event.change(|draft| draft.active = false).await;
    comes_to(401, "event_ended").await;
    ada.set_active(true).await;
    event.change(|draft| draft.active = true).await;
    event.change(|draft| draft.end = "2999-01-01T00:00".into()).await;
    comes_to(200, "").await;

    let others = token(&proxy, &ada, None).await;
    assert_eq!(ping(&proxy, &others).await.status, 200);
    let allow = |_: &_| Ok::<_, Error>(());
    let refresh = tokens.refresh.expose_secret();
    oauth::revoke(&store.db, &store.vault, refresh, allow).await.unwrap();
    comes_to(401, "invalid_token").await;
    assert_eq!(ping(&proxy, &others).await.status, 200, "another client's");
    attendee::new_key(&store.db, &store.vault, &store.by, &ada.id).await.unwrap();
    within(CHANGE, "a new key ends it", async || ping(&proxy, &others).await.status == 401).await;
    let last = token(&proxy, &ada, None).await;
    assert_eq!(ping(&proxy, &last).await.status, 200);
    attendee::delete(&store.db, &store.by, &ada.id, day_of(now_ms())).await.unwrap();
    within(CHANGE, "a deletion ends it", async || ping(&proxy, &last).await.status == 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_shared_code_ends_the_tokens_of_those_who_came_by_it() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let mut event = proxy.event().shared_code("welcome1").open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    let by_code = NewGrant { shared_code: Some("Welcome1"), ..grant(&ada, None) };
    let by_code = allow(&proxy, &by_code).await;
    let by_code = format!("Bearer {}", by_code.access.expose_secret());
    let by_card = token(&proxy, &bob, None).await;
    assert_eq!(ping(&proxy, &by_code).await.status, 200);
    event.change(|draft| draft.shared_code = Some("WELCOME1".to_owned().into())).await;
    event.change(|draft| draft.shared_code = Some("welcome2".to_owned().into())).await;
    let fares = async || said(&ping(&proxy, &by_code).await);
    within(CHANGE, "another code", async || fares().await.0 == 401).await;
    ends(&ping(&proxy, &by_code).await, "invalid_token");
    assert_eq!(ping(&proxy, &by_card).await.status, 200);
    event.change(|draft| draft.shared_code = None).await;
    within(CHANGE, "no code", async || fares().await.0 == 401).await;
    event.change(|draft| draft.shared_code = Some("welcome1".to_owned().into())).await;
    within(CHANGE, "the same code again", async || fares().await.0 == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_expires_a_minute_after_its_time() {
    let backend = Backend::start().await;
    let (proxy, _event, ada) = room(&backend).await;
    let begun = now_ms();
    let bearer = token(&proxy, &ada, None).await;
    let clock = &proxy.app().clock;
    assert_eq!(ping(&proxy, &bearer).await.status, 200);
    clock.set(begun + ACCESS_MS + LEEWAY_MS - 1_000);
    assert_eq!(ping(&proxy, &bearer).await.status, 200);
    clock.set(now_ms() + ACCESS_MS + LEEWAY_MS + 1_000);
    ends(&ping(&proxy, &bearer).await, "invalid_token");
    assert_eq!(ping(&proxy, &bearer).header("api-key", &ada.key).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_known_to_every_replica_at_once_and_a_warm_call_asks_no_store() {
    let backend = Backend::start().await;
    let (proxy, _event, ada) = room(&backend).await;
    let other = proxy.replica().await;
    let bearer = token(&proxy, &ada, Some("demo")).await;
    assert_eq!(ping(&proxy, &bearer).at(&other).await.status, 200);
    assert_eq!(ping(&proxy, &bearer).await.status, 200);
    sqlx::query("alter table oauth_token rename to away")
        .execute(proxy.store.db.writer())
        .await
        .unwrap();
    for _ in 0..5 {
        assert_eq!(ping(&proxy, &bearer).await.status, 200);
        assert_eq!(ping(&proxy, &bearer).at(&other).await.status, 200);
    }
    let cold = format!("{bearer}0");
    facts(&ping(&proxy, &cold).await, 503, "store_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_tokens_are_counted_and_right_ones_pass() {
    let backend = Backend::start().await;
    let (proxy, _event, ada) = room(&backend).await;
    let now = now_ms();
    // At the start of a minute, which wrong ones are counted in.
    proxy.app().clock.set(now - now % 60_000 + 60_000);
    for n in 0..30 {
        ends(&ping(&proxy, &format!("Bearer aipx_at_{n}")).await, "invalid_token");
    }
    facts(&ping(&proxy, "Bearer aipx_at_30").await, 429, "too_many_attempts");
    assert_eq!(ping(&proxy, &token(&proxy, &ada, None).await).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_disconnected_hears_the_end_and_others_go_on() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, _event, ada) = room(&backend).await;
    let tokens = allow(&proxy, &grant(&ada, None)).await;
    let bearer = format!("Bearer {}", tokens.access.expose_secret());
    let get = proxy.ask("GET", DEMO).header("accept", "text/event-stream");
    let mut stream = get.header("authorization", &bearer).send().await;
    let (mut streaming, _) = visits.request().await;
    streaming.begin_events().await;
    assert_eq!(stream.head().await.unwrap().status, 200);
    let mut call = ping(&proxy, &bearer).send().await;
    let (mut unanswered, _) = visits.request().await;
    let mut other = ada.post(PING).send().await;
    let (mut answered, _) = visits.request().await;

    let allow = |_: &_| Ok::<_, Error>(());
    let access = tokens.access.expose_secret();
    oauth::revoke(&proxy.store.db, &proxy.store.vault, access, allow).await.unwrap();
    stream.ends().await;
    ends(&call.answer().await.expect("a refusal"), "invalid_token");
    streaming.left().await;
    unanswered.left().await;
    ends(&ping(&proxy, &bearer).await, "invalid_token");

    answered.reply(Reply::json("{}")).await;
    assert_eq!(other.answer().await.unwrap().status, 200);
}
