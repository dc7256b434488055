//! Resources: field rules, the sealed key, and whose they are.

use ai_proxy::catalog::resource::{self, Auth, Draft, KeyChange, ResourceType};
use ai_proxy::catalog::{Error, Noun, Outcome, event};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Store, event_draft, on_both, resource_draft};

on_both![
    a_resource_is_kept_as_entered_and_its_secrets_sealed,
    saving_tells_created_updated_and_unchanged,
    another_origin_needs_the_key_again,
    a_draft_tells_all_its_problems_and_what_would_be_called,
    the_key_stands_in_the_header_that_the_backend_reads,
    a_deployment_name_is_its_owners_once,
    another_owners_resource_is_not_there,
    a_resource_in_use_names_the_events_that_use_it,
    fields_are_checked_by_the_rules_of_the_form,
    a_sealed_column_moved_to_another_row_does_not_open,
];

/// What a draft is refused for.
fn field(error: &Error) -> &'static str {
    match error {
        Error::Invalid { field, .. } => field,
        other => panic!("{other}"),
    }
}

async fn a_resource_is_kept_as_entered_and_its_secrets_sealed(store: Store) {
    let draft = Draft {
        name: "Demo MCP Server".into(),
        endpoint: "HTTPS://Backend.Example:8443/a/mcp?tenant=1".into(),
        region: "eastus".into(),
        ..resource_draft(" mcp-demo ")
    };
    let resource = store.save_resource(&draft).await.unwrap();
    assert_eq!(&*resource.deployment, "mcp-demo");
    assert_eq!(resource.name, "Demo MCP Server");
    assert_eq!((resource.kind, resource.active), (ResourceType::McpServer, true));
    assert_eq!(resource.region, "eastus");
    let endpoint = &resource.endpoint;
    assert_eq!(
        (endpoint.https, endpoint.host.as_str(), endpoint.port),
        (true, "backend.example", 8443)
    );
    assert_eq!(endpoint.authority, "backend.example:8443");
    assert_eq!((endpoint.path.as_str(), endpoint.query.as_deref()), ("/a/mcp", Some("tenant=1")));
    let (name, value) = resource.credential().unwrap();
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("api-key", "backend-key"));

    let (endpoint, key): (String, String) =
        sqlx::query_as("select endpoint_sealed, key_sealed from resource")
            .fetch_one(store.db.pool())
            .await
            .unwrap();
    assert!(endpoint.starts_with("v1.") && key.starts_with("v1."));
    let shown = format!("{resource:?} {:?}", draft.key);
    assert!(!shown.contains("backend"), "{shown}");
}

async fn saving_tells_created_updated_and_unchanged(store: Store) {
    let draft = resource_draft("mcp-demo");
    let save = async |draft: Draft| {
        resource::save(&store.db, &store.vault, &store.by, &draft).await.unwrap()
    };
    let created = save(draft.clone()).await;
    assert_eq!(created.outcome, Outcome::Created);
    let id = Some(created.id.clone());
    let same = save(Draft { id: id.clone(), ..draft.clone() }).await;
    assert_eq!((same.outcome, &same.id), (Outcome::Unchanged, &created.id));
    let kept = Draft { id: id.clone(), key: KeyChange::Keep, ..draft.clone() };
    assert_eq!(save(kept.clone()).await.outcome, Outcome::Unchanged);
    for changed in [
        Draft { deployment: "mcp-2".into(), ..kept.clone() },
        Draft { name: "New".into(), ..kept.clone() },
        Draft { kind: ResourceType::FoundryAgent, ..kept.clone() },
        Draft { endpoint: "http://127.0.0.1:8000/other".into(), ..kept.clone() },
        Draft { auth: Auth::Bearer, ..kept.clone() },
        Draft { key: KeyChange::Set("another".into()), ..kept.clone() },
        Draft { key: KeyChange::Remove, ..kept.clone() },
        Draft { region: "westeurope".into(), ..kept.clone() },
        Draft { active: false, ..kept.clone() },
    ] {
        assert_eq!(save(changed).await.outcome, Outcome::Updated);
        save(Draft { id: id.clone(), ..draft.clone() }).await;
    }
    let audited = store.number("select count(*) from audit where noun = 'resource'").await;
    assert_eq!(audited, 1 + 2 * 9, "what changed nothing is not noted");
}

