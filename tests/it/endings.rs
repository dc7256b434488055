//! When an attendee or an event ends, so do the streams that are open: GET
//! cleanly, POST visibly cut, both soon.

use std::time::{Duration, Instant};

use ai_proxy::catalog::{attendee, event};
use ai_proxy::clock;
use ai_proxy::clock::{day_of, now_ms};
use secrecy::ExposeSecret;

use crate::harness::attendee::{Ask, Attendee, DEMO};
use crate::harness::backend::{Backend, Visit, Visits};
use crate::harness::event::Event;
use crate::harness::proxy::Proxy;
use crate::harness::wire::Wire;
use crate::harness::{CALL, CHANGE, PING, within};

/// A proxy with three calls under way: a GET and a POST that stream, and a POST
/// that has no answer yet.
struct Busy {
    proxy: Proxy,
    event: Event,
    ada: Attendee,
    _backend: Backend,
    get: (Wire, Visit),
    post: (Wire, Visit),
    unanswered: (Wire, Visit),
}

/// Both ends of a stream that has begun and goes on.
async fn stream(request: &Ask, visits: &mut Visits) -> (Wire, Visit) {
    let mut wire = request.send().await;
    let (mut visit, _) = visits.request().await;
    visit.begin_events().await;
    visit.chunk("data: 1\n\n").await;
    assert_eq!(wire.head().await.unwrap().status, 200);
    wire.hears("data: 1\n\n").await;
    (wire, visit)
}

impl Busy {
    async fn start(ends_in: Option<Duration>) -> Self {
        let (backend, mut visits) = Backend::by_hand().await;
        let mut proxy = Proxy::new().await;
        proxy.resource("demo", &backend.url()).await;
        let event = proxy.event().open().await;
        let ada = event.attendee().await;
        if let Some(time) = ends_in {
            event.end_at(clock::now_ms() + time.as_millis() as i64).await;
        }
        proxy.start().await;
        let mut streams = Vec::new();
        for request in [ada.get(), ada.post(CALL)] {
            streams.push(stream(&request, &mut visits).await);
        }
        let wire = ada.post(CALL).send().await;
        let (visit, _) = visits.request().await;
        let unanswered = (wire, visit);
        let (post, get) = (streams.remove(1), streams.remove(0));
        Self { proxy, event, ada, _backend: backend, get, post, unanswered }
    }

