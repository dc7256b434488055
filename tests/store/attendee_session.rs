//! Browsers in which attendees are signed in, and what they may do there.

use ai_proxy::catalog::attendee::session::{self, AttendeeSession, NewSession, Way};
use ai_proxy::catalog::attendee::yours::{self, Card};
use ai_proxy::catalog::attendee::{self, claim, continued};
use ai_proxy::catalog::event::{self, Event};
use ai_proxy::catalog::{Error, Result};
use ai_proxy::clock::{day_of, now_ms};
use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Store, event_draft, on_both};

on_both![
    a_session_is_found_until_its_event_ends_as_it_then_stands,
    a_browser_keeps_one_session_of_an_event,
    the_browsers_idle_longest_give_way,
    a_typed_name_shows_nobody_who_they_are,
    a_new_key_ends_the_old_one_and_may_void_the_card,
    signing_out_everywhere_ends_every_session,
    an_ended_session_writes_nothing,
    an_attendee_who_is_deleted_is_signed_out,
    a_code_of_the_phone_signs_one_browser_in,
    a_typed_name_goes_on_for_no_longer_than_it_was_typed,
    who_shows_who_they_are_agrees_to_the_terms,
    a_code_that_is_typed_where_it_is_shown_works_as_well,
    a_new_key_and_a_new_card_end_who_came_by_the_old_ones,
    who_only_typed_a_name_takes_nothing_from_who_it_is,
    another_shared_code_ends_who_only_typed_a_name,
    a_key_that_was_replaced_meanwhile_signs_nobody_in,
];

async fn start(store: &Store, attendee_id: &str, way: Way, held: &[SecretString]) -> SecretString {
    let new = NewSession { way, agent: "Firefox on Linux", held };
    session::start(&store.db, attendee_id, &new, now_ms()).await.unwrap()
}

async fn find(store: &Store, event: &Event, token: &SecretString) -> Option<AttendeeSession> {
    session::find(&store.db, token, &event.id, now_ms()).await.unwrap()
}

/// Somebody who is signed in so.
async fn signed_in(store: &Store, event: &Event, way: Way) -> (String, AttendeeSession) {
    let id = store.issue(event, 1).await.remove(0).attendee_id;
    let token = start(store, &id, way, &[]).await;
    (id, find(store, event, &token).await.unwrap())
}

fn is_refused<T: std::fmt::Debug>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Conflict { .. }))
}

async fn a_session_is_found_until_its_event_ends_as_it_then_stands(store: Store) {
    let event = store.event().await;
    let id = store.issue(&event, 1).await.remove(0).attendee_id;
    let token = start(&store, &id, Way::Card, &[]).await;
    let found = find(&store, &event, &token).await.unwrap();
    assert_eq!((found.attendee.id.as_str(), found.way), (id.as_str(), Way::Card));
    assert_eq!(found.owner_id, event.owner_id);
    assert!(
        !store.text("select digest from attendee_session").await.contains(token.expose_secret())
    );
    let elsewhere = store.event().await;
    assert!(find(&store, &elsewhere, &token).await.is_none(), "of another event");
    assert!(find(&store, &event, &"0".repeat(64).into()).await.is_none());

    let draft =
        |end: &str| event::Draft { id: Some(event.id.clone()), end: end.into(), ..event_draft() };
    store.save_event(&draft("2021-01-01T00:00")).await.unwrap();
    assert!(find(&store, &event, &token).await.is_none(), "it has ended");
    store.save_event(&draft("2099-01-01T00:00")).await.unwrap();
    assert!(find(&store, &event, &token).await.is_some(), "it was extended");
    event::delete(&store.db, &store.by, &event.id).await.unwrap();
    assert!(find(&store, &event, &token).await.is_none());
}

async fn a_browser_keeps_one_session_of_an_event(store: Store) {
    let event = store.event().await;
    let elsewhere = store.event().await;
    let [ada, bob] = [0, 1].map(|_| async { store.issue(&event, 1).await.remove(0).attendee_id });
    let (ada, bob) = (ada.await, bob.await);
    let other = store.issue(&elsewhere, 1).await.remove(0).attendee_id;
    let first = start(&store, &ada, Way::Card, &[]).await;
    let kept = start(&store, &other, Way::Card, &[]).await;
    let held = [first.clone(), kept.clone()];
    let second = start(&store, &bob, Way::Card, &held).await;
    assert!(find(&store, &event, &first).await.is_none(), "Bob took the browser over");
    assert!(find(&store, &elsewhere, &kept).await.is_some(), "of another event");
    assert_eq!(find(&store, &event, &second).await.unwrap().attendee.id, bob);
}

