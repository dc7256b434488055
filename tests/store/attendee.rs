//! Attendees: their keys, and how many a shared code lets in.

use std::collections::HashSet;

use ai_proxy::catalog::attendee::{self, Attendee, Joined};
use ai_proxy::catalog::event::{self, Draft, Event, Registration};
use ai_proxy::catalog::{Error, Noun};
use ai_proxy::clock::{day_of, now_ms};
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
    who_joined_under_another_spelling_is_found_once_and_rekeyed,
    who_is_deleted_stays_out_until_let_in_again,
    nobody_who_is_deleted_comes_back_by_an_older_row,
    a_deleted_attendee_counts_towards_the_limit_and_goes_with_the_event,
    new_keys_and_cards_are_for_issued_attendees,
];

async fn who_has(store: &Store, key: &SecretString) -> Option<Attendee> {
    let digest = store.vault.digest(key.expose_secret());
    attendee::find_by_digest(&store.db, &[digest]).await.unwrap()
}

async fn join(store: &Store, event: &Event, name: &str) -> Joined {
    attendee::join_by_shared_code(&store.db, &store.vault, event, name.as_bytes(), now_ms())
        .await
        .unwrap()
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
        assert!(key.len() == 36 && key.starts_with("aik_"), "{key}");
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

    attendee::delete(&store.db, &store.by, id, day_of(now_ms())).await.unwrap();
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
        attendee::delete(db, &another, id, day_of(now_ms())).await,
    ];
    for result in results {
        assert!(matches!(result, Err(Error::NotFound { noun: Noun::Attendee, .. })));
    }
    assert!(attendee::list(db, &another.owner_id, &event.id).await.unwrap().is_empty());
    assert!(who_has(&store, &ada.api_key).await.unwrap().active);
}

