//! Who signed in and who tried: counted by the hour, for a while.

use std::collections::HashMap;
use std::net::IpAddr;

use ai_proxy::catalog::owner;
use ai_proxy::catalog::owner::sign_in::{
    KEPT_DAYS, Key, Outcome, Source, Times, Whose, count, count_failed, expire, hour_of, list,
};

use crate::harness::{Store, on_both};

on_both![
    what_is_the_same_in_an_hour_is_one_row_from_every_replica,
    replicas_that_count_the_same_do_not_wait_for_each_other,
    rows_are_kept_for_a_while,
];

const HOUR_MS: i64 = 3_600_000;

/// 12:00 of a day.
const NOON: i64 = 1_800_000_000_000 - 1_800_000_000_000 % HOUR_MS;

fn key(owner_id: Option<&str>, outcome: Outcome, at: i64) -> Key {
    let source = Source::of(IpAddr::from([203, 0, 113, 7]));
    Key { hour: hour_of(at), owner_id: owner_id.map(str::to_owned), source, outcome }
}

async fn what_is_the_same_in_an_hour_is_one_row_from_every_replica(store: Store) {
    let ada = owner::local(&store.db, "Ada", NOON).await.unwrap();
    let wrong = key(Some(&ada.id), Outcome::WrongPassword, NOON);
    let (here, there) = (store.clone(), store.replica().await);
    let late = Times { count: 3, first_at: NOON + 40, last_at: NOON + 90 };
    let early = Times { count: 4, first_at: NOON + 10, last_at: NOON + 50 };
    count(&here.db, &[(wrong.clone(), late)].into()).await.unwrap();
    count(&there.db, &[(wrong, early)].into()).await.unwrap();
    let nobody = key(None, Outcome::WrongPassword, NOON + 1);
    let later = key(Some(&ada.id), Outcome::WrongPassword, NOON + HOUR_MS);
    let times = Times::once(NOON + HOUR_MS);
    count(&here.db, &[(nobody, Times::once(NOON + 1)), (later, times)].into()).await.unwrap();
    let worked = key(Some(&ada.id), Outcome::Password, NOON);
    count(&here.db, &[(worked, Times::once(NOON + 60))].into()).await.unwrap();

    let hers = list(&there.db, Whose::Owner(&ada.id), Some(false), None, 9).await.unwrap();
    assert_eq!((hers.len(), &*hers[1].owner, &*hers[1].source), (2, "Ada", "203.0.113.7"));
    assert_eq!(hers[1].times, Times { count: 7, first_at: NOON + 10, last_at: NOON + 90 });
    assert_eq!(hers[1].failed_there, 0, "of those that worked alone");
    let worked = list(&there.db, Whose::Everybody, Some(true), None, 9).await.unwrap();
    assert_eq!((worked.len(), worked[0].failed_there), (1, 7), "in the same hour");
    let nobodys = list(&there.db, Whose::Nobody, None, None, 9).await.unwrap();
    assert_eq!((nobodys.len(), &*nobodys[0].owner), (1, ""));

    let all = list(&there.db, Whose::Everybody, None, None, 9).await.unwrap();
    let older = list(&there.db, Whose::Everybody, None, Some(&all[0].id), 9).await.unwrap();
    assert_eq!((all.len(), older.len(), &older[0].id), (4, 3, &all[1].id));
    assert_eq!(count_failed(&there.db, &ada.id, NOON + 30).await.unwrap(), 8);
    assert_eq!(count_failed(&there.db, &ada.id, NOON + HOUR_MS).await.unwrap(), 1);
    there.db.close().await;
}

async fn replicas_that_count_the_same_do_not_wait_for_each_other(store: Store) {
    let there = store.replica().await;
    let counting = [store.db.clone(), there.db.clone()].map(|db| {
        tokio::spawn(async move {
            for _ in 0..10 {
                // Found in another order each time, as by each replica.
                let found: HashMap<_, _> = (0..50)
                    .map(|n| {
                        let source = Source::of(IpAddr::from([203, 0, 113, n]));
                        (n, Key { source, ..key(None, Outcome::WrongPassword, NOON) })
                    })
                    .collect();
                let found = found.into_values().map(|key| (key, Times::once(NOON)));
                count(&db, &found.collect()).await.unwrap();
            }
        })
    });
    for counted in counting {
        counted.await.unwrap();
    }
    assert_eq!(store.number("select cast(sum(times) as bigint) from sign_in").await, 1000);
    there.db.close().await;
}

async fn rows_are_kept_for_a_while(store: Store) {
    for hours in [0, 1] {
        let at = NOON + hours * HOUR_MS;
        let key = key(None, Outcome::WrongPassword, at);
        count(&store.db, &[(key, Times::once(at))].into()).await.unwrap();
    }
    let last = NOON + KEPT_DAYS * 24 * HOUR_MS;
    for (now, left) in [(last, 2), (last + 1, 1), (last + HOUR_MS, 1), (last + HOUR_MS + 1, 0)] {
        expire(&store.db, now).await.unwrap();
        assert_eq!(store.number("select count(*) from sign_in").await, left, "{now}");
    }
}
