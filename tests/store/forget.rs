//! Personal data is removed some days after an event has ended: all of it, once, and of no event
//! that has not ended.

use std::time::Duration;

use ai_proxy::catalog::attendee::account::{self, Account, Admitted};
use ai_proxy::catalog::attendee::claim::{self, For};
use ai_proxy::catalog::attendee::session::{self, NewSession, Way};
use ai_proxy::catalog::attendee::yours::{self, Card};
use ai_proxy::catalog::attendee::{self, deleted};
use ai_proxy::catalog::audit::{self, Actor};
use ai_proxy::catalog::change::{self, Changes};
use ai_proxy::catalog::event::{self, Draft, Event, control, forget};
use ai_proxy::catalog::usage::{self, Batch, Figures, UsageKey};
use ai_proxy::catalog::{Digest, Noun, mcp_session};

use crate::harness::{Store, event_draft, on_both};

on_both![
    everything_personal_goes_and_figures_stay,
    an_event_that_was_extended_keeps_what_is_left,
    many_replicas_do_it_once,
    it_is_done_again_after_the_next_end,
    an_event_without_the_setting_is_never_touched,
    the_audit_trail_names_nobody_who_was_deleted_or_let_in_again,
];

const DAYS: u32 = 30;
const DAY_MS: i64 = 86_400_000;

/// An event that ended at the start of 2021.
async fn ended(store: &Store, days: Option<u32>) -> Event {
    let draft = Draft { end: "2021-01-01T00:00".into(), forget_after_days: days, ..event_draft() };
    store.save_event(&draft).await.unwrap()
}

async fn read(store: &Store, id: &str) -> Event {
    event::get(&store.db, &store.vault, &store.by.owner_id, id).await.unwrap()
}

async fn step(store: &Store, now_ms: i64) -> bool {
    forget::step(&store.db, &store.vault, now_ms).await.unwrap()
}

async fn run(store: &Store, now_ms: i64) {
    let left = forget::run(&store.db, &store.vault, now_ms, Duration::from_secs(60)).await;
    assert!(!left.unwrap());
}

/// How often personal data was removed, by the audit trail.
async fn times(store: &Store) -> i64 {
    store.number("select count(*) from audit where action = 'forgot'").await
}

async fn named(store: &Store) -> i64 {
    store.number("select count(*) from attendee where display_name <> ''").await
}

async fn issue(store: &Store, event: &Event, count: usize) -> Vec<attendee::Issued> {
    let names: Vec<_> = (0..count).map(|n| format!("Person {n}")).collect();
    attendee::issue(&store.db, &store.vault, &store.by, &event.id, 0, &names).await.unwrap()
}

