//! What is changed of an event in the room, and that a second click does no harm.

use ai_proxy::catalog::attendee::{self, Joined};
use ai_proxy::catalog::audit::Actor;
use ai_proxy::catalog::event::{self, Draft, Event, Shut, control};
use ai_proxy::catalog::{Error, Outcome, audit, resource};
use ai_proxy::clock::now_ms;

use crate::harness::{Store, event_draft, on_both};

on_both![
    an_event_is_paused_and_resumed_once_each,
    an_event_is_a_draft_until_it_is_first_switched_on,
    the_end_moves_on_from_where_it_was_seen,
    an_end_that_is_over_moves_to_half_an_hour_from_now,
    the_end_follows_the_zones_clock,
    a_raised_cap_takes_along_whom_it_would_leave_behind,
    closed_registration_keeps_out_new_people_only,
    what_is_closed_in_the_settings_is_not_opened_in_the_room,
    a_resource_is_switched_off_and_on,
    nobody_else_controls_an_event,
];

async fn read(store: &Store, id: &str) -> Event {
    event::get(&store.db, &store.vault, &store.by.owner_id, id).await.unwrap()
}

/// The newest entries of the audit trail, each as `action: detail`.
async fn trail(store: &Store, count: u32) -> Vec<String> {
    let entries = audit::list(&store.db, Some(&store.by.owner_id), None, count).await.unwrap();
    entries.into_iter().map(|entry| format!("{}: {}", entry.action, entry.detail)).collect()
}

async fn revision(store: &Store) -> i64 {
    store.number("select value from revision where name = 'catalog'").await
}

async fn an_event_is_paused_and_resumed_once_each(store: Store) {
    let event = store.event().await;
    let before = revision(&store).await;
    for (active, expected) in [
        (false, Outcome::Updated),
        (false, Outcome::Unchanged),
        (true, Outcome::Updated),
        (true, Outcome::Unchanged),
    ] {
        let done = control::set_active(&store.db, &store.by, &event.id, active).await.unwrap();
        assert_eq!(done, expected);
        assert_eq!(read(&store, &event.id).await.active, active);
    }
    assert_eq!(revision(&store).await, before + 2, "replicas are told of what changed only");
    assert_eq!(trail(&store, 2).await, ["resumed: Demo workshop", "paused: Demo workshop"]);
}

async fn an_event_is_a_draft_until_it_is_first_switched_on(store: Store) {
    let at = |at| Actor { at, ..store.by.clone() };
    let off = Draft { active: false, ..event_draft() };
    let [clicked, saved] = [store.save_event(&off).await, store.save_event(&off).await];
    let (clicked, saved) = (clicked.unwrap(), saved.unwrap());
    assert!(clicked.is_draft() && saved.is_draft());
    for (now, active) in [(10, true), (20, false), (30, true)] {
        control::set_active(&store.db, &at(now), &clicked.id, active).await.unwrap();
        let draft = Draft { id: Some(saved.id.clone()), active, ..off.clone() };
        event::save(&store.db, &store.vault, &at(now), &draft).await.unwrap();
        for id in [&clicked.id, &saved.id] {
            assert_eq!(read(&store, id).await.first_active_at, Some(10));
        }
    }
    let on = store.event().await;
    assert_eq!(on.first_active_at, Some(store.by.at));
}

async fn the_end_moves_on_from_where_it_was_seen(store: Store) {
    let event = store.event().await;
    let extend = |expected| control::extend(&store.db, &store.by, &event.id, expected, 30);
    let extended = extend(event.ends_at).await.unwrap();
    assert_eq!(extended.end_local, "2099-12-31T18:30");
    assert_eq!(extended.ends_at, event.ends_at + 30 * 60_000);
    let again = extend(event.ends_at).await.unwrap_err();
    assert!(matches!(again, Error::Conflict { .. }), "{again}");
    assert!(again.to_string().contains("to 2099-12-31 18:30"), "{again}");
    let stored = read(&store, &event.id).await;
    assert_eq!((stored.end_local.as_str(), stored.ends_at), ("2099-12-31T18:30", extended.ends_at));
    assert_eq!(stored.starts_at, event.starts_at);
    assert_eq!(trail(&store, 1).await, ["extended: Demo workshop: to 2099-12-31T18:30 UTC"]);
}

