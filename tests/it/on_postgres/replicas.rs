//! Two processes on one PostgreSQL: together they let through what one would.

use std::net::SocketAddr;

use super::database::Database;
use crate::harness::attendee::{Attendee, DEMO};
use crate::harness::backend::Backend;
use crate::harness::process::Process;
use crate::harness::proxy::Proxy;
use crate::harness::storm::{UNANSWERED, storm};
use crate::harness::wire::Wire;
use crate::harness::{CALL, eventually};

/// Two processes, and the one backend behind them.
struct Pair {
    backend: Backend,
    ada: Attendee,
    one: Process,
    other: Process,
}

impl Pair {
    async fn serve(daily_cap: u32) -> Self {
        let backend = Backend::start().await;
        let database = Database::create().await;
        let store = Proxy::on(Some(&database.url())).await;
        store.resource("demo", &backend.url()).await;
        let ada = store.event().daily_cap(daily_cap).open().await.attendee().await;
        let settings = ada.store.settings();
        let (one, other) = tokio::join!(Process::serve(&settings), Process::serve(&settings));
        Self { backend, ada, one, other }
    }

    fn addrs(&self) -> [SocketAddr; 2] {
        [self.one.addr, self.other.addr]
    }

    fn call(&self) -> String {
        self.ada.raw(DEMO, CALL)
    }

    /// What Ada is shown as used today by the process at `addr`.
    async fn used_at(&self, addr: SocketAddr) -> u64 {
        let request = self.ada.head("GET", "/api/v1/usage", "");
        let answer = Wire::connect(addr).await.exchange(request).await.expect("an answer");
        answer.json()["used"].as_u64().unwrap_or_else(|| panic!("{}", answer.text()))
    }
}

/// As large a part of the cap as a process may hold ahead.
fn lease(cap: u32) -> usize {
    (cap as usize / 32).clamp(1, 64)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_let_exactly_the_cap_through() {
    for cap in [50, 100, 1000] {
        let pair = Pair::serve(cap).await;
        let calls = cap as usize;
        storm(&pair.addrs(), &pair.call(), 4 * calls).await;
        assert!(pair.backend.calls() <= calls, "{} of {cap}", pair.backend.calls());

        // What one had leased when the other was refused comes back when it is idle.
        eventually("no part of the cap is stranded", async || {
            storm(&pair.addrs(), &pair.call(), 20).await;
            pair.backend.calls() >= calls
        })
        .await;
        storm(&pair.addrs(), &pair.call(), calls).await;
        assert_eq!(pair.backend.calls(), calls);
        eventually("both show what was spent", async || {
            pair.used_at(pair.one.addr).await == u64::from(cap)
                && pair.used_at(pair.other.addr).await == u64::from(cap)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_killed_half_way_takes_one_lease_with_it_at_most() {
    for cap in [50, 100, 1000] {
        let mut pair = Pair::serve(cap).await;
        let calls = cap as usize;
        storm(&pair.addrs(), &pair.call(), calls / 2).await;
        pair.one.kill();
        eventually("all but one lease is spent", async || {
            storm(&[pair.other.addr], &pair.call(), 20).await;
            pair.backend.calls() >= calls - lease(cap)
        })
        .await;
        // Nor does a third find more than that.
        let third = Process::serve(&pair.ada.store.settings()).await;
        storm(&[pair.other.addr, third.addr], &pair.call(), 2 * calls).await;
        assert!(pair.backend.calls() <= calls, "{} of {cap}", pair.backend.calls());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_killed_under_load_takes_no_more_than_was_under_way() {
    let cap = 1000;
    let mut pair = Pair::serve(cap).await;
    let (addrs, call) = (pair.addrs(), pair.call());
    let storming = tokio::spawn(async move { storm(&addrs, &call, 4000).await });
    eventually("they are half-way", async || pair.backend.calls() >= 500).await;
    pair.one.kill();
    let outcome = storming.await.expect("the storm passes");

    // Calls that were under way may have been paid for and yet not arrived.
    let under_way = outcome.get(&UNANSWERED).copied().unwrap_or_default();
    let least = 1000 - lease(cap) - under_way;
    eventually("the rest is spent", async || {
        storm(&[pair.other.addr], &pair.call(), 20).await;
        pair.backend.calls() >= least
    })
    .await;
    storm(&[pair.other.addr], &pair.call(), 1000).await;
    assert!(pair.backend.calls() <= 1000, "{}", pair.backend.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_stopped_gives_back_what_it_had_leased() {
    let mut pair = Pair::serve(1000).await;
    storm(&pair.addrs(), &pair.call(), 500).await;
    let status = pair.one.stop().await;
    assert!(status.success(), "{status}:\n{}", pair.one.output());
    eventually("what both have spent is shown", async || {
        pair.used_at(pair.other.addr).await == 500
    })
    .await;
    // At once, without waiting for anything to fall idle.
    storm(&[pair.other.addr], &pair.call(), 600).await;
    assert_eq!(pair.backend.calls(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_whole_across_processes() {
    let pair = Pair::serve(100).await;
    let batch = pair.ada.raw(DEMO, &format!("[{}]", [CALL; 9].join(",")));
    eventually("eleven nines fit into a hundred", async || {
        storm(&pair.addrs(), &batch, 30).await;
        pair.backend.calls() >= 11
    })
    .await;
    storm(&pair.addrs(), &batch, 30).await;
    assert_eq!(pair.backend.calls(), 11);
    eventually("and the one that is left is usable", async || {
        storm(&pair.addrs(), &pair.call(), 10).await;
        pair.backend.calls() >= 12
    })
    .await;
    assert_eq!(pair.backend.calls(), 12);
}
