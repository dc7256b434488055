//! Events: field rules, windows, links, and whose they are.

use ai_proxy::catalog::event::{self, Draft};
use ai_proxy::catalog::{Error, Outcome, attendee, quota};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Store, event_draft, on_both, resource_draft};

on_both![
    a_short_code_that_was_set_before_stays_and_no_other_is_set,
    an_event_is_kept_as_entered,
    saving_tells_created_updated_and_unchanged,
    links_follow_their_order,
    another_owners_event_is_not_there_and_its_id_is_taken,
    active_events_come_first_then_by_their_end,
    deleting_an_event_takes_its_rows_with_it_and_no_others,
    fields_are_checked_by_the_rules_of_the_form,
];

fn field(error: &Error) -> &'static str {
    match error {
        Error::Invalid { field, .. } => field,
        other => panic!("{other}"),
    }
}

async fn an_event_is_kept_as_entered(store: Store) {
    let one = store.resource("one").await;
    let off = resource_draft("off");
    let off = store
        .save_resource(&ai_proxy::catalog::resource::Draft { active: false, ..off })
        .await
        .unwrap();
    let draft = Draft {
        start: "2026-11-22T09:00:00".into(),
        end: "2026-11-29T18:00".into(),
        time_zone: "europe/berlin".into(),
        shared_code: Some("Welcome2026".into()),
        resources: vec![off.id.clone(), one.id.clone()],
        ..event_draft()
    };
    let event = store.save_event(&draft).await.unwrap();
    assert_eq!(
        (event.start_local.as_str(), event.end_local.as_str()),
        ("2026-11-22T09:00", "2026-11-29T18:00")
    );
    assert_eq!(event.time_zone, "Europe/Berlin");
    assert_eq!(event.starts_at, 1_795_334_400_000, "08:00 UTC");
    assert_eq!(event.ends_at, 1_795_971_600_000, "17:00 UTC");
    assert_eq!((event.max_token_cap, event.daily_request_cap), (4096, 1024));
    assert_eq!((event.requests_per_minute, event.burst, event.max_open_requests), (600, 60, 300));
    assert_eq!(event.shared_code.as_ref().unwrap().expose_secret(), "Welcome2026");
    assert_eq!(event.shared_code_limit, 500);
    let linked: Vec<_> =
        event.resources.iter().map(|resource| (&resource.id, resource.active)).collect();
    assert_eq!(linked, [(&off.id, false), (&one.id, true)], "in order, inactive ones included");
    assert!(!format!("{event:?}").contains("Welcome2026"));
    let (a, b) = event.id.split_once('-').unwrap();
    assert!(
        [a, b].iter().all(|half| half.len() == 4 && half.bytes().all(|c| c.is_ascii_hexdigit()))
    );
}

async fn saving_tells_created_updated_and_unchanged(store: Store) {
    let resource = store.resource("mcp-demo").await;
    let draft = Draft {
        id: Some("a1b2-c3d4".into()),
        shared_code: Some("Welcome2026".into()),
        ..event_draft()
    };
    let save =
        async |draft: Draft| event::save(&store.db, &store.vault, &store.by, &draft).await.unwrap();
    let created = save(draft.clone()).await;
    assert_eq!((created.outcome, created.id.as_str()), (Outcome::Created, "a1b2-c3d4"));
    assert_eq!(save(draft.clone()).await.outcome, Outcome::Unchanged);
    for changed in [
        Draft { name: "New".into(), ..draft.clone() },
        Draft { description: "New".into(), ..draft.clone() },
        Draft { organizer_name: "Bob".into(), ..draft.clone() },
        Draft { organizer_email: "bob@example.org".into(), ..draft.clone() },
        Draft { start: "2020-01-01T09:01".into(), ..draft.clone() },
        Draft { end: "2099-12-31T18:01".into(), ..draft.clone() },
        Draft { time_zone: "Asia/Tokyo".into(), ..draft.clone() },
        Draft { resources: vec![resource.id.clone()], ..draft.clone() },
        Draft { max_token_cap: 1, ..draft.clone() },
        Draft { daily_request_cap: 1, ..draft.clone() },
        Draft { requests_per_minute: 1, ..draft.clone() },
        Draft { burst: 1, ..draft.clone() },
        Draft { max_open_requests: 1, ..draft.clone() },
        Draft { shared_code: Some("another1".into()), ..draft.clone() },
        Draft { shared_code: None, ..draft.clone() },
        Draft { shared_code: Some("".into()), ..draft.clone() },
        Draft { shared_code_limit: 1, ..draft.clone() },
        Draft { registration: "closed".into(), ..draft.clone() },
        Draft { cards_work_once: true, ..draft.clone() },
        Draft { terms: "Be kind.".into(), ..draft.clone() },
        Draft { forget_after_days: Some(30), ..draft.clone() },
        Draft { active: false, ..draft.clone() },
    ] {
        assert_eq!(save(changed).await.outcome, Outcome::Updated);
        assert_eq!(save(draft.clone()).await.outcome, Outcome::Updated);
    }
    assert_eq!(store.number("select count(*) from event").await, 1);
}