async fn an_end_that_is_over_moves_to_half_an_hour_from_now(store: Store) {
    let draft = Draft { end: "2020-02-01T09:00".into(), ..event_draft() };
    let event = store.save_event(&draft).await.unwrap();
    let before = now_ms();
    let extended =
        control::extend(&store.db, &store.by, &event.id, event.ends_at, 30).await.unwrap();
    let from_now = extended.ends_at - before;
    assert!((30 * 60_000..=32 * 60_000).contains(&from_now), "{from_now}");
}

async fn the_end_follows_the_zones_clock(store: Store) {
    for (end, expected, moved) in [
        // Summer time begins: 02:00 to 03:00 is skipped.
        ("2027-03-28T01:45", "2027-03-28T03:15", 30),
        // It ends: of the two 02:15, an end is the second.
        ("2027-10-31T01:45", "2027-10-31T02:15", 90),
    ] {
        let draft = Draft { end: end.into(), time_zone: "Europe/Berlin".into(), ..event_draft() };
        let event = store.save_event(&draft).await.unwrap();
        let extended =
            control::extend(&store.db, &store.by, &event.id, event.ends_at, 30).await.unwrap();
        assert_eq!(extended.end_local, expected);
        assert_eq!(extended.ends_at, event.ends_at + moved * 60_000);
    }
}

async fn a_raised_cap_takes_along_whom_it_would_leave_behind(store: Store) {
    let draft = Draft { daily_request_cap: 100, ..event_draft() };
    let event = store.save_event(&draft).await.unwrap();
    let issued = store.issue(&event, 5).await;
    let own = [None, Some(50), Some(100), Some(124), Some(500)];
    for (attendee, cap) in issued.iter().zip(own) {
        attendee::set_cap(&store.db, &store.by, &attendee.attendee_id, cap).await.unwrap();
    }
    let before = revision(&store).await;
    let raise = |expected| control::raise_cap(&store.db, &store.by, &event.id, expected, 25);
    let raised = raise(100).await.unwrap();
    assert_eq!((raised.cap, raised.attendees), (125, 2));
    assert_eq!(revision(&store).await, before + 3, "the event and two attendees");
    assert!(matches!(raise(100).await, Err(Error::Conflict { .. })), "a second click");
    assert_eq!(read(&store, &event.id).await.daily_request_cap, 125);
    let list = attendee::list(&store.db, &store.by.owner_id, &event.id).await.unwrap();
    let caps: Vec<_> = issued
        .iter()
        .map(|issued| list.iter().find(|found| found.id == issued.attendee_id).unwrap())
        .map(|attendee| attendee.daily_request_cap)
        .collect();
    assert_eq!(caps, [None, Some(50), Some(125), Some(125), Some(500)]);
    assert_eq!(trail(&store, 1).await, ["raised the cap: Demo workshop: from 100 to 125 a day"]);

    store.execute("update event set daily_request_cap = 99000").await;
    assert_eq!(raise(99_000).await.unwrap().cap, 100_000, "the largest there is");
    assert!(matches!(raise(100_000).await, Err(Error::Conflict { .. })));
    store.execute("update event set daily_request_cap = 1").await;
    assert_eq!(raise(1).await.unwrap().cap, 2, "by one at least");
}

