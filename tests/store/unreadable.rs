//! One row that cannot be read is its owner's to mend, and nobody else's trouble.

use ai_proxy::catalog::event::{self, Draft};
use ai_proxy::catalog::resource::{self, KeyChange};
use ai_proxy::catalog::{Error, Noun, Outcome};

use crate::harness::{Store, event_draft, on_both, resource_draft};

on_both![
    saving_an_event_opens_nobody_elses_rows,
    a_link_to_an_unreadable_resource_outlives_a_save,
    an_unreadable_resource_is_mended_by_saving_over_it,
    an_unreadable_event_is_mended_or_deleted,
];

async fn break_resources(store: &Store) {
    store.execute("update resource set endpoint_sealed = 'v1.00000000.AAAA'").await;
}

async fn saving_an_event_opens_nobody_elses_rows(store: Store) {
    let event = store.event().await;
    store.owned_by(store.another_owner().await).resource("theirs").await;
    break_resources(&store).await;
    let draft = Draft { id: Some(event.id.clone()), name: "Renamed".into(), ..event_draft() };
    assert_eq!(store.save_event(&draft).await.unwrap().name, "Renamed");
}

async fn a_link_to_an_unreadable_resource_outlives_a_save(store: Store) {
    let resource = store.resource("mcp-demo").await;
    let draft = Draft { resources: vec![resource.id.clone()], ..event_draft() };
    let event = store.save_event(&draft).await.unwrap();
    break_resources(&store).await;
    let stored = event::get(&store.db, &store.vault, &store.by.owner_id, &event.id).await.unwrap();
    assert!(stored.resources.is_empty());
    let renamed = Draft { name: "Renamed".into(), ..Draft::from(&stored) };
    let links = store.save_event(&renamed).await.unwrap().links;
    assert_eq!(links, renamed.resources);
    assert_eq!(links.len(), 1);
    let unlinked = Draft { resources: Vec::new(), ..renamed };
    assert!(store.save_event(&unlinked).await.unwrap().links.is_empty());
    resource::delete(&store.db, &store.by, &resource.id).await.unwrap();
}

async fn an_unreadable_resource_is_mended_by_saving_over_it(store: Store) {
    let resource = store.resource("mcp-demo").await;
    break_resources(&store).await;
    let owner_id = &store.by.owner_id;
    let refused = resource::get(&store.db, &store.vault, owner_id, &resource.id).await.unwrap_err();
    assert!(refused.to_string().contains("enter its endpoint URL and backend key"), "{refused}");
    let all = resource::all(&store.db, &store.vault, owner_id).await.unwrap();
    assert!(all.read.is_empty());
    assert_eq!((all.unreadable[0].noun, &*all.unreadable[0].name), (Noun::Resource, "mcp-demo"));

    let draft = resource::Draft { id: Some(resource.id.clone()), ..resource_draft("mcp-demo") };
    let keep = resource::Draft { key: KeyChange::Keep, ..draft.clone() };
    let refused = store.save_resource(&keep).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid { field: "key", .. }), "{refused}");
    assert_eq!(store.save_resource(&draft).await.unwrap().id, resource.id);
}

async fn an_unreadable_event_is_mended_or_deleted(store: Store) {
    let draft = Draft { shared_code: Some("welcome1".into()), ..event_draft() };
    let (mended, deleted) =
        (store.save_event(&draft).await.unwrap(), store.save_event(&draft).await.unwrap());
    store.execute("update event set shared_code_sealed = 'v1.x'").await;
    let owner_id = &store.by.owner_id;
    let refused = event::get(&store.db, &store.vault, owner_id, &mended.id).await.unwrap_err();
    assert!(refused.to_string().contains("enter all its fields again"), "{refused}");
    let over = Draft { id: Some(mended.id.clone()), ..draft };
    let saved = event::save(&store.db, &store.vault, &store.by, &over).await.unwrap();
    assert_eq!(saved.outcome, Outcome::Updated);
    event::delete(&store.db, &store.by, &deleted.id).await.unwrap();
    let all = event::all(&store.db, &store.vault, owner_id).await.unwrap();
    assert_eq!((all.read.len(), all.unreadable.len()), (1, 0));
}
