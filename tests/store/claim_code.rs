//! Claim codes: each is taken for a key once, whoever tries and however often.

use ai_proxy::catalog::attendee::claim::{self, Claim, For, Waiting};
use ai_proxy::catalog::attendee::{self, listing};
use ai_proxy::catalog::event::{self, Event};
use ai_proxy::catalog::{Error, Noun};
use ai_proxy::clock::{day_of, now_ms};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Store, event_draft, on_both};

on_both![
    a_code_is_claimed_exactly_once_by_many_at_once,
    a_new_card_voids_the_one_before,
    codes_of_deactivated_people_and_ended_events_are_left_unused,
    cards_are_made_for_those_who_wait_for_one,
    another_owner_makes_no_cards_and_lists_nobody,
    attendees_are_found_by_any_part_of_their_name,
];

async fn cards(store: &Store, event: &Event, whom: For<'_>) -> Vec<(String, String)> {
    let made = claim::make_cards(&store.db, &store.vault, &store.by, &event.id, whom).await;
    made.unwrap()
        .into_iter()
        .map(|card| (card.attendee_id, card.code.expose_secret().to_owned()))
        .collect()
}

async fn claim(store: &Store, code: &str) -> Claim {
    claim::claim(&store.db, &store.vault, code, now_ms()).await.unwrap()
}

async fn has_key(store: &Store, key: &SecretString) -> Option<String> {
    let digest = store.vault.digest(key.expose_secret());
    let found = attendee::find_by_digest(&store.db, &[digest]).await.unwrap();
    found.map(|attendee| attendee.id)
}

async fn a_code_is_claimed_exactly_once_by_many_at_once(store: Store) {
    let event = store.event().await;
    let issued = store.issue(&event, 1).await.remove(0);
    let (id, code) = cards(&store, &event, For::New).await.remove(0);
    assert_eq!(id, issued.attendee_id);
    let stored = "select count(*) from claim_code where length(digest) = 64";
    assert_eq!(store.number(stored).await, 1);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (store, code) = (store.clone(), code.clone());
            tokio::spawn(async move { claim(&store, &code).await })
        })
        .collect();
    let mut keys = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Claim::Key { key, .. } => keys.push(key),
            other => assert!(matches!(other, Claim::Used { .. }), "{other:?}"),
        }
    }
    assert_eq!(keys.len(), 1);
    assert_eq!(has_key(&store, &keys[0]).await.as_deref(), Some(id.as_str()));
    assert_eq!(has_key(&store, &issued.api_key).await, None, "the key before it stopped");
    let shown = claim(&store, &code.to_lowercase().replace('-', " ")).await;
    assert!(matches!(shown, Claim::Used { .. }), "{shown:?}");
    let trail = "select count(*) from audit where action = 'claimed a card'";
    assert_eq!(store.number(trail).await, 1);
}

async fn a_new_card_voids_the_one_before(store: Store) {
    let event = store.event().await;
    store.issue(&event, 1).await;
    let (id, first) = cards(&store, &event, For::New).await.remove(0);
    let (_, second) = cards(&store, &event, For::One(&id)).await.remove(0);
    assert!(matches!(claim(&store, &first).await, Claim::Unknown));
    assert!(matches!(claim(&store, &second).await, Claim::Key { .. }));
    let (_, third) = cards(&store, &event, For::One(&id)).await.remove(0);
    assert!(matches!(claim(&store, &second).await, Claim::Unknown));
    assert!(matches!(claim(&store, &third).await, Claim::Key { .. }));
    attendee::delete(&store.db, &store.by, &id, day_of(now_ms())).await.unwrap();
    assert!(matches!(claim(&store, &third).await, Claim::Unknown));
    assert!(matches!(claim(&store, "0000-0000-0000").await, Claim::Unknown));
}

