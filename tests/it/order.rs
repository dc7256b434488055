//! The order of the checks: a request that offends against many is refused for
//! the first.

use crate::harness::attendee::DEMO;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::{CALL, PING};

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_hides_those_behind_it() {
    let (backend, mut visits) = Backend::by_hand().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let plan = proxy.event().daily_cap(1).rate(1, 3).with(|draft| draft.max_open_requests = 1);
    let event = plan.open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start_with(|config| config.max_body_bytes = 1000).await;

    // Bob has the session; Ada's cap is used up, her turns are, a stream is open.
    let mut wire = bob.post(PING).session("bobs").send().await;
    let mut visit = visits.next().await;
    visit.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    for body in [CALL, PING] {
        let mut wire = ada.post(body).send().await;
        visit.serve().await;
        assert_eq!(wire.answer().await.unwrap().status, 200);
    }
    let streaming = ada.get().send().await;
    let streamed = visit.request().await;
    assert_eq!(streamed.method, "GET");

    let bad_path = "/api/v1/mcp/nobody/a/../b";
    let big = "x".repeat(2000);
    let put = || ada.ask("PUT", bad_path).key("unknown").session("bobs").json(&big);
    let post = || ada.ask("POST", bad_path).session("bobs").json(&big);
    for (request, status, code) in [
        (put().header("origin", "https://evil.example"), 403, "origin_not_allowed"),
        (put(), 405, "method_not_allowed"),
        (post().key("unknown"), 401, "invalid_api_key"),
        (post(), 404, "deployment_not_found"),
        (post().to(&format!("{DEMO}/a/../b")), 400, "invalid_path"),
        (post().to(DEMO), 413, "body_too_large"),
        (ada.post(CALL).session("bobs"), 404, "session_not_found"),
        (ada.post(CALL), 429, "too_many_open_requests"),
    ] {
        let answer = request.await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    drop(streaming);
    proxy.nothing_is_open().await;
    assert_eq!(ada.call().await.code(), "rate_limited", "although the cap is used up as well");
    assert_eq!(backend.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attendee_comes_before_the_event_and_its_end_before_its_pause() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let plan = proxy.event().with(|draft| {
        draft.end = "2001-01-01T00:00".into();
        draft.active = false;
    });
    let event = plan.open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    bob.set_active(false).await;
    proxy.start().await;
    assert_eq!(bob.call().await.code(), "attendee_disabled");
    assert_eq!(ada.call().await.code(), "event_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_ones_turn_is_followed_by_a_second_look() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    // One at once, then one every three seconds: time for a change to arrive.
    let ada = proxy.event().rate(20, 1).open().await.attendee().await;
    proxy.start().await;
    assert_eq!(ada.call().await.status, 200);
    let mut waiting = ada.post(CALL).send().await;
    ada.set_active(false).await;
    assert_eq!(waiting.answer().await.unwrap().code(), "attendee_disabled");
    assert_eq!(backend.requests().len(), 1);
}