async fn the_browsers_idle_longest_give_way(store: Store) {
    let event = store.event().await;
    let id = store.issue(&event, 1).await.remove(0).attendee_id;
    let new = NewSession { way: Way::Card, agent: "A browser", held: &[] };
    let mut tokens = Vec::new();
    for n in 0..25 {
        tokens.push(session::start(&store.db, &id, &new, now_ms() + n).await.unwrap());
    }
    assert_eq!(session::list(&store.db, &id).await.unwrap().len(), 20);
    for (n, token) in tokens.iter().enumerate() {
        assert_eq!(find(&store, &event, token).await.is_some(), n >= 5, "{n}");
    }
}

async fn a_typed_name_shows_nobody_who_they_are(store: Store) {
    let event = store.event().await;
    let (_, named) = signed_in(&store, &event, Way::Named).await;
    let (db, vault, now) = (&store.db, &store.vault, now_ms());
    assert!(is_refused(yours::key(db, vault, &named).await.map(drop)));
    assert!(is_refused(yours::new_key(db, vault, &named, Card::Keep, now).await));
    assert!(is_refused(yours::sign_out_everywhere(db, &named, Card::Keep, now).await));
    assert!(is_refused(yours::sign_out_of(db, &named, "another").await));
    for way in [Way::Card, Way::Joined] {
        let (_, session) = signed_in(&store, &event, way).await;
        yours::key(db, vault, &session).await.unwrap();
    }
    store.execute("update attendee_session set way = 'of a later release'").await;
    let unknown = session::list(db, &named.attendee.id).await.unwrap().remove(0);
    assert!(!unknown.way.is_proof());
}

async fn a_new_key_ends_the_old_one_and_may_void_the_card(store: Store) {
    let event = store.event().await;
    let (id, session) = signed_in(&store, &event, Way::Joined).await;
    let (db, vault) = (&store.db, &store.vault);
    claim::make_cards(db, vault, &store.by, &event.id, claim::For::One(&id)).await.unwrap();
    let has = async |key: &SecretString| {
        let digest = vault.digest(key.expose_secret());
        attendee::find_by_digest(db, &[digest]).await.unwrap().is_some()
    };
    let cards = "select count(*) from claim_code";
    let old = yours::key(db, vault, &session).await.unwrap();
    yours::new_key(db, vault, &session, Card::Keep, now_ms()).await.unwrap();
    let new = yours::key(db, vault, &session).await.unwrap();
    assert!(!has(&old).await && has(&new).await);
    assert_eq!(store.number(cards).await, 1);
    yours::new_key(db, vault, &session, Card::Void, now_ms()).await.unwrap();
    assert!(!has(&new).await);
    assert_eq!(store.number(cards).await, 0);
    let trail =
        "select count(*) from audit where action = 'new key' and actor = 'attendee issued:1'";
    assert_eq!(store.number(trail).await, 2);
}

async fn signing_out_everywhere_ends_every_session(store: Store) {
    let event = store.event().await;
    let (id, session) = signed_in(&store, &event, Way::Card).await;
    let other = start(&store, &id, Way::Card, &[]).await;
    let (_, neighbour) = signed_in(&store, &event, Way::Card).await;
    let key = yours::key(&store.db, &store.vault, &session).await.unwrap();
    yours::sign_out_everywhere(&store.db, &session, Card::Keep, now_ms()).await.unwrap();
    assert!(find(&store, &event, &other).await.is_none());
    assert!(session::list(&store.db, &id).await.unwrap().is_empty());
    assert_eq!(session::list(&store.db, &neighbour.attendee.id).await.unwrap().len(), 1);
    let digest = store.vault.digest(key.expose_secret());
    assert!(attendee::find_by_digest(&store.db, &[digest]).await.unwrap().is_some(), "it stays");
}