async fn codes_of_deactivated_people_and_ended_events_are_left_unused(store: Store) {
    let event = store.event().await;
    store.issue(&event, 1).await;
    let (id, code) = cards(&store, &event, For::New).await.remove(0);
    attendee::set_active(&store.db, &store.by, &id, false).await.unwrap();
    assert!(matches!(claim(&store, &code).await, Claim::Deactivated { .. }));
    attendee::set_active(&store.db, &store.by, &id, true).await.unwrap();

    let ended = event::Draft {
        id: Some(event.id.clone()),
        end: "2021-01-01T00:00".into(),
        ..event_draft()
    };
    store.save_event(&ended).await.unwrap();
    assert!(matches!(claim(&store, &code).await, Claim::Ended { .. }));
    let open = event::Draft { id: Some(event.id.clone()), ..event_draft() };
    store.save_event(&open).await.unwrap();
    assert!(matches!(claim(&store, &code).await, Claim::Key { .. }));
}

async fn cards_are_made_for_those_who_wait_for_one(store: Store) {
    let event = store.event().await;
    let waiting = async || claim::waiting(&store.db, &store.by.owner_id, &event.id).await.unwrap();
    assert_eq!(waiting().await, Waiting::default());
    let none = claim::make_cards(&store.db, &store.vault, &store.by, &event.id, For::New).await;
    assert!(matches!(none, Err(Error::Conflict { .. })), "{none:?}");
    store.issue(&event, 3).await;
    store.execute("update attendee set last_seen_at = 1 where user_id = 'issued:1'").await;
    assert_eq!(waiting().await, Waiting { new: 2, unclaimed: 0 });
    let made = cards(&store, &event, For::New).await;
    assert_eq!((made.len(), waiting().await), (2, Waiting { new: 0, unclaimed: 2 }));
    assert!(matches!(claim(&store, &made[0].1).await, Claim::Key { .. }));
    assert_eq!(waiting().await, Waiting { new: 0, unclaimed: 1 });
    let anew = cards(&store, &event, For::Unclaimed).await;
    assert_eq!((anew.len(), &anew[0].0), (1, &made[1].0));
}

async fn another_owner_makes_no_cards_and_lists_nobody(store: Store) {
    let event = store.event().await;
    let id = store.issue(&event, 1).await.remove(0).attendee_id;
    let other = store.another_owner().await;
    for whom in [For::New, For::Unclaimed, For::One(&id)] {
        let made = claim::make_cards(&store.db, &store.vault, &other, &event.id, whom).await;
        assert!(made.is_err(), "{made:?}");
    }
    assert_eq!(store.number("select count(*) from claim_code").await, 0);
    let part = listing::page(&store.db, &other.owner_id, &event.id, 0, "", (0, 10)).await.unwrap();
    assert_eq!((part.all, part.rows.len()), (0, 0));
    let one = listing::one(&store.db, &other.owner_id, &event.id, 0, &id).await;
    assert!(matches!(one, Err(Error::NotFound { noun: Noun::Attendee, .. })), "{one:?}");
}

async fn attendees_are_found_by_any_part_of_their_name(store: Store) {
    let event = store.event().await;
    let names = ["Ada Lovelace", "100% Bob", "under_score", "Zoë ÖZDEMİR"].map(str::to_owned);
    attendee::issue(&store.db, &store.vault, &store.by, &event.id, 4, &names).await.unwrap();
    for (search, found) in [
        ("", 4),
        ("LOVE", 1),
        ("özd", 1),
        ("ZOË", 1),
        ("zoe", 0),
        ("%", 1),
        ("_", 1),
        ("issued:", 4),
        ("issued:2", 1),
        ("!", 0),
        ("'", 0),
    ] {
        let owner = &store.by.owner_id;
        let part = listing::page(&store.db, owner, &event.id, 0, search, (0, 2)).await.unwrap();
        assert_eq!((part.all, part.rows.len()), (found, found.min(2) as usize), "{search}");
    }
}