async fn another_origin_needs_the_key_again(store: Store) {
    let stored = store.resource("mcp-demo").await;
    let moved = |endpoint: &str, key| Draft {
        id: Some(stored.id.clone()),
        endpoint: endpoint.into(),
        key,
        ..resource_draft("mcp-demo")
    };
    for endpoint in [
        "https://127.0.0.1:8000/mcp",
        "http://127.0.0.1:8001/mcp",
        "http://attacker.example:8000/mcp",
    ] {
        let refused = store.save_resource(&moved(endpoint, KeyChange::Keep)).await.unwrap_err();
        assert_eq!(field(&refused), "key", "{endpoint}");
    }
    let unmoved = resource::get(&store.db, &store.vault, &store.by.owner_id, &stored.id).await;
    assert_eq!(unmoved.unwrap().endpoint, stored.endpoint);

    let elsewhere = moved("http://127.0.0.1:8000/elsewhere?x=1", KeyChange::Keep);
    let kept = store.save_resource(&elsewhere).await.unwrap();
    assert_eq!(kept.key.unwrap().expose_secret(), "backend-key");
    let entered = moved("http://127.0.0.1:9000/mcp", KeyChange::Set("new-key".into()));
    let entered = store.save_resource(&entered).await.unwrap();
    assert_eq!(entered.key.unwrap().expose_secret(), "new-key");
    let removed = moved("http://127.0.0.1:9001/mcp", KeyChange::Remove);
    assert!(store.save_resource(&removed).await.unwrap().key.is_none());
    let without = moved("http://127.0.0.1:9002/mcp", KeyChange::Keep);
    assert!(store.save_resource(&without).await.unwrap().credential().is_none(), "nothing to lose");
}

async fn a_draft_tells_all_its_problems_and_what_would_be_called(store: Store) {
    let stored = store.resource("mcp-demo").await;
    let broken = Draft {
        deployment: "a b".into(),
        name: "n".repeat(65),
        endpoint: "nowhere".into(),
        key: KeyChange::Set("two\nlines".into()),
        region: "r".repeat(65),
        ..resource_draft("")
    };
    let fields: Vec<_> = broken.problems(Some(&stored)).iter().map(field).collect();
    assert_eq!(fields, ["name", "deployment", "endpoint", "key", "region"]);

    // Nothing but the endpoint and the key matters for a call.
    let kept = Draft {
        deployment: String::new(),
        endpoint: "http://127.0.0.1:8000/elsewhere".into(),
        auth: Auth::Bearer,
        key: KeyChange::Keep,
        ..resource_draft("")
    };
    let (endpoint, credential) = kept.call(Some(&stored)).unwrap();
    assert_eq!(endpoint.path, "/elsewhere");
    assert_eq!(credential.unwrap().1.to_str().unwrap(), "Bearer backend-key");
    assert!(kept.call(None).unwrap().1.is_none());
    assert_eq!(kept.key_after(Some(&stored)).unwrap().unwrap().expose_secret(), "backend-key");

    let moved = Draft { endpoint: "http://127.0.0.1:9000/mcp".into(), ..kept };
    assert_eq!(field(&moved.call(Some(&stored)).unwrap_err()), "key");
    assert_eq!(field(&moved.key_after(Some(&stored)).unwrap_err()), "key");
    let moved = Draft { deployment: "mcp-demo".into(), ..moved };
    let fields: Vec<_> = moved.problems(Some(&stored)).iter().map(field).collect();
    assert_eq!(fields, ["key"]);
}

async fn the_key_stands_in_the_header_that_the_backend_reads(store: Store) {
    for (auth, header, value) in [
        ("api-key", "api-key", "backend-key"),
        ("bearer", "authorization", "Bearer backend-key"),
        ("header:X-Token", "x-token", "backend-key"),
    ] {
        let draft =
            Draft { auth: auth.parse().unwrap(), ..resource_draft(&auth.replace(':', "-")) };
        let (name, sent) = store.save_resource(&draft).await.unwrap().credential().unwrap();
        assert_eq!((name.as_str(), sent.to_str().unwrap()), (header, value));
        assert!(sent.is_sensitive());
    }
    let none = Draft { auth: Auth::None, ..resource_draft("none") };
    assert!(store.save_resource(&none).await.unwrap().credential().is_none());
}

