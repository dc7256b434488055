//! Card codes: the first use makes one key, whoever tries and however often.

use std::collections::HashSet;

use ai_proxy::catalog::attendee::card::{self, Printable, PrintedCard, Which};
use ai_proxy::catalog::attendee::claim::{self, CardReader, Claim, For, Waiting};
use ai_proxy::catalog::attendee::session::{self, AttendeeSession, Way};
use ai_proxy::catalog::attendee::{self, listing, yours};
use ai_proxy::catalog::event::{self, Event};
use ai_proxy::catalog::{Error, Noun};
use ai_proxy::clock::{day_of, now_ms};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Store, event_draft, on_both};

on_both![
    a_card_makes_one_key_however_many_use_it,
    a_card_that_works_once_is_used_by_one_of_many,
    the_browser_that_opened_the_form_can_ask_again_for_ten_minutes,
    a_new_card_voids_the_one_before,
    cards_are_printed_again_with_the_codes_that_they_have,
    codes_of_people_and_events_that_are_not_ready_are_left_unused,
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
    claim_in(store, code, None, now_ms()).await
}

/// In the browser that holds this token of the form.
async fn claim_in(store: &Store, code: &str, form: Option<&SecretString>, now: i64) -> Claim {
    let reader = CardReader { agent: "Firefox on Linux", form, held: &[] };
    claim::claim(&store.db, &store.vault, code, &reader, now).await.unwrap()
}

/// Whose session was begun.
async fn opened(store: &Store, event: &Event, claim: Claim) -> AttendeeSession {
    let Claim::Open { attendee, token } = claim else { panic!("{claim:?}") };
    let found = session::find(&store.db, &token, &event.id, now_ms()).await.unwrap().unwrap();
    assert_eq!((&found.attendee.id, found.way), (&attendee.id, Way::Card));
    found
}

async fn has_key(store: &Store, key: &SecretString) -> Option<String> {
    let digest = store.vault.digest(key.expose_secret());
    let found = attendee::find_by_digest(&store.db, &[digest]).await.unwrap();
    found.map(|attendee| attendee.id)
}

async fn once(store: &Store) {
    store.execute("update event set cards_work_once = 1").await;
}

async fn a_card_makes_one_key_however_many_use_it(store: Store) {
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
    let mut keys = HashSet::new();
    for task in tasks {
        let session = opened(&store, &event, task.await.unwrap()).await;
        let key = yours::key(&store.db, &store.vault, &session).await.unwrap();
        keys.insert(key.expose_secret().to_owned());
    }
    assert_eq!(keys.len(), 1, "the first use makes it, and the others find it");
    let key = keys.into_iter().next().unwrap().into();
    assert_eq!(has_key(&store, &key).await.as_deref(), Some(id.as_str()));
    assert_eq!(has_key(&store, &issued.api_key).await, None, "the key before it stopped");
    let shown = claim(&store, &code.to_lowercase().replace('-', " ")).await;
    let session = opened(&store, &event, shown).await;
    let again = yours::key(&store.db, &store.vault, &session).await.unwrap();
    assert_eq!(again.expose_secret(), key.expose_secret());
    let trail = "select count(*) from audit where action = 'claimed a card'";
    assert_eq!(store.number(trail).await, 1);
}

async fn a_card_that_works_once_is_used_by_one_of_many(store: Store) {
    let event = store.event().await;
    once(&store).await;
    store.issue(&event, 1).await;
    let (_, code) = cards(&store, &event, For::New).await.remove(0);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (store, code) = (store.clone(), code.clone());
            tokio::spawn(async move { claim(&store, &code).await })
        })
        .collect();
    let mut opened = 0;
    for task in tasks {
        match task.await.unwrap() {
            Claim::Open { .. } => opened += 1,
            other => assert!(matches!(other, Claim::Used { .. }), "{other:?}"),
        }
    }
    assert_eq!(opened, 1);
    assert!(matches!(claim(&store, &code).await, Claim::Used { .. }));
}

