//! Leases never pass the cap, and reach it.

use ai_proxy::catalog::quota::{self, Grant};
use ai_proxy::catalog::usage::{self, Batch};
use ai_proxy::clock::now_ms;

use crate::harness::{Store, on_both};

on_both![
    parallel_leases_reach_the_cap_and_never_pass_it,
    the_first_lease_of_a_day_respects_the_cap_as_well,
    a_cap_lowered_during_the_day_admits_nobody_and_raises_nothing,
    what_is_leased_and_goes_back_keeps_the_books,
];

const DAY: u32 = 20_000;

/// 64 tasks on two replicas ask as the data plane does: for a full lease,
/// and for 1 where that does not fit.
async fn parallel_leases_reach_the_cap_and_never_pass_it(store: Store) {
    let replicas = [store.clone(), store.replica().await];
    for cap in [50, 100, 1000] {
        let size = (cap / 32_u32).clamp(1, 64);
        let attendee = format!("attendee of cap {cap}");
        let tasks: Vec<_> = (0..64)
            .map(|n| {
                let (db, attendee) = (replicas[n % 2].db.clone(), attendee.clone());
                tokio::spawn(async move {
                    let mut leased = 0;
                    for n in [size, 1] {
                        while let Some(lease) =
                            quota::lease(&db, &attendee, DAY, n, cap).await.unwrap()
                        {
                            assert!(lease.granted <= cap, "{} of {cap}", lease.granted);
                            leased += n;
                        }
                    }
                    leased
                })
            })
            .collect();
        let mut leased = 0;
        for task in tasks {
            leased += task.await.unwrap();
        }
        assert_eq!(leased, cap);
    }
    replicas[1].db.close().await;
}

async fn the_first_lease_of_a_day_respects_the_cap_as_well(store: Store) {
    let lease = |day, n, cap| quota::lease(&store.db, "ada", day, n, cap);
    assert_eq!(lease(DAY, 3, 2).await.unwrap(), None);
    assert_eq!(store.number("select count(*) from quota").await, 0);
    assert_eq!(lease(DAY, 2, 2).await.unwrap(), Some(Grant { granted: 2, spent: 0 }));
    assert_eq!(lease(DAY, 1, 2).await.unwrap(), None);
    let tomorrow = lease(DAY + 1, 1, 2).await.unwrap();
    assert_eq!(tomorrow, Some(Grant { granted: 1, spent: 0 }), "each day starts anew");
}

async fn a_cap_lowered_during_the_day_admits_nobody_and_raises_nothing(store: Store) {
    let lease = |n, cap| quota::lease(&store.db, "ada", DAY, n, cap);
    lease(16, 100).await.unwrap().unwrap();
    assert_eq!(lease(1, 10).await.unwrap(), None);
    assert_eq!(store.number("select granted from quota").await, 16);
    assert_eq!(lease(4, 20).await.unwrap(), Some(Grant { granted: 20, spent: 0 }));
}

/// Leases and batches that give some back, all at once: what is held at the
/// end is what the row says.
async fn what_is_leased_and_goes_back_keeps_the_books(store: Store) {
    let tasks: Vec<_> = (0..32_u32)
        .map(|task| {
            let db = store.db.clone();
            tokio::spawn(async move {
                let mut held = 0;
                for round in 0..10 {
                    let n = (task + round) % 5 + 1;
                    if quota::lease(&db, "ada", DAY, n, 40).await.unwrap().is_some() {
                        held += n;
                    }
                    if round % 2 == 1 {
                        let back = held.min(3);
                        let mut batch = Batch::new();
                        batch.returned = [(("ada".into(), DAY), back)].into();
                        usage::flush(&db, &batch, now_ms()).await.unwrap();
                        held -= back;
                    }
                }
                held
            })
        })
        .collect();
    let mut held = 0;
    for task in tasks {
        held += task.await.unwrap();
    }
    assert!(held <= 40, "{held}");
    assert_eq!(store.number("select granted from quota").await, i64::from(held));
}
