//! What the data plane reads.

use std::sync::Arc;

use ai_proxy::catalog::event::Draft;
use ai_proxy::catalog::snapshot::Snapshot;
use ai_proxy::catalog::{Noun, change};

use crate::harness::{Store, event_draft, on_both};

on_both![
    it_holds_every_owners_events_with_their_resources,
    a_row_that_cannot_be_read_is_left_out_and_reported,
];

async fn it_holds_every_owners_events_with_their_resources(store: Store) {
    let resource = store.resource("mcp-demo").await;
    let draft = Draft { resources: vec![resource.id.clone()], ..event_draft() };
    let (one, two) =
        (store.save_event(&draft).await.unwrap(), store.save_event(&draft).await.unwrap());
    let theirs = store.owned_by(store.another_owner().await).event().await;

    let snapshot = Snapshot::load(&store.db, &store.vault).await.unwrap();
    assert_eq!(snapshot.revision, change::revision(&store.db).await.unwrap());
    assert_eq!(snapshot.events.len(), 3);
    let (one, two) = (&snapshot.events[&one.id], &snapshot.events[&two.id]);
    assert_eq!(&*one.resources[0].deployment, "mcp-demo");
    assert!(Arc::ptr_eq(&one.resources[0], &two.resources[0]), "opened once");
    assert!(snapshot.events[&theirs.id].resources.is_empty());
    let shown = format!("{snapshot:?}");
    assert!(!shown.contains("127.0.0.1") && !shown.contains("backend-key"), "{shown}");
}

async fn a_row_that_cannot_be_read_is_left_out_and_reported(store: Store) {
    let (broken, fine) = (store.resource("broken").await, store.resource("fine").await);
    let draft = Draft { resources: vec![broken.id.clone(), fine.id.clone()], ..event_draft() };
    let event = store.save_event(&draft).await.unwrap();
    let coded = Draft { shared_code: Some("welcome1".into()), ..event_draft() };
    let lost = store.save_event(&coded).await.unwrap();
    store
        .execute("update resource set endpoint_sealed = 'v1.00000000.AAAA' where name = 'broken'")
        .await;
    store
        .execute(
            "update event set shared_code_sealed = 'v1.x' where shared_code_sealed is not null",
        )
        .await;

    let snapshot = Snapshot::load(&store.db, &store.vault).await.unwrap();
    let names: Vec<_> =
        snapshot.events[&event.id].resources.iter().map(|one| &*one.deployment).collect();
    assert_eq!(names, ["fine"]);
    assert!(!snapshot.events.contains_key(&lost.id));
    let reported: Vec<_> =
        snapshot.unreadable.iter().map(|row| (row.noun, &*row.id, &*row.owner_id)).collect();
    let owner = &*store.by.owner_id;
    assert_eq!(reported, [(Noun::Event, &*lost.id, owner), (Noun::Resource, &*broken.id, owner)]);
    let reason = &snapshot.unreadable[1].reason;
    assert!(reason.contains(&format!("resource/{}/endpoint_sealed", broken.id)), "{reason}");
}
