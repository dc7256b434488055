//! What the clock decides: which UTC day pays for a call, when daily caps start again, and
//! when an event is open. The proxy's clock is set; nobody waits for midnight.

use ai_proxy::catalog::event::Draft;
use ai_proxy::catalog::quota;
use ai_proxy::clock::Clock;

use crate::harness::attendee::Attendee;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;
use crate::harness::reply::Reply;
use crate::harness::{CALL, eventually};

/// Far from every other instant of a test, however slow the machine, in milliseconds.
const MINUTE: i64 = 60_000;

/// Sets the proxy's clock to a minute before UTC midnight. Returns it, that midnight, and
/// the day that ends then.
fn late_in_the_evening(proxy: &Proxy) -> (Clock, i64, u32) {
    let clock = proxy.app().clock.clone();
    let midnight = clock.next_midnight(clock.now_ms());
    let day = clock.today(clock.now_ms());
    clock.set(midnight - MINUTE);
    (clock, midnight, day)
}

/// The requests of a day that are spent as the store has it, once this replica has written
/// what it knows.
async fn spent(proxy: &Proxy, ada: &Attendee, day: u32) -> u32 {
    ada.usage().await;
    quota::used(&proxy.store.db, &ada.id, day).await.expect("a store")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daily_cap_starts_again_at_utc_midnight() {
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::capped(&backend, |event| event.daily_request_cap = 2).await;
    let (clock, midnight, day) = late_in_the_evening(&proxy);
    for left in ["1", "0"] {
        let answer = ada.call().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(left));
    }
    let refused = ada.call().await;
    assert_eq!(refused.code(), "daily_cap_reached");
    let reset = refused.header("x-ratelimit-reset-requests").expect("a header");
    assert!((1..=60).contains(&reset.parse::<u64>().unwrap()), "{reset} s to midnight");
    assert_eq!(spent(&proxy, &ada, day).await, 2);

    clock.set(midnight);
    let answer = ada.call().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("1"));
    assert_eq!(ada.used().await, 1);
    assert_eq!(spent(&proxy, &ada, day + 1).await, 1);
    assert_eq!(spent(&proxy, &ada, day).await, 2, "the day before is closed");
    assert_eq!(ada.call().await.status, 200);
    assert_eq!(ada.call().await.code(), "daily_cap_reached", "the same cap as the day before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_midnight_is_paid_by_the_day_on_which_it_was_admitted() {
    let (backend, mut visits) = Backend::by_hand().await;
    let (proxy, ada) = Proxy::capped(&backend, |event| event.daily_request_cap = 1).await;
    let (clock, midnight, day) = late_in_the_evening(&proxy);
    let mut wire = ada.post(CALL).send().await;
    let mut visit = visits.next().await;
    visit.request().await;

    clock.set(midnight);
    assert_eq!(ada.used().await, 0);
    visit.reply(Reply::json("{}")).await;
    // The next call comes on a connection of its own, whichever worker has it.
    drop(visit);
    assert_eq!(wire.answer().await.unwrap().status, 200);
    assert_eq!(spent(&proxy, &ada, day).await, 1);
    assert_eq!(spent(&proxy, &ada, day + 1).await, 0);
    let mut wire = ada.post(CALL).send().await;
    visits.next().await.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200, "all of the new day's cap is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_leased_at_midnight_goes_back_to_its_own_day() {
    let cap = 1_000;
    let backend = Backend::start().await;
    let (proxy, ada) = Proxy::capped(&backend, |event| event.daily_request_cap = cap).await;
    let (clock, midnight, day) = late_in_the_evening(&proxy);
    let live = || proxy.app().plane.lives.all().pop();
    let mut calls = 0;
    // Leases grow with use, until more is leased than is taken.
    eventually("something is left on the lease", async || {
        calls += 1;
        assert_eq!(ada.call().await.status, 200);
        live().is_some_and(|live| live.lease.left(day) > 0)
    })
    .await;

    clock.set(midnight);
    assert_eq!(ada.call().await.status, 200);
    assert_eq!(live().expect("ada").lease.left(day), 0, "it pays for no call of the new day");
    assert_eq!(spent(&proxy, &ada, day).await, calls);
    let rest = cap - calls;
    eventually("the rest of the old day can be leased", async || {
        let leased = quota::lease(&proxy.store.db, &ada.id, day, rest, cap).await;
        leased.expect("a store").is_some()
    })
    .await;
    let more = quota::lease(&proxy.store.db, &ada.id, day, 1, cap).await.expect("a store");
    assert!(more.is_none(), "no more came back than was leased");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_opens_and_closes_by_the_clock() {
    let (backend, mut visits) = Backend::by_hand().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let window = |draft: &mut Draft| {
        draft.start = "2031-05-01T09:00".into();
        draft.end = "2031-05-01T17:00".into();
    };
    let ada = proxy.event().with(window).open().await.attendee().await;
    proxy.start().await;
    let at = |instant: &str| instant.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let (start, end) = (at("2031-05-01T09:00:00Z"), at("2031-05-01T17:00:00Z"));
    let clock = proxy.app().clock.clone();

    clock.set(start - MINUTE);
    assert_eq!(ada.call().await.code(), "event_not_started");
    clock.set(start);
    let mut wire = ada.post(CALL).send().await;
    visits.next().await.serve().await;
    assert_eq!(wire.answer().await.unwrap().status, 200);

    clock.set(end - MINUTE);
    let mut stream = ada.get().send().await;
    let mut visit = visits.next().await;
    visit.request().await;
    visit.begin_events().await;
    assert_eq!(stream.head().await.unwrap().status, 200);
    clock.set(end + 1);
    assert_eq!(ada.call().await.code(), "event_ended");
    // As if the server had finished it.
    stream.ends().await;
    visit.left().await;
    proxy.nothing_is_open().await;
}