async fn everything_personal_goes_and_figures_stay(store: Store) {
    let event = ended(&store, Some(DAYS)).await;
    let other = ended(&store, None).await;
    let (people, others) = (issue(&store, &event, 3).await, issue(&store, &other, 1).await);
    let id = people[0].attendee_id.clone();
    claim::make_cards(&store.db, &store.vault, &store.by, &event.id, For::New).await.unwrap();
    let new = NewSession { way: Way::Card, agent: "Firefox", held: &[] };
    session::start(&store.db, &id, &new, 1).await.unwrap();
    store
        .execute(
            "insert into continue_code (attendee_id, digest, session, expires_at)
             select attendee_id, 'd', digest, 1 from attendee_session",
        )
        .await;
    store
        .execute(
            "insert into oauth_grant
                (id, attendee_id, client_id, client_name, redirect_host, created_at)
             select 'g', attendee_id, 'c', 'Claude', 'h', 1 from attendee_session",
        )
        .await;
    attendee::set_active(&store.db, &store.by, &id, false).await.unwrap();
    store.execute("update attendee set last_error = 'event_ended', last_error_at = 1").await;
    store
        .execute(
            "insert into deleted_attendee (event_id, user_id, day, used)
             select event_id, 'shared:abc', 1, 1 from attendee where user_id = 'issued:3'",
        )
        .await;
    let bound = mcp_session::McpSession {
        endpoint: Digest::sha256(b"origin"),
        id: Digest::sha256(b"session"),
        attendee_id: id.as_str().into(),
    };
    let bound = mcp_session::IssuedSession { session: bound, affinity: None };
    mcp_session::take_over(&store.db, &bound, 0).await.unwrap();
    let mut batch = Batch::new();
    let key = UsageKey {
        event_id: event.id.as_str().into(),
        attendee_id: id.as_str().into(),
        resource_id: "r".into(),
        operation: "tools/call".into(),
        name: "echo".into(),
        minute: 60_000,
    };
    batch.usage.insert(key, Figures { requests: 7, ..Figures::default() });
    usage::flush(&store.db, &batch, 1).await.unwrap();

    let due = event.ends_at + i64::from(DAYS) * DAY_MS;
    assert_eq!(event.forgets_at(), Some(due));
    assert!(!step(&store, due - 1).await);
    assert_eq!((named(&store).await, times(&store).await), (4, 0));
    let before = change::revision(&store.db).await.unwrap();
    run(&store, due).await;

    for attendee in attendee::list(&store.db, &store.by.owner_id, &event.id).await.unwrap() {
        assert!(attendee.user_id.starts_with("gone:"), "{attendee:?}");
        assert_eq!((attendee.display_name.as_str(), attendee.last_error), ("", None));
        assert_eq!((attendee.last_error_at, attendee.terms_accepted_at), (None, None));
    }
    for person in &people {
        let digest = store.vault.digest(secrecy::ExposeSecret::expose_secret(&person.api_key));
        let found = attendee::find_by_digest(&store.db, &[digest]).await.unwrap();
        assert!(found.is_none(), "{found:?}");
    }
    for left in [
        "select count(*) from claim_code",
        "select count(*) from attendee_session",
        "select count(*) from continue_code",
        "select count(*) from oauth_grant",
        "select count(*) from deleted_attendee",
    ] {
        assert_eq!(store.number(left).await, 0, "{left}");
    }
    let linked = "select count(*) from mcp_session m join attendee a on a.id = m.attendee_id";
    assert_eq!(store.number(linked).await, 0);
    assert_eq!(store.number("select count(*) from mcp_session").await, 1, "its id stays taken");
    let told = "select count(*) from audit where noun = 'attendee'
        and (detail like '%issued:%' or actor like '%issued:%')";
    assert_eq!(store.number(told).await, 0);
    let used = "select requests from usage join attendee on attendee.id = usage.attendee_id";
    assert_eq!(store.number(used).await, 7, "figures stay, under the same id");

    // The other event's people are there as before.
    let rest = attendee::list(&store.db, &store.by.owner_id, &other.id).await.unwrap();
    assert_eq!((rest.len(), rest[0].display_name.as_str()), (1, "Person 0"));
    let digest = store.vault.digest(secrecy::ExposeSecret::expose_secret(&others[0].api_key));
    assert!(attendee::find_by_digest(&store.db, &[digest]).await.unwrap().is_some());

    let forgotten = read(&store, &event.id).await;
    assert_eq!((forgotten.forgotten_at, forgotten.forgets_at()), (Some(due), None));
    let entry = audit::list(&store.db, Some(&store.by.owner_id), None, 1).await.unwrap().remove(0);
    assert_eq!((entry.actor.as_str(), entry.action.as_str()), ("AI Proxy", "forgot"));
    assert_eq!(entry.detail, "Demo workshop: personal data of 3 attendees");
    let Changes::Some { changes, .. } = change::since(&store.db, before).await.unwrap() else {
        panic!("nothing that replicas could take in")
    };
    for id in people.iter().map(|person| &person.attendee_id) {
        assert!(changes.contains(&(Noun::Attendee, id.clone())), "{changes:?}");
    }
    assert!(changes.contains(&(Noun::Attendee, "shared:abc".into())));
    assert!(changes.contains(&(Noun::Event, event.id.clone())));
}

async fn an_event_that_was_extended_keeps_what_is_left(store: Store) {
    let event = ended(&store, Some(DAYS)).await;
    issue(&store, &event, 150).await;
    let due = event.forgets_at().unwrap();
    assert!(step(&store, due).await);
    let left = named(&store).await;
    assert!(0 < left && left < 150, "{left} after one batch");
    let by = Actor { at: due, ..store.by.clone() };
    control::extend(&store.db, &by, &event.id, event.ends_at, 30).await.unwrap();
    assert!(!step(&store, due).await, "it is open again");
    assert!(!step(&store, due + i64::from(DAYS) * DAY_MS).await, "the end moved by half an hour");
    assert_eq!((named(&store).await, times(&store).await), (left, 0));
    run(&store, read(&store, &event.id).await.forgets_at().unwrap()).await;
    assert_eq!((named(&store).await, times(&store).await), (0, 1));

    // One that is yet to come.
    let draft = Draft { forget_after_days: Some(1), ..event_draft() };
    let open = store.save_event(&draft).await.unwrap();
    issue(&store, &open, 1).await;
    assert!(!step(&store, open.ends_at).await);
    assert_eq!(named(&store).await, 1);
}