    /// All that was under way ends as it should, before `deadline`.
    async fn ends(&mut self, deadline: Instant, code: &str) {
        self.get.0.ends().await;
        self.post.0.is_cut().await;
        let answer = self.unanswered.0.answer().await.expect("a refusal");
        assert_eq!((answer.status, answer.code().as_str()), (401, code));
        for visit in [&mut self.get.1, &mut self.post.1, &mut self.unanswered.1] {
            visit.left().await;
        }
        assert!(Instant::now() < deadline, "late by {:?}", deadline.elapsed());
        self.proxy.nothing_is_open().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attendee_who_is_switched_off() {
    let mut busy = Busy::start(None).await;
    let deadline = Instant::now() + CHANGE;
    busy.ada.set_active(false).await;
    busy.ends(deadline, "attendee_disabled").await;
    assert_eq!(busy.ada.fares().await, "attendee_disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attendee_who_is_deleted() {
    let mut busy = Busy::start(None).await;
    let deadline = Instant::now() + CHANGE;
    attendee::delete(&busy.proxy.store.db, &busy.proxy.store.by, &busy.ada.id, day_of(now_ms()))
        .await
        .unwrap();
    busy.ends(deadline, "attendee_disabled").await;
    assert_eq!(busy.ada.fares().await, "invalid_api_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attendee_whose_key_is_replaced() {
    let mut busy = Busy::start(None).await;
    let deadline = Instant::now() + CHANGE;
    let (store, old) = (&busy.proxy.store, &busy.ada.id);
    attendee::new_key(&store.db, &store.vault, &store.by, old).await.unwrap();
    busy.ends(deadline, "invalid_api_key").await;
    assert_eq!(busy.ada.fares().await, "invalid_api_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_switched_off() {
    let mut busy = Busy::start(None).await;
    let deadline = Instant::now() + CHANGE;
    busy.event.change(|draft| draft.active = false).await;
    busy.ends(deadline, "event_inactive").await;
    assert_eq!(busy.ada.fares().await, "event_inactive");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_time_is_over() {
    let time = Duration::from_millis(1500);
    let end = Instant::now() + time;
    let mut busy = Busy::start(Some(time)).await;
    busy.get.0.ends().await;
    assert!(Instant::now() >= end, "not before its time");
    busy.post.0.is_cut().await;
    assert_eq!(busy.unanswered.0.answer().await.unwrap().code(), "event_ended");
    assert!(Instant::now() < end + CHANGE);
    assert_eq!(busy.ada.fares().await, "event_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_deleted() {
    let mut busy = Busy::start(None).await;
    let deadline = Instant::now() + CHANGE;
    event::delete(&busy.proxy.store.db, &busy.proxy.store.by, &busy.event.id).await.unwrap();
    busy.get.0.ends().await;
    busy.post.0.is_cut().await;
    assert_eq!(busy.unanswered.0.answer().await.unwrap().status, 401);
    assert!(Instant::now() < deadline);
    assert_eq!(busy.ada.fares().await, "invalid_api_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_go_on() {
    let mut busy = Busy::start(None).await;
    let bob = busy.event.attendee().await;
    bob.set_active(false).await;
    within(CHANGE, "a change was taken in", async || bob.fares().await == "attendee_disabled")
        .await;
    busy.event.change(|draft| draft.daily_request_cap = 7).await;
    within(CHANGE, "another was", async || {
        let answer = busy.ada.post(PING).send().await;
        drop(answer);
        let snapshot = busy.proxy.app().plane.snapshot.load();
        snapshot.events[&busy.event.id].daily_request_cap == 7
    })
    .await;
    for (wire, visit) in [&mut busy.get, &mut busy.post] {
        visit.chunk("data: 2\n\n").await;
        wire.hears("data: 2\n\n").await;
        visit.chunk("").await;
        wire.ends().await;
    }
    busy.unanswered.1.reply(crate::harness::reply::Reply::json("{}")).await;
    assert_eq!(busy.unanswered.0.answer().await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_amid_an_event_is_ended_all_the_same() {
    let mut busy = Busy::start(None).await;
    busy.get.1.chunk("data: not wh").await;
    busy.get.0.hears("data: not wh").await;
    let deadline = Instant::now() + CHANGE;
    busy.ada.set_active(false).await;
    busy.ends(deadline, "attendee_disabled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_switched_off_while_their_body_comes_in_is_not_forwarded() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let event = proxy.event().open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    let mut wire = proxy.wire().await;
    let bytes = ada.post(CALL).bytes();
    wire.send(&bytes[..bytes.len() - 1]).await.unwrap();
    proxy.are_open(1).await;
    ada.set_active(false).await;
    within(CHANGE, "Ada is out", async || ada.fares().await == "attendee_disabled").await;
    // Changes are taken in one after the other: by then all is done about Ada.
    bob.set_active(false).await;
    within(CHANGE, "Bob is, too", async || bob.fares().await == "attendee_disabled").await;
    wire.send("}").await.unwrap();
    assert_eq!(wire.answer().await.unwrap().code(), "attendee_disabled");
    let calls = backend.requests().iter().filter(|got| got.calls("tools/call")).count();
    assert_eq!(calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_while_a_body_came_in_is_heeded() {
    let backend = Backend::start().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let mut event = proxy.event().open().await;
    let (ada, bob) = (event.attendee().await, event.attendee().await);
    proxy.start().await;
    let mut wire = proxy.wire().await;
    let bytes = ada.post(CALL).bytes();
    wire.send(&bytes[..bytes.len() - 1]).await.unwrap();
    proxy.are_open(1).await;
    event.change(|draft| draft.resources.clear()).await;
    within(CHANGE, "the server is gone", async || bob.fares().await == "deployment_not_found")
        .await;
    // Changes are taken in once a second: by then one has passed.
    bob.set_active(false).await;
    within(CHANGE, "Bob is out", async || bob.fares().await == "attendee_disabled").await;
    wire.send("}").await.unwrap();
    assert_eq!(wire.answer().await.unwrap().code(), "deployment_not_found");
    assert!(backend.requests().iter().all(|got| !got.calls("tools/call")));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_shared_code_ends_what_was_begun_with_the_old_one() {
    let (backend, mut visits) = Backend::by_hand().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let mut event = proxy.event().shared_code("Welcome2026").open().await;
    let ada = event.attendee().await;
    proxy.start().await;
    let guest = event.shared_key("Welcome2026", "Grace");
    let get = |key: &str| proxy.ask("GET", DEMO).key(key).header("accept", "text/event-stream");
    let mut by_code = stream(&get(&guest), &mut visits).await;
    let mut issued = stream(&get(&ada.key), &mut visits).await;

    // Nothing else that is changed of the event ends anything.
    event.change(|draft| draft.name = "Renamed".into()).await;
    event.change(|draft| draft.shared_code = Some("Welcome2027".into())).await;
    by_code.0.ends().await;
    by_code.1.left().await;
    issued.1.chunk("data: 2\n\n").await;
    issued.0.hears("data: 2\n\n").await;
    assert_eq!(proxy.ask("POST", DEMO).key(&guest).json(PING).await.code(), "invalid_api_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_that_is_in_use_at_once_goes_on() {
    let (backend, mut visits) = Backend::by_hand().await;
    let mut proxy = Proxy::new().await;
    proxy.resource("demo", &backend.url()).await;
    let [ada, bob]: [Attendee; 2] =
        proxy.event().open().await.attendees(2).await.try_into().ok().unwrap();
    proxy.start().await;
    let store = &proxy.store;
    let new_key =
        async |id: &str| attendee::new_key(&store.db, &store.vault, &store.by, id).await.unwrap();
    let get = |key: &str| proxy.ask("GET", DEMO).key(key).header("accept", "text/event-stream");
    let (mut bobs, _visit) = stream(&get(&bob.key), &mut visits).await;
    let new = new_key(&ada.id).await;
    let (mut wire, mut visit) = stream(&get(new.expose_secret()), &mut visits).await;
    // Changes are taken in in their order.
    new_key(&bob.id).await;
    bobs.ends().await;
    visit.chunk("data: 2\n\n").await;
    wire.hears("data: 2\n\n").await;
}
