//! Attendees who join with an account that somebody else has checked.

use ai_proxy::catalog::attendee::account::{self, Account, Admitted};
use ai_proxy::catalog::attendee::{self, Attendee, Joined};
use ai_proxy::catalog::event::{self, Draft, Event, JoinBy, Shut, control};
use ai_proxy::catalog::{Error, quota};
use ai_proxy::clock::{day_of, now_ms};

use crate::harness::{Store, event_draft, on_both};

on_both![
    an_account_is_one_attendee_however_often_and_in_parallel_it_comes,
    an_account_of_one_event_is_another_attendee_in_the_next,
    only_those_who_have_joined_come_in_while_registration_is_shut,
    an_account_that_was_deleted_stays_out_until_let_in_again,
    deleted_accounts_take_no_place_of_the_shared_code,
    nobody_joins_an_event_that_is_gone,
];

async fn open_event(store: &Store) -> Event {
    let draft = Draft {
        registration: "shared-code,github".into(),
        shared_code: Some("Welcome2026".into()),
        shared_code_limit: 1,
        ..event_draft()
    };
    store.save_event(&draft).await.unwrap()
}

async fn admit(store: &Store, event: &Event, account: &Account) -> Admitted {
    account::admit(&store.db, &store.vault, event, account, now_ms()).await.unwrap()
}

async fn comes_in(store: &Store, event: &Event, account: &Account) -> Attendee {
    match admit(store, event, account).await {
        Admitted::In(attendee) => attendee,
        other => panic!("{other:?}"),
    }
}

fn octocat() -> Account {
    Account::github(583_231, "The Octocat")
}

async fn an_account_is_one_attendee_however_often_and_in_parallel_it_comes(store: Store) {
    let event = open_event(&store).await;
    let come: Vec<_> = (0..16)
        .map(|_| {
            let (db, vault, event) = (store.db.clone(), store.vault.clone(), event.clone());
            tokio::spawn(async move {
                account::admit(&db, &vault, &event, &octocat(), now_ms()).await.unwrap()
            })
        })
        .collect();
    let mut ids = Vec::new();
    for one in come {
        match one.await.unwrap() {
            Admitted::In(attendee) => ids.push(attendee.id),
            other => panic!("{other:?}"),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let one = comes_in(&store, &event, &Account::github(583_231, "Another Name")).await;
    assert_eq!((&*one.user_id, &*one.display_name), ("github:583231", "The Octocat"));
    assert!(one.active && !one.has_joined_by_code());
    assert_eq!(store.number("select count(*) from attendee").await, 1);
    let key = attendee::reveal_key(&store.db, &store.vault, &store.by.owner_id, &one.id).await;
    assert!(attendee::check_api_key(secrecy::ExposeSecret::expose_secret(&key.unwrap())).is_ok());
}

async fn an_account_of_one_event_is_another_attendee_in_the_next(store: Store) {
    let (one, other) = (open_event(&store).await, open_event(&store).await);
    let (a, b) =
        (comes_in(&store, &one, &octocat()).await, comes_in(&store, &other, &octocat()).await);
    assert_ne!(a.id, b.id);
    let by = Account::gateway("github", "583231", "The Octocat").unwrap();
    let c = comes_in(&store, &one, &by).await;
    assert_ne!(a.id, c.id, "the word of a gateway is not GitHub's");
    let any = async |by| account::has_any(&store.db, &other.id, by).await.unwrap();
    assert_eq!((any(JoinBy::GitHub).await, any(JoinBy::Gateway).await), (true, false));
}

async fn only_those_who_have_joined_come_in_while_registration_is_shut(store: Store) {
    let event = open_event(&store).await;
    let grace = Account::github(9001, "Grace");
    let gateway = Account::gateway("aad", "1", "Grace").unwrap();
    comes_in(&store, &event, &octocat()).await;
    let shut = async |account: &Account| match admit(&store, &event, account).await {
        Admitted::Shut(why) => Some(why),
        Admitted::In(_) => None,
        other => panic!("{other:?}"),
    };
    // The caller's copy of the event is from before.
    control::set_registration(&store.db, &store.by, &event.id, false).await.unwrap();
    for (account, why) in
        [(&grace, Some(Shut::Stopped)), (&gateway, Some(Shut::Stopped)), (&octocat(), None)]
    {
        assert_eq!(shut(account).await, why);
    }
    control::set_registration(&store.db, &store.by, &event.id, true).await.unwrap();
    store.execute("update event set registration = 'shared-code'").await;
    assert_eq!(shut(&grace).await, Some(Shut::Closed));
    assert_eq!(shut(&octocat()).await, None);
    assert_eq!(shut(&gateway).await, None, "open in some way");
    store.execute("update event set registration = 'closed'").await;
    let other = Account::gateway("aad", "2", "").unwrap();
    assert_eq!((shut(&other).await, shut(&gateway).await), (Some(Shut::Closed), None));

    store.execute("update event set registration = 'github'").await;
    let paused = Event { active: false, ..event.clone() };
    assert!(matches!(admit(&store, &paused, &grace).await, Admitted::NotOpen));
    assert!(matches!(admit(&store, &paused, &octocat()).await, Admitted::In(_)));
}

async fn an_account_that_was_deleted_stays_out_until_let_in_again(store: Store) {
    let event = open_event(&store).await;
    let (db, vault, by) = (&store.db, &store.vault, &store.by);
    let one = comes_in(&store, &event, &octocat()).await;
    let today = day_of(now_ms());
    quota::lease(db, &one.id, today, 7, 10).await.unwrap().unwrap();
    attendee::delete(db, by, &one.id, today).await.unwrap();
    assert!(matches!(admit(&store, &event, &octocat()).await, Admitted::Deleted));
    attendee::deleted::let_in_again(db, vault, by, &event.id, &one.user_id).await.unwrap();
    let again = comes_in(&store, &event, &octocat()).await;
    assert_eq!((again.user_id, &*again.display_name), (one.user_id, "The Octocat"));
    let more = quota::lease(db, &again.id, today, 4, 10).await.unwrap();
    assert_eq!(more, None, "the cap is not fresh");
}

async fn deleted_accounts_take_no_place_of_the_shared_code(store: Store) {
    let event = open_event(&store).await;
    let one = comes_in(&store, &event, &octocat()).await;
    attendee::delete(&store.db, &store.by, &one.id, day_of(now_ms())).await.unwrap();
    let join = async |name: &str| {
        let (db, vault) = (&store.db, &store.vault);
        attendee::join_by_shared_code(db, vault, &event, name.as_bytes(), now_ms()).await.unwrap()
    };
    assert!(matches!(join("Ada").await, Joined::New(_)));
    assert!(matches!(join("Bob").await, Joined::Full));
}

async fn nobody_joins_an_event_that_is_gone(store: Store) {
    let event = open_event(&store).await;
    event::delete(&store.db, &store.by, &event.id).await.unwrap();
    let gone = account::admit(&store.db, &store.vault, &event, &octocat(), now_ms()).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
}
