//! Keys that attendees make of an event's shared code and their name.

use crate::harness::attendee::{Ask, DEMO};
use crate::harness::backend::Backend;
use crate::harness::event::Event;
use crate::harness::proxy::Proxy;
use crate::harness::{CALL, CHANGE, PING, within};
use ai_proxy::clock::{day_of, now_ms};

const CODE: &str = "welcome1";

async fn room(backend: &Backend, limit: u32) -> (Proxy, Event) {
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let plan = proxy.event().shared_code(CODE).daily_cap(3).with(|draft| {
        draft.id = Some("a1b2-c3d4".into());
        draft.shared_code_limit = limit;
    });
    let event = plan.open().await;
    proxy.start().await;
    (proxy, event)
}

fn post(proxy: &Proxy, key: &str) -> Ask {
    proxy.ask("POST", DEMO).json(CALL).header("api-key", key)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_is_one_attendee_however_it_is_written() {
    let backend = Backend::start().await;
    let (proxy, event) = room(&backend, 500).await;
    for (name, status) in [
        ("ada@example.org", 200),
        ("Ada@Example.ORG", 200),
        ("ADA@EXAMPLE.ORG", 200),
        ("ada@example.org", 429),
        ("bob/of/the/slashes", 200),
        ("bob%2fof/the/slashes", 200),
        ("@@@@@@@@", 200),
    ] {
        let answer = post(&proxy, &event.shared_key(CODE, name)).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    let bearer = format!("Bearer {}", event.shared_key(CODE, "bearer@example.org"));
    let answer = proxy.ask("POST", DEMO).json(CALL).header("authorization", &bearer).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_right_in_every_part_is_no_key() {
    let backend = Backend::start().await;
    let (proxy, event) = room(&backend, 500).await;
    let other = proxy.event().open().await;
    let id = &event.id;
    for key in [
        format!("{id}@{CODE}"),
        format!("{id}@welcome2/ada@example.org"),
        format!("{id}@welcome/ada@example.org"),
        format!("{id}@welcome11/ada@example.org"),
        format!("{id}@/ada@example.org"),
        format!("0000-0000@{CODE}/ada@example.org"),
        format!("{}@{CODE}/ada@example.org", id.to_uppercase()),
        format!("{}@{CODE}/ada@example.org", other.id),
        format!("{}@/ada@example.org", other.id),
        format!("@{CODE}/ada@example.org"),
    ] {
        let answer = post(&proxy, &key).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_api_key"), "{key}");
        assert!(!answer.text().contains(CODE), "{}", answer.text());
    }
    assert_eq!(backend.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_names_join_and_all_spellings_of_one_are_one_attendee() {
    let backend = Backend::start().await;
    let (proxy, event) = room(&backend, 500).await;
    for spellings in [
        &["Ada Lovelace", "ada%20lovelace", "ADA  Lovelace"][..],
        &["Zoë Müller", "Zo%C3%AB%20M%C3%BCller", "zoe\u{308} mu\u{308}ller"],
        &["李小龍", "%E6%9D%8E%E5%B0%8F%E9%BE%8D", "%e6%9d%8e小龍"],
        &["Al", "al", "AL"],
    ] {
        let before = proxy.app().plane.keys.cache.len();
        for (n, name) in spellings.iter().enumerate() {
            let code = ["welcome1", "WELCOME1", "Welcome1"][n];
            let answer = post(&proxy, &event.shared_key(code, name)).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        }
        let answer = post(&proxy, &event.shared_key(CODE, spellings[0])).await;
        assert_eq!(answer.code(), "daily_cap_reached", "three spellings, one cap");
        assert_eq!(proxy.app().plane.keys.cache.len(), before + 1, "and one place in the cache");
    }
    let store = &proxy.store;
    let list = ai_proxy::catalog::attendee::list(&store.db, &store.by.owner_id, &event.id).await;
    let names: Vec<_> = list.unwrap().into_iter().map(|attendee| attendee.display_name).collect();
    assert_eq!(names, ["Ada Lovelace", "Zoë Müller", "李小龍", "Al"]);
    let bearer = format!("Bearer {}", event.shared_key(CODE, "Grace Brewster Hopper"));
    let answer = proxy.ask("POST", DEMO).json(CALL).header("authorization", &bearer).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_breaks_the_rule_is_told_the_rule_if_the_code_is_right() {
    let backend = Backend::start().await;
    let (proxy, event) = room(&backend, 500).await;
    for name in ["", "x", "%20x%20", "a%00b", "Zo%EB", &"x".repeat(65)] {
        let answer = post(&proxy, &event.shared_key(CODE, name)).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "name_not_usable"), "{name}");
        assert!(answer.text().contains("2 to 64 characters"), "{}", answer.text());
        let wrong = post(&proxy, &event.shared_key("welcome2", name)).await;
        assert_eq!(wrong.code(), "invalid_api_key", "{name}: nothing is said of the code");
    }
    assert_eq!(backend.requests(), []);
    assert_eq!(post(&proxy, &event.shared_key(CODE, &"x".repeat(64))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deleted_stays_out_and_comes_back_without_a_fresh_cap() {
    use ai_proxy::catalog::attendee;
    let backend = Backend::start().await;
    let (proxy, event) = room(&backend, 500).await;
    let replica = proxy.replica().await;
    let key = event.shared_key(CODE, "Ada Lovelace");
    for _ in 0..3 {
        assert_eq!(post(&proxy, &key).await.status, 200);
    }
    let store = &proxy.store;
    let list = attendee::list(&store.db, &store.by.owner_id, &event.id).await.unwrap();
    let ada = &list[0];
    attendee::delete(&store.db, &store.by, &ada.id, day_of(now_ms())).await.unwrap();
    let ping = || proxy.ask("POST", DEMO).json(PING).header("api-key", &key);
    within(CHANGE, "they are out", async || ping().await.code() == "attendee_disabled").await;
    assert_eq!(ping().at(&replica).await.code(), "attendee_disabled", "also at another replica");
    assert_eq!(ping().await.code(), "attendee_disabled");
    let open = (&store.db, &store.vault, &store.by);
    attendee::deleted::let_in_again(open.0, open.1, open.2, &event.id, &ada.user_id).await.unwrap();
    within(CHANGE, "they are in again", async || ping().await.status == 200).await;
    within(CHANGE, "there as well", async || ping().at(&replica).await.status == 200).await;
    assert_eq!(post(&proxy, &key).await.code(), "daily_cap_reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_code_ends_the_old_keys_and_resets_nobodys_cap() {
    let backend = Backend::start().await;
    let (proxy, mut event) = room(&backend, 500).await;
    let (old, new) = (
        event.shared_key(CODE, "ada@example.org"),
        event.shared_key("another2", "Ada@example.org"),
    );
    for _ in 0..2 {
        assert_eq!(post(&proxy, &old).await.status, 200);
    }
    event.change(|draft| draft.shared_code = Some("another2".to_owned().into())).await;
    let ping = |key: &str| proxy.ask("POST", DEMO).json(PING).header("api-key", key);
    within(CHANGE, "the old code is off", async || ping(&old).await.code() == "invalid_api_key")
        .await;
    assert_eq!(post(&proxy, &new).await.status, 200);
    assert_eq!(post(&proxy, &new).await.code(), "daily_cap_reached");

    event.change(|draft| draft.shared_code = None).await;
    within(CHANGE, "there is no code", async || ping(&new).await.code() == "invalid_api_key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_when_many_come_at_once() {
    let backend = Backend::start().await;
    let (proxy, event) = room(&backend, 5).await;
    let mut wires = Vec::new();
    for n in 0..20 {
        wires.push(post(&proxy, &event.shared_key(CODE, &format!("person-{n}"))).send().await);
    }
    let mut joined = 0;
    for wire in &mut wires {
        let answer = wire.answer().await.unwrap();
        joined += u32::from(answer.status == 200);
        assert!(answer.status == 200 || answer.code() == "event_full", "{answer:?}");
    }
    assert_eq!(joined, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_lets_nobody_new_in_and_throws_nobody_out() {
    let backend = Backend::start().await;
    let (proxy, mut event) = room(&backend, 500).await;
    let (ada, bob) =
        (event.shared_key(CODE, "ada@example.org"), event.shared_key(CODE, "bob@example.org"));
    let ping = |key: &str| proxy.ask("POST", DEMO).json(PING).header("api-key", key);
    assert_eq!(ping(&ada).await.status, 200);
    event.change(|draft| draft.registration = "closed".into()).await;
    // By the row at once, whatever this replica has heard.
    let refused = ping(&bob).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "registration_closed"));
    assert!(refused.text().contains(" in this way. Ask "), "{}", refused.text());
    assert_eq!(ping(&ada).await.status, 200, "who is in stays in");
    let ada_again = event.shared_key(CODE, "ADA@example.org");
    assert_eq!(ping(&ada_again).await.status, 200, "with the same name, however written");
    let wrong = event.shared_key("welcome2", "cyd@example.org");
    assert_eq!(ping(&wrong).await.code(), "invalid_api_key", "a wrong code learns nothing");
    assert_eq!(event.attendee().await.call().await.status, 200, "issued keys work");
    // The control in the room opens nothing that is closed here.
    event.close_registration().await;
    event.change(|draft| draft.registration = "shared-code".into()).await;
    assert_eq!(ping(&bob).await.code(), "registration_closed", "closed in the room as well");
    event.reopen_registration().await;
    within(CHANGE, "it is open again", async || ping(&bob).await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_an_event_that_is_not_open() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let plan =
        proxy.event().shared_code(CODE).with(|draft| draft.start = "2998-01-01T00:00".into());
    let event = plan.open().await;
    proxy.start().await;
    let answer = post(&proxy, &event.shared_key(CODE, "ada@example.org")).await;
    assert_eq!(answer.code(), "event_not_started");
    let store = &proxy.store;
    let list = ai_proxy::catalog::attendee::list(&store.db, &store.by.owner_id, &event.id).await;
    assert_eq!(list.unwrap().len(), 0);
}