async fn a_deployment_name_is_its_owners_once(store: Store) {
    let saves: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.save_resource(&resource_draft("mcp-demo")).await })
        })
        .collect();
    let mut conflicts = 0;
    for save in saves {
        match save.await.unwrap() {
            Ok(_) => {}
            Err(Error::Conflict { reason }) => {
                assert!(reason.contains("\"mcp-demo\""), "{reason}");
                conflicts += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(conflicts, 7);
    store.resource("MCP-demo").await;
    let another = store.another_owner().await;
    resource::save(&store.db, &store.vault, &another, &resource_draft("mcp-demo")).await.unwrap();
}

async fn another_owners_resource_is_not_there(store: Store) {
    let resource = store.resource("mcp-demo").await;
    let event = store.save_event(&event_draft()).await.unwrap();
    let another = store.another_owner().await;
    let not_found = |error: Error| {
        let expected = Error::NotFound { noun: Noun::Resource, name: resource.id.clone() };
        assert_eq!(error.to_string(), expected.to_string());
    };
    let owner_id = &another.owner_id;
    assert!(resource::list(&store.db, &store.vault, owner_id).await.unwrap().is_empty());
    not_found(resource::get(&store.db, &store.vault, owner_id, &resource.id).await.unwrap_err());
    not_found(resource::delete(&store.db, &another, &resource.id).await.unwrap_err());
    let draft = Draft { id: Some(resource.id.clone()), ..resource_draft("stolen") };
    not_found(resource::save(&store.db, &store.vault, &another, &draft).await.unwrap_err());
    let draft = event::Draft { resources: vec![resource.id.clone()], ..event_draft() };
    let refused = event::save(&store.db, &store.vault, &another, &draft).await.unwrap_err();
    assert_eq!(field(&refused), "resources");
    assert_eq!(event.resources.len(), 0);
}

async fn a_resource_in_use_names_the_events_that_use_it(store: Store) {
    let resource = store.resource("mcp-demo").await;
    let mut last = String::new();
    for name in ["Winter school", "Autumn school"] {
        let draft = event::Draft {
            name: name.into(),
            resources: vec![resource.id.clone()],
            ..event_draft()
        };
        last = store.save_event(&draft).await.unwrap().id;
    }
    let refused = resource::delete(&store.db, &store.by, &resource.id).await.unwrap_err();
    assert!(refused.to_string().contains("Autumn school, Winter school"), "{refused}");
    let users = resource::users(&store.db, &store.by.owner_id).await.unwrap();
    assert_eq!(users[&resource.id], ["Autumn school", "Winter school"]);
    let another = store.another_owner().await;
    assert!(resource::users(&store.db, &another.owner_id).await.unwrap().is_empty());
    event::delete(&store.db, &store.by, &last).await.unwrap();
    let unlinked = store.number("select count(*) from event_resource").await;
    assert_eq!(unlinked, 1);
    store.execute("delete from event_resource").await;
    resource::delete(&store.db, &store.by, &resource.id).await.unwrap();
    assert!(resource::list(&store.db, &store.vault, &store.by.owner_id).await.unwrap().is_empty());
}

async fn fields_are_checked_by_the_rules_of_the_form(store: Store) {
    let valid = || resource_draft("mcp-demo");
    let key = |key: &str| KeyChange::Set(SecretString::from(key));
    let toolkit = ResourceType::FoundryToolkit;
    for (draft, expected) in [
        (Draft { deployment: " ".into(), ..valid() }, "deployment"),
        (Draft { deployment: "a".repeat(65), ..valid() }, "deployment"),
        (Draft { deployment: "a/b".into(), ..valid() }, "deployment"),
        (Draft { deployment: "a b".into(), ..valid() }, "deployment"),
        (Draft { deployment: "é".into(), ..valid() }, "deployment"),
        (Draft { deployment: ".".into(), ..valid() }, "deployment"),
        (Draft { deployment: "..".into(), ..valid() }, "deployment"),
        (Draft { name: "n".repeat(65), ..valid() }, "name"),
        (Draft { name: "two\nlines".into(), ..valid() }, "name"),
        (Draft { endpoint: "ftp://h/".into(), ..valid() }, "endpoint"),
        (Draft { kind: toolkit, ..valid() }, "endpoint"),
        (Draft { key: key(""), ..valid() }, "key"),
        (Draft { key: key(&"k".repeat(4097)), ..valid() }, "key"),
        (Draft { key: key("k\r\nHost: x"), ..valid() }, "key"),
        (Draft { key: key("schlüssel"), ..valid() }, "key"),
        (Draft { key: key("key "), ..valid() }, "key"),
        (Draft { region: "r".repeat(65), ..valid() }, "region"),
    ] {
        assert_eq!(field(&store.save_resource(&draft).await.unwrap_err()), expected);
    }
    for draft in [
        Draft { deployment: "a.B_c-9".into(), ..valid() },
        Draft { deployment: "...".into(), ..valid() },
        Draft { deployment: "a".repeat(64), name: "é".repeat(64), ..valid() },
        Draft { deployment: "k".into(), key: key(&"k".repeat(4096)), ..valid() },
        Draft { deployment: "t".into(), key: key("Token a b"), ..valid() },
        Draft {
            deployment: "tk".into(),
            kind: toolkit,
            endpoint: "https://h/models?x=1&api-version=2024-05-01-preview".into(),
            ..valid()
        },
    ] {
        store.save_resource(&draft).await.unwrap();
    }
    let unnamed = store.save_resource(&Draft { deployment: "unnamed".into(), ..valid() }).await;
    assert_eq!(unnamed.unwrap().name, "unnamed");
}

async fn a_sealed_column_moved_to_another_row_does_not_open(store: Store) {
    let one = store.resource("one").await;
    store.resource("two").await;
    store
        .execute(
            "update resource set key_sealed =
                (select key_sealed from resource where deployment = 'two')
             where deployment = 'one'",
        )
        .await;
    let all = resource::all(&store.db, &store.vault, &store.by.owner_id).await.unwrap();
    assert_eq!((&*all.read[0].deployment, &*all.unreadable[0].id), ("two", &*one.id));
    let reason = &all.unreadable[0].reason;
    assert!(reason.contains("key_sealed cannot be opened: it was altered, or moved"), "{reason}");
}
