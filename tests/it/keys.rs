//! API keys: where they stand, what they look like, how long they work.

use ai_proxy::catalog::resource::{self, KeyChange};
use ai_proxy::catalog::{attendee, event};
use ai_proxy::clock::{day_of, now_ms};
use ai_proxy::proxy::caller::is_open;
use ai_proxy::proxy::error::ProxyError;

use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Request;
use crate::harness::{CALL, CHANGE, PING, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_in_api_key_or_else_in_authorization() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    let bearer = |scheme: &str| format!("{scheme} {}", ada.key);
    let ask = || proxy.ask("POST", DEMO).json(PING);
    for (request, status, code) in [
        (ask().header("API-KEY", &ada.key), 200, ""),
        (ask().header("authorization", &bearer("Bearer")), 200, ""),
        (ask().header("Authorization", &bearer("bEARER")), 200, ""),
        (ask().header("authorization", &bearer("Bearer  ")), 200, ""),
        (ask().header("api-key", &ada.key).header("authorization", "Bearer x-y"), 200, ""),
        (ask().header("api-key", "x-y").header("authorization", &bearer("Bearer")), 401, "invalid"),
        (ask().header("api-key", "").header("authorization", &bearer("Bearer")), 200, ""),
        (ask().header("api-key", ""), 401, "missing"),
        (ask().header("authorization", "Bearer "), 401, "missing"),
        (ask().header("authorization", &bearer("Basic")), 401, "missing"),
        (ask().header("authorization", &ada.key), 401, "missing"),
        (ask().header("x-api-key", &ada.key), 401, "missing"),
        (ask().to(&format!("{DEMO}?api-key={}", ada.key)), 401, "missing"),
    ] {
        let sent = request.head();
        let answer = request.await;
        let code = if code.is_empty() { String::new() } else { format!("{code}_api_key") };
        assert_eq!((answer.status, answer.code()), (status, code), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_on_every_route_in_either_header() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    for (method, path) in [("GET", "/api/v1/usage"), ("POST", "/api/v1/eventinfo")] {
        for (name, value) in
            [("api-key", ada.key.clone()), ("authorization", format!("Bearer {}", ada.key))]
        {
            assert_eq!(proxy.ask(method, path).header(name, &value).await.status, 200, "{path}");
        }
    }
}

/// As somebody types it who reads it from a screen.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_typed_by_hand_is_the_same_attendees() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().daily_cap(5).open().await;
    let ada = loop {
        let ada = event.attendee().await;
        if ada.key.contains('0') && ada.key.contains('1') {
            break ada;
        }
    };
    proxy.start().await;
    let capitals = ada.key.to_uppercase();
    let spellings =
        [ada.key.replace('0', "o").replace('1', "l"), capitals.replace('0', "O"), capitals];
    for (key, remaining) in spellings.iter().chain([&ada.key]).zip(["4", "3", "2", "1"]) {
        let answer = ada.post(CALL).key(key).await;
        assert_eq!(answer.status, 200, "{key}: {}", answer.text());
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(remaining));
    }
    let bearer = format!("Bearer {}", spellings[1]);
    let usage = proxy.ask("GET", "/api/v1/usage").header("authorization", &bearer).await;
    assert_eq!(usage.json()["used"], 4);
    let plane = &proxy.app().plane;
    assert_eq!((plane.keys.cache.len(), plane.lives.all().len()), (1, 1));
    let other = ada.key.replace('0', "u");
    assert_eq!(ada.post(CALL).key(&other).await.code(), "invalid_api_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_a_connection_is_its_own_callers() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    let mut wire = proxy.wire().await;
    for (key, status, remaining) in [
        (&ada.key, 200, Some("99999")),
        (&bob.key, 200, Some("99999")),
        (&"unknown".to_owned(), 401, None),
        (&ada.key, 200, Some("99998")),
    ] {
        let answer = wire.exchange(ada.post(CALL).key(key).bytes()).await.unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), remaining);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_key_is_no_guess() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    let long = "x".repeat(513);
    // More of them than guesses are allowed: nothing was looked up.
    for _ in 0..16 {
        for bad in ["x", "two words", "\u{e9}t\u{e9}\u{e9}", &long] {
            let answer = ada.post(PING).key(bad).await;
            assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_api_key"), "{bad}");
        }
    }
    let answer = ada.post(PING).key(&long[1..]).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_api_key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_of_the_window_belong_to_the_event() {
    let proxy = Proxy::new().await;
    // Summer time ends in between, at different wall clocks.
    let plan = proxy.event().with(|draft| {
        draft.start = "2026-10-25T01:30".into();
        draft.end = "2026-10-25T03:30".into();
        draft.time_zone = "Europe/Berlin".into();
    });
    let id = plan.open().await.id;
    let store = &proxy.store;
    let event = event::get(&store.db, &store.vault, &store.by.owner_id, &id).await.unwrap();
    let at = |instant: &str| instant.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let (start, end) = (at("2026-10-24T23:30:00Z"), at("2026-10-25T02:30:00Z"));
    assert_eq!(is_open(&event, start), Ok(()));
    assert_eq!(is_open(&event, end), Ok(()));
    assert!(matches!(is_open(&event, start - 1), Err(ProxyError::EventNotStarted(..))));
    assert!(matches!(is_open(&event, end + 1), Err(ProxyError::EventEnded(..))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_organiser_changes_is_in_force_within_two_seconds() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let mut event = proxy.event().open().await;
    let ada = event.attendee().await;
    proxy.start().await;
    assert_eq!(ada.post(PING).await.status, 200);

    ada.set_active(false).await;
    within(CHANGE, "a key is off", async || ada.fares().await == "attendee_disabled").await;
    ada.set_active(true).await;
    within(CHANGE, "a key is on", async || ada.fares().await == "ok").await;

    event.change(|draft| draft.active = false).await;
    within(CHANGE, "an event is off", async || ada.fares().await == "event_inactive").await;
    event.change(|draft| draft.active = true).await;
    within(CHANGE, "an event is on", async || ada.fares().await == "ok").await;

    event.change(|draft| draft.end = "2001-01-01T00:00".into()).await;
    within(CHANGE, "an event is over", async || ada.fares().await == "event_ended").await;
    event.change(|draft| draft.end = "2999-01-01T00:00".into()).await;
    within(CHANGE, "an event is open", async || ada.fares().await == "ok").await;

    let mut links = Vec::new();
    event.change(|draft| std::mem::swap(&mut draft.resources, &mut links)).await;
    within(CHANGE, "a link is cut", async || ada.fares().await == "deployment_not_found").await;
    event.change(|draft| draft.resources = links).await;
    within(CHANGE, "a link is made", async || ada.fares().await == "ok").await;

    let new = attendee::new_key(&proxy.store.db, &proxy.store.vault, &proxy.store.by, &ada.id);
    let new = secrecy::ExposeSecret::expose_secret(&new.await.unwrap()).to_owned();
    assert_eq!(ada.post(PING).key(&new).await.status, 200, "at once");
    within(CHANGE, "the old key is off", async || ada.fares().await == "invalid_api_key").await;

    let ada = Attendee { key: new, ..ada };
    attendee::delete(&proxy.store.db, &proxy.store.by, &ada.id, day_of(now_ms())).await.unwrap();
    within(CHANGE, "it is gone", async || ada.fares().await == "invalid_api_key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_changes_is_called_anew_within_two_seconds() {
    let (one, other) = (Backend::start().await, Backend::start().await);
    let mut proxy = Proxy::new().await;
    let id = proxy.resource("demo", &one.url()).await;
    let ada = proxy.event().open().await.attendee().await;
    proxy.start().await;
    assert_eq!(ada.fares().await, "ok");
    let draft = |key: &str| resource::Draft {
        id: Some(id.clone()),
        deployment: "demo".into(),
        endpoint: one.url(),
        key: KeyChange::Set(key.to_owned().into()),
        ..resource::Draft::default()
    };
    proxy.save(draft("another-key")).await;
    within(CHANGE, "another key", async || {
        ada.fares().await == "ok"
            && one.requests().last().unwrap().header("api-key") == Some("another-key")
    })
    .await;
    proxy.save(resource::Draft { endpoint: other.url(), ..draft("third-key") }).await;
    within(CHANGE, "another backend", async || {
        ada.fares().await == "ok" && !other.requests().is_empty()
    })
    .await;
    assert_eq!(other.requests()[0].header("api-key"), Some("third-key"));
    let third = |request: &Request| request.header("api-key") == Some("third-key");
    assert!(!one.requests().iter().any(third), "no key goes where it does not belong");
    proxy.save(resource::Draft { active: false, ..draft("third-key") }).await;
    within(CHANGE, "it is off", async || ada.fares().await == "deployment_off").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_of_ones_own_is_in_force_within_two_seconds() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let mut event = proxy.event().daily_cap(2).open().await;
    let ada = event.attendee().await;
    proxy.start().await;
    assert_eq!(ada.call().await.status, 200);
    assert_eq!(ada.call().await.status, 200);
    assert_eq!(ada.call().await.code(), "daily_cap_reached");
    let limit = async || {
        let answer = ada.post(PING).await;
        answer.header("x-ratelimit-limit-requests").unwrap().to_owned()
    };

    attendee::set_cap(&proxy.store.db, &proxy.store.by, &ada.id, Some(3)).await.unwrap();
    within(CHANGE, "a cap of one's own", async || limit().await == "3").await;
    assert_eq!(ada.call().await.status, 200);
    assert_eq!(ada.call().await.code(), "daily_cap_reached");

    attendee::set_cap(&proxy.store.db, &proxy.store.by, &ada.id, None).await.unwrap();
    event.change(|draft| draft.daily_request_cap = 4).await;
    within(CHANGE, "the event's again", async || limit().await == "4").await;
    assert_eq!(ada.call().await.status, 200);
    assert_eq!(ada.call().await.code(), "daily_cap_reached");

    event.change(|draft| draft.daily_request_cap = 1).await;
    within(CHANGE, "a lower one", async || limit().await == "1").await;
    let answer = ada.call().await;
    assert_eq!(answer.code(), "daily_cap_reached");
    assert_eq!((&answer.facts()["used"], &answer.facts()["limit"]), (&4.into(), &1.into()));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
}