async fn an_ended_session_writes_nothing(store: Store) {
    let event = store.event().await;
    let (id, session) = signed_in(&store, &event, Way::Card).await;
    let other = start(&store, &id, Way::Card, &[]).await;
    let other = find(&store, &event, &other).await.unwrap();
    let (_, neighbour) = signed_in(&store, &event, Way::Card).await;
    yours::sign_out_of(&store.db, &neighbour, session.id()).await.unwrap();
    assert_eq!(session::list(&store.db, &id).await.unwrap().len(), 2, "nobody else's");
    yours::sign_out_of(&store.db, &other, session.id()).await.unwrap();
    assert_eq!(session::list(&store.db, &id).await.unwrap().len(), 1);
    let (db, vault, now) = (&store.db, &store.vault, now_ms());
    assert!(is_refused(yours::new_key(db, vault, &session, Card::Void, now).await));
    assert!(is_refused(yours::sign_out_everywhere(db, &session, Card::Void, now).await));
    assert!(is_refused(yours::sign_out_of(db, &session, other.id()).await));
    assert_eq!(session::list(db, &id).await.unwrap().len(), 1);
}

async fn an_attendee_who_is_deleted_is_signed_out(store: Store) {
    let event = store.event().await;
    let id = store.issue(&event, 1).await.remove(0).attendee_id;
    let token = start(&store, &id, Way::Card, &[]).await;
    attendee::delete(&store.db, &store.by, &id, day_of(now_ms())).await.unwrap();
    assert!(find(&store, &event, &token).await.is_none());
    assert_eq!(store.number("select count(*) from attendee_session").await, 0);
    let new = NewSession { way: Way::Card, agent: "A browser", held: &[] };
    let late = session::start(&store.db, &id, &new, now_ms()).await;
    assert!(matches!(late, Err(Error::NotFound { .. })), "{late:?}");
}

/// Opens by the code of a browser that is signed in: the token of the new session.
async fn go_on(store: &Store, code: &SecretString, now: i64) -> Option<SecretString> {
    let (db, vault) = (&store.db, &store.vault);
    let opened = continued::open(db, vault, code.expose_secret(), "Laptop", &[], now).await;
    opened.unwrap().map(|(_, token)| token)
}

async fn a_code_of_the_phone_signs_one_browser_in(store: Store) {
    let event = store.event().await;
    let (id, session) = signed_in(&store, &event, Way::Card).await;
    let now = now_ms();
    let code = continued::make(&store.db, &store.vault, &session, now).await.unwrap();
    let opened = join_all((0..8).map(|_| go_on(&store, &code, now))).await;
    assert_eq!(opened.iter().flatten().count(), 1, "however many try at once");
    assert_eq!(session::list(&store.db, &id).await.unwrap().len(), 2);
    assert!(go_on(&store, &code, now).await.is_none());

    let code = continued::make(&store.db, &store.vault, &session, now).await.unwrap();
    let late = now + continued::VALID_MS + 1;
    assert!(go_on(&store, &code, late).await.is_none());
}

async fn a_typed_name_goes_on_for_no_longer_than_it_was_typed(store: Store) {
    let event = store.event().await;
    let later = now_ms() + 5 * 60_000;
    for (way, begins) in [(Way::Named, false), (Way::Card, true)] {
        let (_, session) = signed_in(&store, &event, way).await;
        let code = continued::make(&store.db, &store.vault, &session, later).await.unwrap();
        let token = go_on(&store, &code, later).await.unwrap();
        let other = session::find(&store.db, &token, &event.id, later).await.unwrap().unwrap();
        assert_eq!(other.way, way);
        let expected = if begins { later } else { session.created_at };
        assert_eq!(other.created_at, expected, "{way:?}");
    }
}

async fn who_shows_who_they_are_agrees_to_the_terms(store: Store) {
    let event = store.event().await;
    for (way, agrees) in [(Way::Card, true), (Way::GitHub, true), (Way::Named, false)] {
        let (id, session) = signed_in(&store, &event, way).await;
        let found = attendee::find(&store.db, &id).await.unwrap().unwrap();
        let expected = agrees.then_some(session.created_at);
        assert_eq!(found.terms_accepted_at, expected, "{way:?}");
    }
}

async fn a_code_that_is_typed_where_it_is_shown_works_as_well(store: Store) {
    let event = store.event().await;
    let id = store.issue(&event, 1).await.remove(0).attendee_id;
    let token = start(&store, &id, Way::Card, &[]).await;
    let session = find(&store, &event, &token).await.unwrap();
    let (db, vault, now) = (&store.db, &store.vault, now_ms());
    let code = continued::make(db, vault, &session, now).await.unwrap();
    let held = [token];
    let opened = continued::open(db, vault, code.expose_secret(), "Phone", &held, now).await;
    let (_, token) = opened.unwrap().expect("the same browser, signed in again");
    assert!(find(&store, &event, &token).await.is_some());
    assert_eq!(session::list(db, &id).await.unwrap().len(), 1);
}

