//! Guessing keys is throttled by source address; the room that shares the
//! address notices nothing.

use crate::harness::attendee::{Ask, DEMO};
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::{CALL, PING};

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

    for n in 0..20 {
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