async fn a_name_is_the_same_person_however_it_is_written(store: Store) {
    let event = shared_event(&store, 3).await;
    let Joined::New(ada) = join(&store, &event, "Ada@Example.org").await else { panic!("full") };
    assert_eq!(ada.display_name, "Ada@Example.org");
    assert!(ada.user_id.starts_with("shared:") && ada.user_id.len() == 7 + 64);
    for spelling in ["ada@example.org", "  ADA%40EXAMPLE.ORG  "] {
        let Joined::Known(same) = join(&store, &event, spelling).await else { panic!("full") };
        assert_eq!(same.id, ada.id);
    }
    let Joined::New(bob) = join(&store, &event, "bob@example.org").await else { panic!("full") };
    assert_ne!(bob.id, ada.id);
    let elsewhere = shared_event(&store, 3).await;
    let Joined::New(other) = join(&store, &elsewhere, "ada@example.org").await else {
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
    let (mut full, mut known) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Joined::New(attendee) => assert!(joined.insert(attendee.id), "each is new once"),
            Joined::Known(_) => known += 1,
            Joined::Full => full += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((joined.len(), known), (25, 25));
    assert_eq!(full, 30, "the other 15 names, twice each");
    assert_eq!(store.number("select count(*) from attendee").await, 25);
    store.issue(&event, 1).await;

    store.execute("update event set shared_code_limit = 26").await;
    let late = join(&store, &event, "a late one").await;
    assert!(matches!(late, Joined::New(_)), "by the row's limit; issued keys do not count");
    assert!(matches!(join(&store, &event, "one too many").await, Joined::Full));
    replica.db.close().await;
}

async fn nobody_joins_an_event_that_is_gone(store: Store) {
    let event = shared_event(&store, 5).await;
    ai_proxy::catalog::event::delete(&store.db, &store.by, &event.id).await.unwrap();
    let joined =
        attendee::join_by_shared_code(&store.db, &store.vault, &event, b"ada lovelace", now_ms())
            .await;
    assert!(matches!(joined, Err(Error::NotFound { noun: Noun::Event, .. })));
}

async fn joins(store: &Store, event: &Event, name: &str) -> Attendee {
    match join(store, event, name).await {
        Joined::New(attendee) | Joined::Known(attendee) => attendee,
        other => panic!("{name}: {other:?}"),
    }
}

async fn who_joined_under_another_spelling_is_found_once_and_rekeyed(store: Store) {
    let event = shared_event(&store, 3).await;
    let long = format!("{}@example.org", "x".repeat(80));
    for (sent, literal) in [
        ("Ada%40Example.org", "ada%40example.org"),
        ("bob%2Fof%2Fthe%2Fslashes", "bob%2fof%2fthe%2fslashes"),
        (&long, &long),
    ] {
        store.execute("delete from attendee").await;
        let before = joins(&store, &event, "somebody").await;
        sqlx::query("update attendee set user_id = $1")
            .bind(attendee::shared_user_id(&event.id, literal))
            .execute(store.db.writer())
            .await
            .unwrap();
        let now = joins(&store, &event, sent).await;
        assert_eq!(now.id, before.id, "{sent}");
        let decoded = literal.replace("%40", "@").replace("%2f", "/");
        assert_eq!(now.user_id, attendee::shared_user_id(&event.id, &decoded), "{sent}");
        assert_eq!(joins(&store, &event, &decoded).await.id, before.id, "{sent}");
    }
    assert!(matches!(join(&store, &event, &long.replace('x', "y")).await, Joined::NameNotUsable));
}

async fn who_is_deleted_stays_out_until_let_in_again(store: Store) {
    let event = shared_event(&store, 5).await;
    let (db, vault, by) = (&store.db, &store.vault, &store.by);
    let ada = joins(&store, &event, "Ada Lovelace").await;
    let today = ai_proxy::clock::day_of(ai_proxy::clock::now_ms());
    ai_proxy::catalog::quota::lease(db, &ada.id, today, 7, 10).await.unwrap().unwrap();
    attendee::delete(db, by, &ada.id, day_of(now_ms())).await.unwrap();
    let out = join(&store, &event, "ada  lovelace").await;
    assert!(matches!(&out, Joined::Deleted(id) if *id == ada.user_id), "{out:?}");
    let deleted = attendee::deleted::list(db, &by.owner_id, &event.id).await.unwrap();
    let expected = attendee::deleted::Deleted { user_id: ada.user_id.clone(), day: today, used: 7 };
    assert_eq!(deleted, [expected]);

    let another = store.another_owner().await;
    assert!(attendee::deleted::list(db, &another.owner_id, &event.id).await.unwrap().is_empty());
    let foreign = attendee::deleted::let_in_again(db, vault, &another, &event.id, &ada.user_id);
    assert!(matches!(foreign.await, Err(Error::NotFound { .. })));
    let let_in = || attendee::deleted::let_in_again(db, vault, by, &event.id, &ada.user_id);
    let_in().await.unwrap();
    assert!(matches!(let_in().await, Err(Error::NotFound { .. })), "once");
    assert_eq!(ai_proxy::catalog::quota::used(db, &ada.user_id, today).await.unwrap(), 0);
    // Also while nobody new is let in.
    let closed = Event { registration: Registration::CLOSED, ..event.clone() };
    store.execute("update event set registration = 'closed'").await;
    let again = joins(&store, &closed, "Ada Lovelace").await;
    assert_eq!((again.user_id, again.display_name.as_str()), (ada.user_id, "Ada Lovelace"));
    assert_eq!(ai_proxy::catalog::quota::used(db, &again.id, today).await.unwrap(), 7);
    let more = ai_proxy::catalog::quota::lease(db, &again.id, today, 4, 10).await.unwrap();
    assert_eq!(more, None, "the cap is not fresh");
}

/// A name may have two rows: one of its spelling as it was sent, made before names were
/// decoded, and one of today.
async fn nobody_who_is_deleted_comes_back_by_an_older_row(store: Store) {
    let event = shared_event(&store, 5).await;
    let (db, vault, by) = (&store.db, &store.vault, &store.by);
    let older = joins(&store, &event, "somebody").await;
    let ada = joins(&store, &event, "ada lovelace").await;
    sqlx::query("update attendee set user_id = $2 where id = $1")
        .bind(&older.id)
        .bind(attendee::shared_user_id(&event.id, "ada%20lovelace"))
        .execute(db.writer())
        .await
        .unwrap();
    assert_eq!(joins(&store, &event, "Ada%20Lovelace").await.id, ada.id);
    attendee::delete(db, by, &ada.id, day_of(now_ms())).await.unwrap();
    for sent in ["Ada%20Lovelace", "ada lovelace"] {
        let out = join(&store, &event, sent).await;
        assert!(matches!(&out, Joined::Deleted(id) if *id == ada.user_id), "{sent}: {out:?}");
    }
    attendee::deleted::let_in_again(db, vault, by, &event.id, &ada.user_id).await.unwrap();
    assert_ne!(joins(&store, &event, "Ada%20Lovelace").await.id, older.id);
}

async fn a_deleted_attendee_counts_towards_the_limit_and_goes_with_the_event(store: Store) {
    let event = shared_event(&store, 1).await;
    let ada = joins(&store, &event, "Ada").await;
    attendee::delete(&store.db, &store.by, &ada.id, day_of(now_ms())).await.unwrap();
    assert!(matches!(join(&store, &event, "Bob").await, Joined::Full));
    let issued = store.issue(&event, 1).await;
    attendee::delete(&store.db, &store.by, &issued[0].attendee_id, day_of(now_ms())).await.unwrap();
    assert_eq!(store.number("select count(*) from deleted_attendee").await, 1, "no issued ones");
    event::delete(&store.db, &store.by, &event.id).await.unwrap();
    let listed = attendee::deleted::list(&store.db, &store.by.owner_id, &event.id).await.unwrap();
    assert!(listed.is_empty(), "at once");
    store.purge().await;
    assert_eq!(store.number("select count(*) from deleted_attendee").await, 0);
}

async fn new_keys_and_cards_are_for_issued_attendees(store: Store) {
    let event = shared_event(&store, 1).await;
    let ada = joins(&store, &event, "Ada").await;
    let (db, vault, by) = (&store.db, &store.vault, &store.by);
    let key = attendee::new_key(db, vault, by, &ada.id).await.unwrap_err();
    assert!(key.to_string().contains("joined with the shared code"), "{key}");
    let whom = attendee::claim::For::One(&ada.id);
    let card = attendee::claim::make_cards(db, vault, by, &event.id, whom).await.unwrap_err();
    assert!(matches!(card, Error::Conflict { .. }), "{card}");
}