async fn links_follow_their_order(store: Store) {
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(store.resource(name).await.id);
    }
    let draft = Draft { id: Some("0000-0001".into()), resources: ids.clone(), ..event_draft() };
    store.save_event(&draft).await.unwrap();
    ids.reverse();
    let event = store.save_event(&Draft { resources: ids.clone(), ..draft.clone() }).await.unwrap();
    assert_eq!(event.resources.iter().map(|r| r.id.clone()).collect::<Vec<_>>(), ids);
    let twice = Draft { resources: vec![ids[0].clone(), ids[0].clone()], ..draft.clone() };
    assert_eq!(field(&store.save_event(&twice).await.unwrap_err()), "resources");
    let unknown = Draft { resources: vec!["nothing".into()], ..draft };
    assert_eq!(field(&store.save_event(&unknown).await.unwrap_err()), "resources");
}

async fn another_owners_event_is_not_there_and_its_id_is_taken(store: Store) {
    let event = store.event().await;
    let another = store.another_owner().await;
    assert!(event::list(&store.db, &store.vault, &another.owner_id).await.unwrap().is_empty());
    let found = event::get(&store.db, &store.vault, &another.owner_id, &event.id).await;
    assert!(matches!(found, Err(Error::NotFound { .. })));
    assert!(matches!(
        event::delete(&store.db, &another, &event.id).await,
        Err(Error::NotFound { .. })
    ));
    let draft = Draft { id: Some(event.id.clone()), ..event_draft() };
    let taken = event::save(&store.db, &store.vault, &another, &draft).await;
    assert!(matches!(taken, Err(Error::Conflict { .. })));
    store.issue(&event, 1).await;
    let issued = attendee::issue(&store.db, &store.vault, &another, &event.id, 1, &[]).await;
    assert!(matches!(issued, Err(Error::NotFound { .. })));
}

async fn active_events_come_first_then_by_their_end(store: Store) {
    for (name, end, active) in [
        ("off", "2030-01-01T00:00", false),
        ("late", "2031-01-01T00:00", true),
        ("early", "2030-06-01T00:00", true),
    ] {
        let draft = Draft { name: name.into(), end: end.into(), active, ..event_draft() };
        store.save_event(&draft).await.unwrap();
    }
    let events = event::list(&store.db, &store.vault, &store.by.owner_id).await.unwrap();
    assert_eq!(
        events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(),
        ["early", "late", "off"]
    );
}

async fn deleting_an_event_takes_its_rows_with_it_and_no_others(store: Store) {
    let resource = store.resource("mcp-demo").await;
    let draft = Draft { resources: vec![resource.id.clone()], ..event_draft() };
    let (gone, stays) =
        (store.save_event(&draft).await.unwrap(), store.save_event(&draft).await.unwrap());
    for event in [&gone, &stays] {
        let issued = store.issue(event, 2).await;
        quota::lease(&store.db, &issued[0].attendee_id, 1, 1, 5).await.unwrap();
    }
    event::delete(&store.db, &store.by, &gone.id).await.unwrap();
    store.purge().await;
    for (query, expected) in [
        ("select count(*) from event", 1),
        ("select count(*) from event_resource", 1),
        ("select count(*) from attendee", 2),
        ("select count(*) from quota", 1),
        ("select count(*) from resource", 1),
    ] {
        assert_eq!(store.number(query).await, expected, "{query}");
    }
    assert_eq!(attendee::list(&store.db, &store.by.owner_id, &stays.id).await.unwrap().len(), 2);
    let again = event::delete(&store.db, &store.by, &gone.id).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
}

