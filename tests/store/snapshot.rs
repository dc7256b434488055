//! What the data plane reads.

use std::sync::Arc;

use ai_proxy::catalog::event::Draft;
use ai_proxy::catalog::snapshot::Snapshot;
use ai_proxy::catalog::{Error, change, seal};

use crate::harness::{Store, event_draft, on_both};

on_both![
    it_holds_every_owners_events_with_their_resources,
    a_row_that_does_not_open_is_an_error_that_names_it,
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

async fn a_row_that_does_not_open_is_an_error_that_names_it(store: Store) {
    let resource = store.resource("mcp-demo").await;
    store.execute("update resource set endpoint_sealed = 'v1.00000000.AAAA'").await;
    let error = Snapshot::load(&store.db, &store.vault).await.unwrap_err();
    assert!(matches!(&error, Error::Seal(seal::Error::UnknownKey { .. })));
    assert!(
        error.to_string().contains(&format!("resource/{}/endpoint_sealed", resource.id)),
        "{error}"
    );
}
