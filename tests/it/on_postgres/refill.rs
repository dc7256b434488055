//! Leases ask little of the store, and for many attendees at once.

use std::sync::Arc;
use std::time::Instant;

use ai_proxy::catalog::quota;
use ai_proxy::proxy::attendee::lease::Refill;
use ai_proxy::proxy::attendee::refill::Want;
use futures_util::future::join_all;

use super::database::Database;
use super::relay::Relay;
use crate::harness::attendee::Attendee;
use crate::harness::backend::Backend;
use crate::harness::proxy::Proxy;

/// How the one statement begins that leases requests.
const LEASE: &str = "insert into quota";

/// A proxy whose questions to the store are counted, and attendees in one event.
async fn counted(daily_cap: u32, count: u32) -> (Relay, Backend, Proxy, Vec<Attendee>) {
    let database = Database::create().await;
    let relay = Relay::to(database.addr().await).await;
    let backend = Backend::start().await;
    let mut proxy = Proxy::on(Some(&database.url_by(relay.addr))).await;
    proxy.resource("demo", &backend.url()).await;
    let attendees = proxy.event().daily_cap(daily_cap).open().await.attendees(count).await;
    proxy.start().await;
    (relay, backend, proxy, attendees)
}

#[tokio::test(flavor = "multi_thread")]
async fn attendees_at_their_cap_do_not_ask_the_store_at_every_call() {
    let (relay, _backend, _proxy, attendees) = counted(1, 3).await;
    for attendee in &attendees {
        assert_eq!(attendee.call().await.status, 200);
    }
    let (begun, before) = (Instant::now(), relay.executions(LEASE));
    assert_eq!(before, 3, "one lease each");
    for _ in 0..20 {
        for attendee in &attendees {
            assert_eq!(attendee.call().await.code(), "daily_cap_reached");
        }
    }
    let asked = relay.executions(LEASE) - before;
    let most = 3 * (1 + begun.elapsed().as_secs() as usize);
    assert!(asked <= most, "{asked} statements for 60 refused calls");
}

// On one thread, so that all orders are there before any is seen to.
#[tokio::test]
async fn what_does_not_fit_is_asked_for_less_in_one_statement_for_all() {
    let cap = 100;
    let (relay, _backend, proxy, attendees) = counted(cap, 5).await;
    let plane = &proxy.app().plane;
    let day = plane.clock.today(plane.clock.now_ms());
    // Three have one request left, the next has none, and the last has all.
    for (attendee, used) in attendees.iter().zip([99, 99, 99, 100]) {
        let leased = quota::lease(&plane.control.db, &attendee.id, day, used, cap).await;
        leased.expect("a store").expect("within the cap");
    }
    let before = relay.executions(LEASE);
    let lives: Vec<Arc<_>> =
        attendees.iter().map(|attendee| plane.lives.enter(&attendee.id, "event").0).collect();
    let want = Want { day, cap, n: 3, at_least: 1 };
    let refills = join_all(lives.iter().map(|live| plane.refills.order(live, want))).await;
    let granted = Refill::Granted;
    assert_eq!(
        refills,
        [granted, granted, granted, Refill::Exhausted { day, cap, asked: 1 }, granted]
    );
    let left: Vec<u32> = lives.iter().map(|live| live.lease.left(day)).collect();
    assert_eq!(left, [1, 1, 1, 0, 3]);
    assert_eq!(relay.executions(LEASE) - before, 2, "statements");
}