async fn closed_registration_keeps_out_new_people_only(store: Store) {
    let draft = Draft { shared_code: Some("welcome1".into()), ..event_draft() };
    let event = store.save_event(&draft).await.unwrap();
    let join = |name: &'static str| {
        attendee::join_by_shared_code(&store.db, &store.vault, &event, name.as_bytes(), now_ms())
    };
    let set = |open| control::set_registration(&store.db, &store.by, &event.id, open);
    let shut = async || read(&store, &event.id).await.shut();
    assert!(matches!(join("ada@example.org").await.unwrap(), Joined::New(_) | Joined::Known(_)));
    assert_eq!(set(true).await.unwrap(), Outcome::Unchanged);
    assert_eq!(set(false).await.unwrap(), Outcome::Updated);
    assert_eq!(set(false).await.unwrap(), Outcome::Unchanged);
    assert_eq!(shut().await, Some(Shut::Stopped));
    assert!(matches!(join("bob@example.org").await.unwrap(), Joined::Shut(Shut::Stopped)));
    assert!(matches!(join("ada@example.org").await.unwrap(), Joined::New(_) | Joined::Known(_)));
    assert_eq!(set(true).await.unwrap(), Outcome::Updated);
    assert_eq!(shut().await, None);
    assert!(matches!(join("bob@example.org").await.unwrap(), Joined::New(_) | Joined::Known(_)));
    let trail = trail(&store, 2).await;
    assert_eq!(
        trail,
        ["reopened registration: Demo workshop", "closed registration: Demo workshop"]
    );
    set(false).await.unwrap();
    event::delete(&store.db, &store.by, &event.id).await.unwrap();
    assert_eq!(store.number("select count(*) from registration_stop").await, 0);
}

async fn what_is_closed_in_the_settings_is_not_opened_in_the_room(store: Store) {
    let open = Draft { shared_code: Some("welcome1".into()), ..event_draft() };
    let event = store.save_event(&open).await.unwrap();
    let join = |event, name: &'static str| {
        attendee::join_by_shared_code(&store.db, &store.vault, event, name.as_bytes(), now_ms())
    };
    assert!(matches!(
        join(&event, "ada@example.org").await.unwrap(),
        Joined::New(_) | Joined::Known(_)
    ));
    let id = Some(event.id.clone());
    let closed = Draft { id: id.clone(), registration: "closed".into(), ..open.clone() };
    store.save_event(&closed).await.unwrap();
    control::set_registration(&store.db, &store.by, &event.id, false).await.unwrap();
    control::set_registration(&store.db, &store.by, &event.id, true).await.unwrap();
    let now = read(&store, &event.id).await;
    assert_eq!(now.shut(), Some(Shut::Closed));
    // Whether the caller has heard of it or not.
    for event in [&event, &now] {
        let bob = join(event, "bob@example.org").await.unwrap();
        assert!(matches!(bob, Joined::Shut(Shut::Closed)), "{bob:?}");
        assert!(matches!(
            join(event, "ada@example.org").await.unwrap(),
            Joined::New(_) | Joined::Known(_)
        ));
    }
    store.save_event(&Draft { id, ..open }).await.unwrap();
    let now = read(&store, &event.id).await;
    assert_eq!(now.shut(), None);
    assert!(matches!(
        join(&now, "bob@example.org").await.unwrap(),
        Joined::New(_) | Joined::Known(_)
    ));
}

async fn a_resource_is_switched_off_and_on(store: Store) {
    let one = store.resource("one").await;
    for (active, expected) in [
        (true, Outcome::Unchanged),
        (false, Outcome::Updated),
        (false, Outcome::Unchanged),
        (true, Outcome::Updated),
    ] {
        let done = resource::set_active(&store.db, &store.by, &one.id, active).await.unwrap();
        assert_eq!(done, expected);
        let stored = resource::get(&store.db, &store.vault, &store.by.owner_id, &one.id).await;
        assert_eq!(stored.unwrap().active, active);
    }
    assert_eq!(trail(&store, 2).await, ["switched on: one", "switched off: one"]);
}

async fn nobody_else_controls_an_event(store: Store) {
    let event = store.event().await;
    let one = store.resource("one").await;
    let (db, id) = (&store.db, event.id.as_str());
    let other = store.another_owner().await;
    let before = revision(&store).await;
    let refused = [
        control::set_active(db, &other, id, false).await.err(),
        control::extend(db, &other, id, event.ends_at, 30).await.err(),
        control::raise_cap(db, &other, id, event.daily_request_cap, 25).await.err(),
        control::set_registration(db, &other, id, false).await.err(),
        resource::set_active(db, &other, &one.id, false).await.err(),
        control::set_active(db, &store.by, "0000-0000", false).await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::NotFound { .. })), "{error:?}");
    }
    assert_eq!(revision(&store).await, before);
}