async fn fields_are_checked_by_the_rules_of_the_form(store: Store) {
    let valid = event_draft;
    let code = |code: &str| Some(SecretString::from(code));
    for (draft, expected) in [
        (Draft { id: Some("A1B2-C3D4".into()), ..valid() }, "id"),
        (Draft { id: Some("a1b2c3d4".into()), ..valid() }, "id"),
        (Draft { id: Some("a1b2-c3d".into()), ..valid() }, "id"),
        (Draft { name: "".into(), ..valid() }, "name"),
        (Draft { name: "n".repeat(65), ..valid() }, "name"),
        (Draft { name: "a\rb".into(), ..valid() }, "name"),
        (Draft { description: " \n".into(), ..valid() }, "description"),
        (Draft { description: "d".repeat(8193), ..valid() }, "description"),
        (Draft { description: "a\0b".into(), ..valid() }, "description"),
        (Draft { organizer_name: "".into(), ..valid() }, "organizer_name"),
        (Draft { organizer_name: "o".repeat(129), ..valid() }, "organizer_name"),
        (Draft { organizer_email: "".into(), ..valid() }, "organizer_email"),
        (Draft { organizer_email: "ada".into(), ..valid() }, "organizer_email"),
        (Draft { organizer_email: "@example.org".into(), ..valid() }, "organizer_email"),
        (Draft { organizer_email: "a b@example.org".into(), ..valid() }, "organizer_email"),
        (Draft { organizer_email: "ada@".into(), ..valid() }, "organizer_email"),
        (Draft { start: "".into(), ..valid() }, "start"),
        (Draft { start: "2026-11-22".into(), ..valid() }, "start"),
        (Draft { start: "2026-02-29T09:00".into(), ..valid() }, "start"),
        (Draft { end: "2099-12-31 18:00".into(), ..valid() }, "end"),
        (Draft { end: "2099-12-31T18:00Z".into(), ..valid() }, "end"),
        (Draft { end: "2020-01-01T09:00".into(), ..valid() }, "end"),
        (Draft { end: "2019-12-31T09:00".into(), ..valid() }, "end"),
        (Draft { time_zone: "".into(), ..valid() }, "time_zone"),
        (Draft { time_zone: "Mars/Olympus".into(), ..valid() }, "time_zone"),
        (Draft { time_zone: "+02:00".into(), ..valid() }, "time_zone"),
        (Draft { time_zone: "Etc/Unknown".into(), ..valid() }, "time_zone"),
        (Draft { max_token_cap: 0, ..valid() }, "max_token_cap"),
        (Draft { daily_request_cap: 100_001, ..valid() }, "daily_request_cap"),
        (Draft { requests_per_minute: 0, ..valid() }, "requests_per_minute"),
        (Draft { burst: 0, ..valid() }, "burst"),
        (Draft { max_open_requests: 0, ..valid() }, "max_open_requests"),
        (Draft { shared_code: code("seven77"), ..valid() }, "shared_code"),
        (Draft { shared_code: code("abcd"), ..valid() }, "shared_code"),
        (Draft { shared_code: code(&"a".repeat(65)), ..valid() }, "shared_code"),
        (Draft { shared_code: code("abc-def"), ..valid() }, "shared_code"),
        (Draft { shared_code_limit: 0, ..valid() }, "shared_code_limit"),
        (Draft { registration: "open".into(), ..valid() }, "registration"),
        (Draft { terms: "x".repeat(8193), ..valid() }, "terms"),
        (Draft { terms: "\0".into(), ..valid() }, "terms"),
        (Draft { registration: "github".into(), ..valid() }, "registration"),
    ] {
        assert_eq!(field(&store.save_event(&draft).await.unwrap_err()), expected);
    }
    let widest = Draft {
        name: "é".repeat(64),
        description: "é".repeat(8192),
        max_token_cap: 100_000,
        daily_request_cap: 1,
        shared_code: code(&"a".repeat(64)),
        ..valid()
    };
    store.save_event(&widest).await.unwrap();
}

async fn a_short_code_that_was_set_before_stays_and_no_other_is_set(store: Store) {
    let draft = Draft { shared_code: Some("Welcome2026".into()), ..event_draft() };
    let event = store.save_event(&draft).await.unwrap();
    let sealed = {
        // As it was stored when five characters were enough.
        let short = Draft { shared_code: Some("12345".into()), ..event_draft() };
        let mut tx = ai_proxy::catalog::change::write(&store.db).await.unwrap();
        let id = Some(event.id.clone());
        let draft = Draft { id, ..short };
        ai_proxy::catalog::event::restore_in(&mut tx, &store.vault, &store.by, &draft, None)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        draft
    };
    let renamed = Draft { name: "Renamed".into(), ..sealed.clone() };
    store.save_event(&renamed).await.unwrap();
    for other in ["54321", "1234567"] {
        let draft = Draft { shared_code: Some(other.into()), ..renamed.clone() };
        let refused = store.save_event(&draft).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { field: "shared_code", .. }), "{refused}");
    }
    let draft = Draft { shared_code: Some("12345678".into()), ..renamed };
    store.save_event(&draft).await.unwrap();
    let proposed = ai_proxy::catalog::event::propose_code().unwrap();
    store.save_event(&Draft { shared_code: Some(proposed.into()), ..draft }).await.unwrap();
}