async fn a_new_key_and_a_new_card_end_who_came_by_the_old_ones(store: Store) {
    let event = store.event().await;
    let id = store.issue(&event, 1).await.remove(0).attendee_id;
    let (db, vault) = (&store.db, &store.vault);
    let by = async |way| start(&store, &id, way, &[]).await;
    let [key, card, github] = [by(Way::Key).await, by(Way::Card).await, by(Way::GitHub).await];
    let is_in = async |token| find(&store, &event, token).await.is_some();
    attendee::new_key(db, vault, &store.by, &id).await.unwrap();
    assert_eq!((is_in(&key).await, is_in(&card).await, is_in(&github).await), (false, true, true));
    claim::make_cards(db, vault, &store.by, &event.id, claim::For::One(&id)).await.unwrap();
    assert_eq!((is_in(&card).await, is_in(&github).await), (false, true));

    // Who makes a new key stays in, and ends the card's browsers only if they void it.
    let [key, other, card] = [by(Way::Key).await, by(Way::Key).await, by(Way::Card).await];
    let mine = find(&store, &event, &key).await.unwrap();
    yours::new_key(db, vault, &mine, Card::Keep, now_ms()).await.unwrap();
    assert_eq!((is_in(&key).await, is_in(&other).await, is_in(&card).await), (true, false, true));
    yours::new_key(db, vault, &mine, Card::Void, now_ms()).await.unwrap();
    assert_eq!((is_in(&key).await, is_in(&card).await, is_in(&github).await), (true, false, true));
}

async fn who_only_typed_a_name_takes_nothing_from_who_it_is(store: Store) {
    let event = store.event().await;
    let id = store.issue(&event, 1).await.remove(0).attendee_id;
    let joined = start(&store, &id, Way::Joined, &[]).await;
    let mine = find(&store, &event, &joined).await.unwrap();
    let mut named = Vec::new();
    for _ in 0..30 {
        named.push(start(&store, &id, Way::Named, &[]).await);
    }
    assert!(find(&store, &event, &joined).await.is_some());
    assert_eq!(session::list(&store.db, &id).await.unwrap().len(), 1 + 5);
    let theirs = find(&store, &event, &named[29]).await.unwrap();
    let (db, vault, now) = (&store.db, &store.vault, now_ms());
    let code = continued::make(db, vault, &mine, now).await.unwrap();
    assert!(is_refused(continued::make(db, vault, &theirs, now).await.map(drop)));
    assert!(go_on(&store, &code, now).await.is_some());
    continued::make(db, vault, &theirs, now).await.unwrap();
}

async fn another_shared_code_ends_who_only_typed_a_name(store: Store) {
    let code = |code: &str| event::Draft { shared_code: Some(code.into()), ..event_draft() };
    let event = store.save_event(&code("Welcome2026")).await.unwrap();
    let id = store.issue(&event, 1).await.remove(0).attendee_id;
    let [named, joined] = [Way::Named, Way::Joined].map(|way| (way, id.clone()));
    let named = start(&store, &named.1, named.0, &[]).await;
    let joined = start(&store, &joined.1, joined.0, &[]).await;
    let save = async |draft: event::Draft| {
        let id = Some(event.id.clone());
        store.save_event(&event::Draft { id, ..draft }).await.unwrap();
        (
            find(&store, &event, &named).await.is_some(),
            find(&store, &event, &joined).await.is_some(),
        )
    };
    assert_eq!(save(code("Welcome2026")).await, (true, true), "the same one");
    assert_eq!(save(code("Welcome2027")).await, (false, true));
}

async fn a_key_that_was_replaced_meanwhile_signs_nobody_in(store: Store) {
    let event = store.event().await;
    let issued = store.issue(&event, 1).await.remove(0);
    let (db, vault, id, now) = (&store.db, &store.vault, &issued.attendee_id, now_ms());
    let new = NewSession { way: Way::Key, agent: "Firefox", held: &[] };
    let start = async |key: &SecretString| {
        session::start_by_key(db, vault, id, key.expose_secret(), &new, now).await.unwrap()
    };
    let old = start(&issued.api_key).await.expect("signed in");
    let key = attendee::new_key(db, vault, &store.by, id).await.unwrap();
    assert!(find(&store, &event, &old).await.is_none());
    assert!(start(&issued.api_key).await.is_none());
    assert!(start(&key).await.is_some());
}
