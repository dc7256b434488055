//! The rate limit: a burst at once, then one after the other in the order of
//! asking, and only what would wait for too long is refused.

use std::time::{Duration, Instant};

use crate::harness::PING;
use crate::harness::attendee::Attendee;
use crate::harness::backend::Backend;
use crate::harness::event::Plan;
use crate::harness::proxy::Proxy;
use crate::harness::refusal::retry_after;

async fn limited(backend: &Backend, per_minute: u32, burst: u32) -> (Proxy, Vec<Attendee>) {
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let plan: Plan = proxy.event().rate(per_minute, burst);
    let attendees = plan.open().await.attendees(2).await;
    proxy.start().await;
    (proxy, attendees)
}

fn ping(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_of_a_batch_takes_a_turn() {
    let backend = Backend::start().await;
    // Five at once, then one in 200 ms.
    let (_proxy, attendees) = limited(&backend, 300, 5).await;
    let batch = |messages: usize| format!("[{}]", vec![PING; messages].join(","));
    let refused = attendees[0].post(&batch(6)).await;
    assert_eq!((refused.status, &*refused.code()), (429, "rate_limited"));
    assert!(refused.text().contains("at most 5"), "{}", refused.text());
    let began = Instant::now();
    assert_eq!(attendees[0].post(&batch(5)).await.status, 202, "nothing was taken before");
    assert_eq!(attendees[0].post(&batch(5)).await.status, 202);
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    let usage = attendees[0].usage().await;
    assert_eq!((&usage["used"], usage["usage"].as_array().unwrap().len()), (&0.into(), 1));
    assert_eq!(usage["usage"][0]["requests"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn above_the_burst_requests_wait_in_order() {
    let backend = Backend::start().await;
    // Three at once, then one in 100 ms.
    let (_proxy, attendees) = limited(&backend, 600, 3).await;
    let began = Instant::now();
    let mut wires = Vec::new();
    for id in 0..9 {
        let mut wire = attendees[0].post(&ping(id)).send().await;
        if id < 3 {
            assert_eq!(wire.answer().await.unwrap().status, 200);
        } else {
            wires.push(wire);
            // So that the order of asking is known.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let burst = backend.requests().len();
    assert!((3..=5).contains(&burst), "{burst} went at once");
    let other = attendees[1].post(&ping(100)).await;
    assert_eq!(other.status, 200, "others' turns are their own");
    for wire in &mut wires {
        assert_eq!(wire.answer().await.unwrap().status, 200);
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(600), "six turns took {took:?}");
    let ids: Vec<_> = backend.requests().iter().map(|got| got.json()["id"].clone()).collect();
    let ids: Vec<_> = ids.iter().filter_map(|id| id.as_u64()).filter(|id| *id < 100).collect();
    assert_eq!(ids, (0..9).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_would_wait_for_more_than_ten_seconds_is_refused_at_once() {
    let backend = Backend::start().await;
    // One at once, then one in two seconds: five find a turn within ten.
    let (_proxy, attendees) = limited(&backend, 30, 1).await;
    let ada = &attendees[0];
    assert_eq!(ada.post(PING).await.status, 200);
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(ada.post(PING).send().await);
    }
    let mut refused = None;
    for _ in 0..3 {
        let mut wire = ada.post(PING).send().await;
        let began = Instant::now();
        match tokio::time::timeout(Duration::from_secs(1), wire.answer()).await {
            Ok(answer) => {
                let answer = answer.unwrap();
                assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limited"));
                assert!((1..=3).contains(&retry_after(&answer)), "{answer:?}");
                assert!(began.elapsed() < Duration::from_secs(1));
                refused = Some(answer);
                break;
            }
            Err(_) => waiting.push(wire),
        }
    }
    assert!(refused.is_some(), "seven found a turn");
    let first = waiting[0].answer().await.unwrap();
    assert_eq!(first.status, 200, "those who wait are not");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_count_is_held_by_the_rate_as_well() {
    let backend = Backend::start().await;
    let (_proxy, attendees) = limited(&backend, 1, 4).await;
    let ada = &attendees[0];
    for request in [ada.post(PING), ada.get(), ada.delete("s"), ada.ask("GET", "/api/v1/usage")] {
        assert_ne!(request.await.status, 429);
    }
    assert_eq!(ada.post(PING).await.code(), "rate_limited");
    assert_eq!(ada.get().await.code(), "rate_limited");
    assert_eq!(ada.ask("GET", "/api/v1/usage").await.code(), "rate_limited");
}
