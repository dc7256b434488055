//! A deleted event is gone at once; its rows go in small batches, and its id stays
//! its owner's.

use ai_proxy::catalog::event::purge;
use ai_proxy::catalog::event::{self, Draft, Standing, standing};
use ai_proxy::catalog::snapshot::Snapshot;
use ai_proxy::catalog::{Error, attendee, change, quota};
use ai_proxy::clock::now_ms;

use crate::harness::{Store, event_draft, on_both};

on_both![
    a_deleted_event_is_gone_everywhere_before_its_rows_are,
    an_id_stays_its_owners_and_is_free_once_the_rows_are_gone,
    many_keys_are_noted_one_by_one,
    others_lease_while_a_big_event_goes,
    replicas_that_purge_together_leave_nothing,
];

async fn a_deleted_event_is_gone_everywhere_before_its_rows_are(store: Store) {
    let event = store.event().await;
    let key = store.issue(&event, 1).await.remove(0);
    event::delete(&store.db, &store.by, &event.id).await.unwrap();
    let (db, owner_id) = (&store.db, &store.by.owner_id);
    assert_eq!(store.number("select count(*) from attendee").await, 1);
    assert!(Snapshot::load(db, &store.vault).await.unwrap().events.is_empty());
    assert!(event::list(db, &store.vault, owner_id).await.unwrap().is_empty());
    assert!(attendee::list(db, owner_id, &event.id).await.unwrap().is_empty());
    assert!(attendee::counts(db, owner_id).await.unwrap().is_empty());
    let shown = attendee::reveal_key(db, &store.vault, owner_id, &key.attendee_id).await;
    assert!(matches!(shown, Err(Error::NotFound { .. })));
    let issued = attendee::issue(db, &store.vault, &store.by, &event.id, 1, &[]).await;
    assert!(matches!(issued, Err(Error::NotFound { .. })));
    let removed = event::control::set_active(db, &store.by, &event.id, true).await;
    assert!(matches!(removed, Err(Error::NotFound { .. })));
    assert!(!purge::step(db, now_ms()).await.unwrap(), "what is under way is written first");
    store.purge().await;
    assert_eq!(store.number("select count(*) from attendee").await, 0);
    assert_eq!(store.number("select count(*) from event").await, 0);
}

async fn an_id_stays_its_owners_and_is_free_once_the_rows_are_gone(store: Store) {
    let event = store.event().await;
    let another = store.owned_by(store.another_owner().await);
    let again = Draft { id: Some(event.id.clone()), ..event_draft() };
    let of = async |store: &Store| {
        let mut connection = store.db.pool().acquire().await.unwrap();
        standing(&mut connection, &store.by.owner_id, &event.id).await.unwrap()
    };
    assert_eq!((of(&store).await, of(&another).await), (Standing::Present, Standing::Foreign));

    event::delete(&store.db, &store.by, &event.id).await.unwrap();
    assert_eq!((of(&store).await, of(&another).await), (Standing::Purging, Standing::Foreign));
    let early = store.save_event(&again).await.unwrap_err();
    assert!(early.to_string().contains("still being removed"), "{early}");

    store.purge().await;
    assert_eq!((of(&store).await, of(&another).await), (Standing::Free, Standing::Foreign));
    let taken = another.save_event(&again).await.unwrap_err();
    assert!(matches!(&taken, Error::Conflict { .. }), "{taken}");
    assert_eq!(store.save_event(&again).await.unwrap().id, event.id);
}

async fn many_keys_are_noted_one_by_one(store: Store) {
    let event = store.event().await;
    let before = change::revision(&store.db).await.unwrap();
    let issued = store.issue(&event, 700).await;
    assert_eq!(issued.last().unwrap().user_id, "issued:700");
    let change::Changes::Some { revision, changes } =
        change::since(&store.db, before).await.unwrap()
    else {
        panic!("no change is missing")
    };
    assert_eq!(revision, before + 700);
    let noted: Vec<_> = changes.iter().map(|(_, id)| id).collect();
    assert_eq!(noted, issued.iter().map(|new| &new.attendee_id).collect::<Vec<_>>());
}

/// Fills every event.
const FIGURES: &str =
    "with recursive n (i) as (select 1 union all select i + 1 from n where i < 40000)
        insert into usage select event.id, cast(i as text), 'r', 'tools/call', 'echo', i,
            1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 from n, event";

/// Of two that pick the same rows, the later removes none.
async fn replicas_that_purge_together_leave_nothing(store: Store) {
    let big = store.event().await;
    store.issue(&big, 1).await;
    store.execute(FIGURES).await;
    event::delete(&store.db, &store.by, &big.id).await.unwrap();
    let later = now_ms() + 60_000;
    let replicas: Vec<_> = (0..4)
        .map(|_| {
            let db = store.db.clone();
            // Of some that wait for each other, PostgreSQL ends one, which tries again.
            tokio::spawn(async move { while purge::step(&db, later).await.unwrap_or(true) {} })
        })
        .collect();
    for replica in replicas {
        replica.await.unwrap();
    }
    assert_eq!(store.number("select count(*) from event").await, 0);
    assert_eq!(store.number("select count(*) from usage").await, 0);
}

async fn others_lease_while_a_big_event_goes(store: Store) {
    let big = store.event().await;
    store.issue(&big, 500).await;
    store.execute(FIGURES).await;
    let event = store.event().await;
    let key = store.issue(&event, 1).await.remove(0);

    event::delete(&store.db, &store.by, &big.id).await.unwrap();
    let db = store.db.clone();
    let purging = tokio::spawn(async move {
        let later = now_ms() + 60_000;
        while purge::step(&db, later).await.unwrap() {}
    });
    let mut leases = 0;
    while !purging.is_finished() {
        quota::lease(&store.db, &key.attendee_id, 1, 1, 100_000).await.unwrap().unwrap();
        leases += 1;
    }
    purging.await.unwrap();
    assert!(leases > 40, "{leases} leases between the batches");
    assert_eq!(store.number("select count(*) from usage").await, 0);
    assert_eq!(store.number("select count(*) from attendee").await, 1);
}