async fn many_replicas_do_it_once(store: Store) {
    let event = ended(&store, Some(DAYS)).await;
    issue(&store, &event, 250).await;
    let due = event.forgets_at().unwrap();
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let replica = store.replica().await;
        tasks.push(tokio::spawn(async move {
            run(&replica, due).await;
            replica.db.close().await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((named(&store).await, times(&store).await), (0, 1));
    let ids = "select count(distinct user_id) from attendee where user_id like 'gone:%'";
    assert_eq!(store.number(ids).await, 250);
    let revision = change::revision(&store.db).await.unwrap();
    assert!(!step(&store, due + DAY_MS).await);
    assert_eq!(change::revision(&store.db).await.unwrap(), revision, "nothing is repeated");
}

async fn it_is_done_again_after_the_next_end(store: Store) {
    let event = ended(&store, Some(DAYS)).await;
    let due = event.forgets_at().unwrap();
    run(&store, due).await;
    let by = Actor { at: due + DAY_MS, ..store.by.clone() };
    control::extend(&store.db, &by, &event.id, event.ends_at, 60).await.unwrap();
    issue(&store, &event, 1).await;
    let next = read(&store, &event.id).await.forgets_at().unwrap();
    assert!(!step(&store, next - 1).await);
    run(&store, next).await;
    assert_eq!((named(&store).await, times(&store).await), (0, 2));
}

async fn an_event_without_the_setting_is_never_touched(store: Store) {
    let event = ended(&store, None).await;
    issue(&store, &event, 1).await;
    assert_eq!(event.forgets_at(), None);
    assert!(!step(&store, i64::MAX / 2).await);
    assert_eq!(named(&store).await, 1);
    for days in [0, 3651] {
        let draft = Draft { forget_after_days: Some(days), ..event_draft() };
        let refused = store.save_event(&draft).await.unwrap_err().to_string();
        assert_eq!(refused, "forget_after_days: must be from 1 to 3650");
    }
}

/// Joins with GitHub as the account of this number.
async fn join(store: &Store, event: &Event, number: u64) -> String {
    let account = Account::github(number, "Octocat");
    let now = event.starts_at;
    let admitted = account::admit(&store.db, &store.vault, event, &account, now).await.unwrap();
    let Admitted::In(attendee) = admitted else { panic!("{admitted:?}") };
    attendee.id
}

async fn the_audit_trail_names_nobody_who_was_deleted_or_let_in_again(store: Store) {
    let draft = Draft { registration: "github".into(), ..event_draft() };
    let event = store.save_event(&Draft { forget_after_days: Some(DAYS), ..draft.clone() }).await;
    let (event, other) = (event.unwrap(), store.save_event(&draft).await.unwrap());
    let (db, vault) = (&store.db, &store.vault);
    let away = async |id: &str| attendee::delete(db, &store.by, id, 1).await.unwrap();
    // One who was deleted and let in again, one who stays deleted, and both in another event.
    for number in [1, 12] {
        for event in [&event, &other] {
            let id = join(&store, event, number).await;
            let new = NewSession { way: Way::GitHub, agent: "Firefox", held: &[] };
            let token = session::start(db, &id, &new, 1).await.unwrap();
            let found = session::find(db, &token, &event.id, 1).await.unwrap().unwrap();
            yours::new_key(db, vault, &found, Card::Keep, 1).await.unwrap();
            away(&id).await;
        }
    }
    deleted::let_in_again(db, vault, &store.by, &event.id, "github:1").await.unwrap();
    store.execute("update event set ends_at = 0 where forget_after_days is not null").await;
    run(&store, i64::from(DAYS) * DAY_MS).await;
    let of = "select noun_id || actor || detail from audit where noun = 'attendee'";
    let said = store.texts(of).await;
    let left: Vec<_> = said.iter().filter(|text| text.contains("github:")).collect();
    assert_eq!(left.len(), 4, "only of the other event, where nothing is due: {left:?}");
    assert!(said.iter().filter(|text| text.contains("gone:")).count() >= 5, "{said:?}");
}
