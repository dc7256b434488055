//! Attendees: their keys, and how many a shared code lets in.

use std::collections::HashSet;

use ai_proxy::catalog::attendee::{self, Attendee, Joined};
use ai_proxy::catalog::event::{Draft, Event};
use ai_proxy::catalog::{Error, Noun};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Store, event_draft, on_both};

on_both![
    issued_keys_find_their_attendee_and_no_other,
    keys_issued_at_once_are_numbered_without_a_gap,
    as_many_keys_are_issued_as_there_are_names,
    each_event_of_an_owner_knows_how_many_attendees_it_has,
    an_organiser_manages_their_attendees,
    another_owners_attendees_are_not_there,
    a_name_is_the_same_person_however_it_is_written,
    a_shared_code_lets_in_exactly_its_limit,
    nobody_joins_an_event_that_is_gone,
];

async fn who_has(store: &Store, key: &SecretString) -> Option<Attendee> {
    let digest = store.vault.digest(key.expose_secret());
    attendee::find_by_digest(&store.db, &[digest]).await.unwrap()
}

async fn join(store: &Store, event: &Event, name: &str) -> Joined {
    attendee::join_by_shared_code(&store.db, &store.vault, event, name).await.unwrap()
}

async fn shared_event(store: &Store, limit: u32) -> Event {
    let draft = Draft {
        shared_code: Some("Welcome2026".into()),
        shared_code_limit: limit,
        ..event_draft()
    };
    store.save_event(&draft).await.unwrap()
}

async fn each_event_of_an_owner_knows_how_many_attendees_it_has(store: Store) {
    let (full, empty) = (store.event().await, store.save_event(&event_draft()).await.unwrap());
    store.issue(&full, 3).await;
    let counts = attendee::counts(&store.db, &store.by.owner_id).await.unwrap();
    assert_eq!((counts.get(&full.id), counts.get(&empty.id)), (Some(&3), None));
    let other = store.another_owner().await;
    assert!(attendee::counts(&store.db, &other.owner_id).await.unwrap().is_empty());
}

async fn issued_keys_find_their_attendee_and_no_other(store: Store) {
    let event = store.event().await;
    let names = ["Ada".to_owned(), " Bob ".to_owned()];
    let issued =
        attendee::issue(&store.db, &store.vault, &store.by, &event.id, 3, &names).await.unwrap();
    let users: Vec<_> =
        issued.iter().map(|new| (new.user_id.as_str(), new.display_name.as_str())).collect();
    assert_eq!(users, [("issued:1", "Ada"), ("issued:2", "Bob"), ("issued:3", "")]);
    for new in &issued {
        let key = new.api_key.expose_secret();
        assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let found = who_has(&store, &new.api_key).await.unwrap();
        assert_eq!((&found.id, &found.event_id), (&new.attendee_id, &event.id));
        assert!(found.active && found.daily_request_cap.is_none());
        let shown =
            attendee::reveal_key(&store.db, &store.vault, &store.by.owner_id, &found.id).await;
        assert_eq!(shown.unwrap().expose_secret(), key);
        assert!(!format!("{new:?}").contains(key));
    }
    assert!(who_has(&store, &"0".repeat(64).into()).await.is_none());
    assert!(attendee::find_by_digest(&store.db, &[]).await.unwrap().is_none());
    let more = store.issue(&event, 2).await;
    assert_eq!(more[1].user_id, "issued:5");
    let list = attendee::list(&store.db, &store.by.owner_id, &event.id).await.unwrap();
    assert_eq!(
        list.iter().map(|a| a.user_id.as_str()).collect::<Vec<_>>(),
        ["issued:1", "issued:2", "issued:3", "issued:4", "issued:5"]
    );
}

async fn keys_issued_at_once_are_numbered_without_a_gap(store: Store) {
    let event = store.event().await;
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (store, event) = (store.clone(), event.clone());
            tokio::spawn(async move { store.issue(&event, 10).await })
        })
        .collect();
    let mut users = HashSet::new();
    for task in tasks {
        users.extend(task.await.unwrap().into_iter().map(|new| new.user_id));
    }
    assert_eq!(users, (1..=40).map(|n| format!("issued:{n}")).collect());
}

async fn as_many_keys_are_issued_as_there_are_names(store: Store) {
    let event = store.event().await;
    let names: Vec<String> = (0..3).map(|n| format!("person {n}")).collect();
    let issue = |count, names: Vec<String>| {
        let (store, event_id) = (store.clone(), event.id.clone());
        async move {
            attendee::issue(&store.db, &store.vault, &store.by, &event_id, count, &names).await
        }
    };
    assert_eq!(issue(0, names).await.unwrap().len(), 3);
    for (count, names) in [(0, vec![]), (5001, vec![]), (1, vec!["a\nb".to_owned()])] {
        assert!(matches!(issue(count, names).await, Err(Error::Invalid { .. })));
    }
    assert_eq!(store.number("select count(*) from attendee").await, 3, "all or none");
}