async fn the_browser_that_opened_the_form_can_ask_again_for_ten_minutes(store: Store) {
    let event = store.event().await;
    once(&store).await;
    store.issue(&event, 1).await;
    let (_, code) = cards(&store, &event, For::New).await.remove(0);
    let (mine, other): (SecretString, SecretString) = ("mine".into(), "another's".into());
    let now = now_ms();
    assert!(matches!(claim_in(&store, &code, Some(&mine), now).await, Claim::Open { .. }));
    let before = store.text("select key_digest from attendee").await;
    for (form, later, is_open) in [
        (Some(&mine), 600_000, true),
        (Some(&mine), 600_001, false),
        (Some(&other), 1, false),
        (None, 1, false),
    ] {
        let claim = claim_in(&store, &code, form, now + later).await;
        assert_eq!(matches!(claim, Claim::Open { .. }), is_open, "{later}: {claim:?}");
    }
    assert_eq!(store.text("select key_digest from attendee").await, before, "the same key");
}

async fn a_new_card_voids_the_one_before(store: Store) {
    let event = store.event().await;
    store.issue(&event, 1).await;
    let (id, first) = cards(&store, &event, For::New).await.remove(0);
    let (_, second) = cards(&store, &event, For::One(&id)).await.remove(0);
    assert!(matches!(claim(&store, &first).await, Claim::Unknown));
    assert!(matches!(claim(&store, &second).await, Claim::Open { .. }));
    let (_, third) = cards(&store, &event, For::One(&id)).await.remove(0);
    assert!(matches!(claim(&store, &second).await, Claim::Unknown));
    assert!(matches!(claim(&store, &third).await, Claim::Open { .. }));
    attendee::delete(&store.db, &store.by, &id, day_of(now_ms())).await.unwrap();
    assert!(matches!(claim(&store, &third).await, Claim::Unknown));
    assert!(matches!(claim(&store, "0000-0000-0000").await, Claim::Unknown));
}

async fn cards_are_printed_again_with_the_codes_that_they_have(store: Store) {
    let (event, elsewhere) = (store.event().await, store.event().await);
    store.issue(&event, 4).await;
    store.issue(&elsewhere, 1).await;
    cards(&store, &elsewhere, For::New).await;
    let made = cards(&store, &event, For::New).await;
    let printable = async || {
        let there = card::printable(&store.db, &store.by.owner_id, &event.id).await.unwrap();
        (there.known, there.unknown)
    };
    let print = async |which: Which<'_>| {
        let owner = &store.by.owner_id;
        let cards = card::stored(&store.db, &store.vault, owner, &event.id, which).await.unwrap();
        let pair = |card: PrintedCard| (card.attendee_id, card.code.expose_secret().to_owned());
        cards.into_iter().map(pair).collect::<Vec<_>>()
    };
    assert_eq!((print(Which::Part(1)).await, printable().await), (made.clone(), (4, 0)));
    assert_eq!(print(Which::Part(2)).await, []);
    let second = [made[1].0.clone()];
    assert_eq!(print(Which::Of(&second)).await, [made[1].clone()]);
    assert_eq!(print(Which::Of(&[])).await, []);
    let (_, replaced) = cards(&store, &event, For::One(&second[0])).await.remove(0);
    assert_eq!(print(Which::Of(&second)).await, [(second[0].clone(), replaced)]);

    // One that was used still opens its page, unless cards work once.
    assert!(matches!(claim(&store, &made[0].1).await, Claim::Open { .. }));
    assert_eq!(printable().await, (4, 0));
    once(&store).await;
    assert_eq!((print(Which::Part(1)).await.len(), printable().await), (3, (3, 0)));
    // As those of an earlier release are stored.
    store.execute("update claim_code set code_sealed = null where claimed_at is null").await;
    assert_eq!((print(Which::Part(1)).await, printable().await), (vec![], (0, 3)));

    let other = store.another_owner().await.owner_id;
    store.execute("update event set cards_work_once = 0").await;
    let part = Which::Part(1);
    let theirs = card::stored(&store.db, &store.vault, &other, &event.id, part).await.unwrap();
    let there = card::printable(&store.db, &other, &event.id).await.unwrap();
    assert_eq!((theirs.len(), there), (0, Printable::default()));
}

async fn codes_of_people_and_events_that_are_not_ready_are_left_unused(store: Store) {
    let draft = event::Draft { active: false, ..event_draft() };
    let event = store.save_event(&draft).await.unwrap();
    store.issue(&event, 1).await;
    let (id, code) = cards(&store, &event, For::New).await.remove(0);
    assert!(matches!(claim(&store, &code).await, Claim::NotReady { .. }));
    event::control::set_active(&store.db, &store.by, &event.id, true).await.unwrap();
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
    assert!(matches!(claim(&store, &code).await, Claim::Open { .. }));
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
    assert!(matches!(claim(&store, &made[0].1).await, Claim::Open { .. }));
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
