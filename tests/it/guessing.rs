//! Guessing keys is throttled by source address; the room that shares the
//! address notices nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::attendee::{Ask, DEMO};
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::{CALL, PING, eventually};

/// Guesses until it is throttled. The minute may turn once meanwhile.
async fn exhaust(guess: impl Fn(u32) -> Ask) {
    for attempt in 1..=61 {
        match guess(attempt).await.code().as_str() {
            "invalid_api_key" => {}
            "too_many_attempts" => {
                assert!(attempt > 30, "throttled at attempt {attempt}");
                return;
            }
            other => panic!("{other}"),
        }
    }
    panic!("61 guesses were not throttled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_behind_one_address_works_while_one_in_it_guesses() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().shared_code("welcome1").open().await;
    let known = event.attendee().await;
    proxy.start().await;
    let post = |key: &str| proxy.ask("POST", DEMO).json(CALL).header("api-key", key);
    let early = event.shared_key("welcome1", "early@example.org");
    assert_eq!(post(&early).await.status, 200);
    let guess = |n: u32| post(&event.shared_key(&format!("welcome{n}x"), "mallory@example.org"));
    exhaust(&guess).await;

    for n in 0..3 {
        // A key never used before, a name never seen before, those who are in.
        let fresh = event.attendee().await;
        assert_eq!(post(&fresh.key).await.status, 200);
        let late = event.shared_key("welcome1", &format!("late-{n}@example.org"));
        assert_eq!(post(&late).await.status, 200);
        assert_eq!(post(&early).await.status, 200);
        assert_eq!(known.call().await.status, 200);
        let answer = guess(1000 + n).await;
        // The minute may have turned.
        assert!(matches!(answer.status, 429 | 401), "{answer:?}");
    }
}

/// Where a client is, as a trusted proxy says.
const GUESSER: &str = "198.51.100.7";
const ELSEWHERE: &str = "198.51.100.8";

#[tokio::test(flavor = "multi_thread")]
async fn past_thirty_wrong_codes_a_source_waits_for_each_further_one() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().shared_code("welcome1").open().await;
    let other = proxy.event().shared_code("welcome1").open().await;
    proxy.start_with(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let from = |source: &str, key: &str| {
        proxy.ask("POST", DEMO).json(PING).header("api-key", key).header("x-forwarded-for", source)
    };
    let known = event.shared_key("welcome1", "known@example.org");
    let joined = event.shared_key("welcome1", "joined@example.org");
    assert_eq!(from(GUESSER, &known).await.status, 200);
    assert_eq!(from(ELSEWHERE, &joined).await.status, 200);
    let wrong = |n: u32| event.shared_key(&format!("guess{n:03}"), "mallory@example.org");
    exhaust(|n| from(GUESSER, &wrong(n))).await;

    // As many guesses at once as anybody likes: one a second is compared.
    let began = Instant::now();
    let mut guesses = Vec::new();
    for n in 100..300 {
        guesses.push(from(GUESSER, &wrong(n)).send().await);
    }
    let plane = &proxy.app().plane;
    plane.keys.cache.remove(&plane.control.vault.digest(&joined));
    let again = from(GUESSER, &joined).send().await;
    // Nobody else waits, and nothing that is cached.
    assert_eq!(from(GUESSER, &known).await.status, 200);
    let elsewhere = event.shared_key("welcome1", "bob@example.org");
    assert_eq!(from(ELSEWHERE, &elsewhere).await.status, 200);
    let in_other = other.shared_key("welcome1", "bob@example.org");
    assert_eq!(from(GUESSER, &in_other).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let mut again = again;
    assert_eq!(again.answer().await.unwrap().status, 200, "who has joined has the next turn");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let mut refused_at_once = 0;
    for guess in &mut guesses {
        let answer = guess.answer().await.unwrap();
        assert!(matches!(answer.status, 429 | 401), "{answer:?}");
        refused_at_once += u32::from(answer.header("retry-after") == Some("10"));
    }
    assert!(refused_at_once >= 180, "only {refused_at_once} were not compared");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let db = &proxy.store.db;
    eventually("the organiser is warned", async || {
        let now = ai_proxy::clock::now_ms();
        let tries = ai_proxy::catalog::event::guesses::recent(db, &event.id, now).await.unwrap();
        (200..=300).contains(&tries)
    })
    .await;
    let now = ai_proxy::clock::now_ms();
    assert_eq!(ai_proxy::catalog::event::guesses::recent(db, &other.id, now).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_served_by_a_restarted_replica_while_one_in_it_sends_unknown_keys() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let attendees = proxy.event().open().await.attendees(200).await;
    proxy.start().await;
    proxy.stop().await;
    proxy.start().await;
    let proxy = Arc::new(proxy);
    let guesser = tokio::spawn({
        let proxy = proxy.clone();
        async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(10));
            let mut wires = Vec::new();
            for n in 0_u32.. {
                ticks.tick().await;
                let key = format!("{n:064x}");
                wires.push(proxy.ask("POST", DEMO).json(PING).header("api-key", &key).send().await);
            }
        }
    });
    let throttled = || proxy.ask("POST", DEMO).json(PING).header("api-key", "an-unknown-key");
    eventually("the source guesses too much", async || {
        throttled().await.code() == "too_many_attempts"
    })
    .await;
    let began = Instant::now();
    let calls: Vec<_> = attendees
        .into_iter()
        .map(|attendee| tokio::spawn(async move { attendee.call().await.status }))
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    guesser.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_are_throttled_on_every_route() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::serving(&backend).await;
    exhaust(|n| {
        let routes = [("GET", "/api/v1/usage"), ("POST", "/api/v1/eventinfo"), ("GET", DEMO)];
        let (method, path) = routes[n as usize % 3];
        proxy.ask(method, path).header("api-key", &format!("guess-{n}"))
    })
    .await;
    assert_eq!(ada.used().await, 0, "who has a key is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_events_count_as_unknown_keys() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().open().await;
    proxy.start().await;
    let ask = |id: &str| proxy.ask("GET", &format!("/api/v1/event/{id}"));
    // More than there can be in two minutes, so the minute may turn once meanwhile.
    for n in 0..61 {
        let answer = ask(&format!("0000-{n:04}")).await;
        if answer.status == 429 {
            assert!(n >= 30, "throttled at attempt {n}");
            assert_eq!(answer.code(), "too_many_attempts");
            assert!(answer.header("retry-after").is_some());
            let guess = proxy.ask("POST", DEMO).json(PING).header("api-key", "unknown").await;
            // The minute may have turned.
            assert!(matches!(guess.status, 429 | 401), "{guess:?}");
            assert_eq!(ask(&event.id).await.status, 200, "one that is known is shown");
            return;
        }
        assert_eq!((answer.status, answer.code().as_str()), (404, "event_not_found"));
    }
    panic!("61 unknown ids were not throttled");
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_addresses_are_not_believed_from_just_anybody() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving(&backend).await;
    exhaust(|n| {
        ada.post(PING).key("unknown").header("x-forwarded-for", &format!("198.51.100.{n}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_the_last_address_before_it_counts() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving_with(&backend, |config| {
        config.trusted_proxies =
            vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    })
    .await;
    let from = |addresses: &str| ada.post(PING).key("unknown").header("x-forwarded-for", addresses);
    // What the client itself wrote in front does not help it.
    exhaust(|n| from(&format!("203.0.113.{n}, 198.51.100.7:{n}, 10.1.1.1:443"))).await;
    let others =
        ["198.51.100.8", "198.51.100.7, 198.51.100.9", "2001:db8::1", "[2001:db8:1::1]:80"];
    for other in others {
        assert_eq!(from(other).await.code(), "invalid_api_key", "{other}");
    }
    let room = ada.post(PING).header("x-forwarded-for", "198.51.100.7").await;
    assert_eq!(room.status, 200, "whose key is known is served there, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_network_is_one_source() {
    let backend = Backend::start().await;
    let (_proxy, ada) = Proxy::serving_with(&backend, |config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    exhaust(|n| {
        ada.post(PING).key("unknown").header("x-forwarded-for", &format!("2001:db8:1:2::{n:x}"))
    })
    .await;
}