async fn an_organiser_manages_their_attendees(store: Store) {
    let event = store.event().await;
    let ada = store.issue(&event, 1).await.remove(0);
    let id = &ada.attendee_id;
    attendee::set_active(&store.db, &store.by, id, false).await.unwrap();
    attendee::set_cap(&store.db, &store.by, id, Some(7)).await.unwrap();
    let found = who_has(&store, &ada.api_key).await.unwrap();
    assert_eq!((found.active, found.daily_request_cap), (false, Some(7)));
    attendee::set_active(&store.db, &store.by, id, true).await.unwrap();
    attendee::set_cap(&store.db, &store.by, id, None).await.unwrap();
    let found = who_has(&store, &ada.api_key).await.unwrap();
    assert_eq!((found.active, found.daily_request_cap), (true, None));
    let cap = attendee::set_cap(&store.db, &store.by, id, Some(0)).await;
    assert!(matches!(cap, Err(Error::Invalid { .. })));

    let new = attendee::new_key(&store.db, &store.vault, &store.by, id).await.unwrap();
    assert!(who_has(&store, &ada.api_key).await.is_none(), "the old one stops at once");
    assert_eq!(&who_has(&store, &new).await.unwrap().id, id);

    attendee::delete(&store.db, &store.by, id).await.unwrap();
    assert!(who_has(&store, &new).await.is_none());
    let audited = store.number("select count(*) from audit where noun = 'attendee'").await;
    assert_eq!(audited, 6);
    let leaks =
        store.number("select count(*) from audit where detail like '%v1.%' or length(detail) > 60");
    assert_eq!(leaks.await, 0);
}

async fn another_owners_attendees_are_not_there(store: Store) {
    let event = store.event().await;
    let ada = store.issue(&event, 1).await.remove(0);
    let another = store.another_owner().await;
    let (db, vault, id) = (&store.db, &store.vault, &ada.attendee_id);
    let results = [
        attendee::set_active(db, &another, id, false).await,
        attendee::set_cap(db, &another, id, Some(1)).await,
        attendee::new_key(db, vault, &another, id).await.map(drop),
        attendee::reveal_key(db, vault, &another.owner_id, id).await.map(drop),
        attendee::delete(db, &another, id).await,
    ];
    for result in results {
        assert!(matches!(result, Err(Error::NotFound { noun: Noun::Attendee, .. })));
    }
    assert!(attendee::list(db, &another.owner_id, &event.id).await.unwrap().is_empty());
    assert!(who_has(&store, &ada.api_key).await.unwrap().active);
}

async fn a_name_is_the_same_person_however_it_is_written(store: Store) {
    let event = shared_event(&store, 3).await;
    let Joined::Attendee(ada) = join(&store, &event, "Ada@Example.org").await else {
        panic!("full")
    };
    assert_eq!(ada.display_name, "Ada@Example.org");
    assert!(ada.user_id.starts_with("shared:") && ada.user_id.len() == 7 + 64);
    for spelling in ["ada@example.org", "  ADA@EXAMPLE.ORG\t"] {
        let Joined::Attendee(same) = join(&store, &event, spelling).await else { panic!("full") };
        assert_eq!(same.id, ada.id);
    }
    let Joined::Attendee(bob) = join(&store, &event, "bob@example.org").await else {
        panic!("full")
    };
    assert_ne!(bob.id, ada.id);
    let elsewhere = shared_event(&store, 3).await;
    let Joined::Attendee(other) = join(&store, &elsewhere, "ada@example.org").await else {
        panic!("full")
    };
    assert_ne!(other.user_id, ada.user_id, "another event, another person");
    let sealed = store.number("select count(distinct key_digest) from attendee").await;
    assert_eq!(sealed, 3, "each has a key of their own");
}

async fn a_shared_code_lets_in_exactly_its_limit(store: Store) {
    let event = shared_event(&store, 25).await;
    let replica = store.replica().await;
    let tasks: Vec<_> = (0..80)
        .map(|n| {
            let store = if n % 2 == 0 { store.clone() } else { replica.clone() };
            let event = event.clone();
            // Each name comes twice.
            tokio::spawn(async move { join(&store, &event, &format!("person-{}", n / 2)).await })
        })
        .collect();
    let mut joined = HashSet::new();
    let mut full = 0;
    for task in tasks {
        match task.await.unwrap() {
            Joined::Attendee(attendee) => _ = joined.insert(attendee.id),
            Joined::Full => full += 1,
            Joined::Shut(why) => panic!("registration was never closed: {why:?}"),
        }
    }
    assert_eq!(joined.len(), 25);
    assert_eq!(full, 30, "the other 15 names, twice each");
    assert_eq!(store.number("select count(*) from attendee").await, 25);
    store.issue(&event, 1).await;

    store.execute("update event set shared_code_limit = 26").await;
    let late = join(&store, &event, "a late one").await;
    assert!(matches!(late, Joined::Attendee(_)), "by the row's limit; issued keys do not count");
    assert!(matches!(join(&store, &event, "one too many").await, Joined::Full));
    replica.db.close().await;
}

async fn nobody_joins_an_event_that_is_gone(store: Store) {
    let event = shared_event(&store, 5).await;
    ai_proxy::catalog::event::delete(&store.db, &store.by, &event.id).await.unwrap();
    let joined =
        attendee::join_by_shared_code(&store.db, &store.vault, &event, "ada lovelace").await;
    assert!(matches!(joined, Err(Error::NotFound { noun: Noun::Event, .. })));
}
