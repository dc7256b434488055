//! Keys that attendees make of an event's shared code and their name.

use crate::harness::attendee::{Ask, DEMO};
use crate::harness::backend::Backend;
use crate::harness::event::Event;
use crate::harness::proxy::Proxy;
use crate::harness::{CALL, CHANGE, PING, within};

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
        format!("{id}@{CODE}/1234567"),
        format!("{id}@{CODE}/"),
        format!("{id}@{CODE}"),
        format!("{id}@welcome2/ada@example.org"),
        format!("{id}@WELCOME1/ada@example.org"),
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
    assert_eq!(post(&proxy, &event.shared_key(CODE, "12345678")).await.status, 200);
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
    assert!(refused.text().contains("takes nobody new by its shared code"), "{}", refused.text());
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
