//! What replicas learn of changes, and in which order.

use std::collections::HashSet;

use ai_proxy::catalog::change::{self, Changes};
use ai_proxy::catalog::event::Draft;
use ai_proxy::catalog::{Noun, attendee};

use crate::harness::{Store, event_draft, on_both, resource_draft};

on_both![
    each_write_is_seen_once_and_in_order,
    what_is_rolled_back_or_unchanged_is_no_change,
    a_replica_that_missed_too_much_is_told,
    a_poller_sees_every_commit,
];

async fn each_write_is_seen_once_and_in_order(store: Store) {
    let start = change::revision(&store.db).await.unwrap();
    assert_eq!(change::since(&store.db, start).await.unwrap(), Changes::None);
    let resource = store.resource("mcp-demo").await;
    let event = store.event().await;
    let ada = store.issue(&event, 1).await.remove(0).attendee_id;
    attendee::set_active(&store.db, &store.by, &ada, false).await.unwrap();
    let changes = change::since(&store.db, start).await.unwrap();
    let expected = vec![
        (Noun::Resource, resource.id),
        (Noun::Event, event.id),
        (Noun::Attendee, ada.clone()),
        (Noun::Attendee, ada.clone()),
    ];
    assert_eq!(changes, Changes::Some { revision: start + 4, changes: expected });
    let last = change::since(&store.db, start + 3).await.unwrap();
    assert_eq!(last, Changes::Some { revision: start + 4, changes: vec![(Noun::Attendee, ada)] });
}

async fn what_is_rolled_back_or_unchanged_is_no_change(store: Store) {
    store.save_resource(&resource_draft("mcp-demo")).await.unwrap();
    let before = change::revision(&store.db).await.unwrap();
    store.save_resource(&resource_draft("mcp-demo")).await.unwrap_err();
    let mut tx = change::write(&store.db).await.unwrap();
    change::record(&mut tx, Noun::Event, "never").await.unwrap();
    drop(tx);
    assert_eq!(change::since(&store.db, before).await.unwrap(), Changes::None);
}

async fn a_replica_that_missed_too_much_is_told(store: Store) {
    let known = change::revision(&store.db).await.unwrap();
    let ids: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut tx = change::write(&store.db).await.unwrap();
    change::record_all(&mut tx, Noun::Attendee, &ids).await.unwrap();
    tx.commit().await.unwrap();
    let Changes::Some { changes, .. } = change::since(&store.db, known).await.unwrap() else {
        panic!("the last 10,000 are kept");
    };
    assert_eq!(changes.len(), 10_000);

    let event = store.event().await;
    let revision = known + 10_001;
    let gap = Changes::Gap { revision };
    assert_eq!(change::since(&store.db, known).await.unwrap(), gap, "one was pruned");
    assert_eq!(change::since(&store.db, revision + 7).await.unwrap(), gap, "another store");
    let last = Changes::Some { revision, changes: vec![(Noun::Event, event.id)] };
    assert_eq!(change::since(&store.db, revision - 1).await.unwrap(), last);
    store.execute("insert into change (revision, noun, noun_id) values (1000000, 'x', 'x')").await;
    store.execute("update revision set value = 1000000").await;
    let unknown = change::since(&store.db, 999_999).await.unwrap();
    assert_eq!(unknown, Changes::Gap { revision: 1_000_000 }, "of a newer release");
}

/// Two replicas write at once while a third polls: it misses nothing.
async fn a_poller_sees_every_commit(store: Store) {
    let start = change::revision(&store.db).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for round in 0..5 {
                    let name = format!("workshop {n}.{round}");
                    let draft = Draft { name, ..event_draft() };
                    let event = store.save_event(&draft);
                    ids.push(event.await.unwrap().id);
                }
                ids
            })
        })
        .collect();
    let replica = store.replica().await;
    let (mut known, mut seen) = (start, Vec::new());
    while seen.len() < 40 {
        match change::since(&replica.db, known).await.unwrap() {
            Changes::None => tokio::task::yield_now().await,
            Changes::Some { revision, changes } => {
                known = revision;
                seen.extend(changes.into_iter().map(|(_, id)| id));
            }
            gap @ Changes::Gap { .. } => panic!("{gap:?} after {known}"),
        }
    }
    let mut written = HashSet::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    assert_eq!(seen.into_iter().collect::<HashSet<_>>(), written);
    assert_eq!(known, start + 40);
    replica.db.close().await;
}
