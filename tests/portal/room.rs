//! What an organiser sees and changes in the room, as an attendee feels it.

use std::time::{Duration, Instant};

use http::StatusCode;
use secrecy::SecretString;

use crate::harness::{Page, Portal, Visitor};
use crate::mcp::Server;
use crate::workshop::Workshop;

fn path(event: &str) -> String {
    format!("/admin/events/{event}/room")
}

fn any_key() -> SecretString {
    "backend-key".into()
}

/// Presses a control of the room as the page has it, hidden fields included.
async fn press(visitor: &Visitor, event: &str, control: &str, fields: &[(&str, &str)]) -> Page {
    let page = visitor.get(&path(event)).await;
    let form = format!("form[action$='/room/{control}']");
    let button = |name| page.attribute(&format!("{form} button[name=to]"), name);
    let from = page.attribute(&format!("{form} input[name=from]"), "value");
    let to = button("value");
    let mut sent: Vec<(&str, &str)> = fields.to_vec();
    sent.extend(from.as_deref().map(|from| ("from", from)));
    sent.extend(to.as_deref().map(|to| ("to", to)));
    visitor.press(&path(event), &format!("/room/{control}"), &sent).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pausing_refuses_every_key_within_two_seconds_and_resuming_lets_them_in() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &any_key()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    let key = workshop.attendee(&event).await.api_key;
    workshop.comes_to(&key, "demo", "ok").await;

    let page = ada.get(&path(&event)).await;
    assert_eq!(page.text("nav.tabs [aria-current=page]"), "In the room");
    assert_eq!(page.text(".state .badge"), "open");
    let page = press(&ada, &event, "activity", &[]).await;
    assert!(page.flash().starts_with("Room is paused: within two seconds"), "{}", page.flash());
    assert_eq!(page.text(".state .badge"), "paused");
    workshop.comes_to(&key, "demo", "event_inactive").await;
    assert_eq!(workshop.trail().await, "paused: Room");
    let again = ada.post_and_follow(&format!("{}/activity", path(&event)), &[("to", "off")]).await;
    assert_eq!(again.flash(), "Room was paused already.");

    let page = press(&ada, &event, "activity", &[]).await;
    assert_eq!(page.flash(), "Room goes on: keys work again.");
    workshop.comes_to(&key, "demo", "ok").await;
    assert_eq!(workshop.trail().await, "resumed: Room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_switched_off_and_on_again() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let one = workshop.resource("one", &server.url(), &any_key()).await;
    let two = workshop.resource("two", &server.url(), &any_key()).await;
    let event = workshop.event(&[&one, &two], |_| {}).await;
    workshop.event(&[&one], |draft| draft.name = "Next door".into()).await;
    let key = workshop.attendee(&event).await.api_key;
    workshop.comes_to(&key, "one", "ok").await;

    let control = format!("resources/{one}");
    let page = press(&ada, &event, &control, &[]).await;
    assert!(page.flash().starts_with("one is switched off"), "{}", page.flash());
    assert_eq!(page.all("#resources tbody tr")[0], "one off Next door Switch on");
    workshop.comes_to(&key, "one", "deployment_off").await;
    assert_eq!(workshop.call(&key, "two").await, "ok");
    assert_eq!(workshop.trail().await, "switched off: one");
    let page = press(&ada, &event, &control, &[]).await;
    assert_eq!(page.flash(), "one is switched on.");
    workshop.comes_to(&key, "one", "ok").await;

    let unlinked = workshop.resource("three", &server.url(), &any_key()).await;
    let path = format!("{}/resources/{unlinked}", path(&event));
    assert_eq!(ada.post(&path, &[("to", "off")]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn extending_adds_half_an_hour_once_for_each_look_at_the_page() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |draft| draft.time_zone = "Europe/Berlin".into()).await;
    let seen = ada.get(&path(&event)).await;
    let from = seen.attribute("form[action$='/room/end'] input[name=from]", "value").unwrap();
    let page = press(&ada, &event, "end", &[]).await;
    assert_eq!(page.flash(), "Room ends at 2099-12-31 18:30 (Europe/Berlin) now.");
    assert_eq!(workshop.trail().await, "extended: Room: to 2099-12-31T18:30 Europe/Berlin");
    // The second click of a double one.
    let again = ada.post_and_follow(&format!("{}/end", path(&event)), &[("from", &from)]).await;
    assert_eq!(
        again.flash(),
        "Nothing was changed: the end was changed meanwhile, to 2099-12-31 18:30; look at it, then \
         try again."
    );
    let page = press(&ada, &event, "end", &[]).await;
    assert_eq!(page.flash(), "Room ends at 2099-12-31 19:00 (Europe/Berlin) now.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_cap_lets_those_go_on_who_had_reached_it() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &any_key()).await;
    let event = workshop.event(&[&demo], |draft| draft.daily_request_cap = 2).await;
    let key = workshop.attendee(&event).await.api_key;
    workshop.comes_to(&key, "demo", "ok").await;
    workshop.comes_to(&key, "demo", "daily_cap_reached").await;
    let page = ada.get(&path(&event)).await;
    assert_eq!(page.attribute("#percent option[selected]", "value").as_deref(), Some("25"));
    let page = press(&ada, &event, "cap", &[("percent", "50")]).await;
    assert_eq!(page.flash(), "Everyone has 3 requests a day now; it was 2.");
    workshop.comes_to(&key, "demo", "ok").await;
    workshop.comes_to(&key, "demo", "daily_cap_reached").await;
    assert_eq!(workshop.trail().await, "raised the cap: Room: from 2 to 3 a day");
    let fields = [("from", "2"), ("percent", "50")];
    let again = ada.post_and_follow(&format!("{}/cap", path(&event)), &fields).await;
    assert!(again.flash().starts_with("Nothing was changed: "), "{}", again.flash());
    let odd = ada.post(&format!("{}/cap", path(&event)), &[("from", "3"), ("percent", "7")]).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_registration_keeps_out_who_is_not_in_yet() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &any_key()).await;
    let event = workshop
        .event(&[&demo], |draft| draft.shared_code = Some("welcome1".to_owned().into()))
        .await;
    let key = |name| SecretString::from(format!("{event}@welcome1/{name}@example.org"));
    let (bob, cyd) = (key("bob"), key("cyd"));
    workshop.comes_to(&bob, "demo", "ok").await;
    let page = press(&ada, &event, "registration", &[]).await;
    assert!(page.flash().starts_with("Registration is closed"), "{}", page.flash());
    assert_eq!(workshop.call(&cyd, "demo").await, "registration_closed");
    assert_eq!(workshop.call(&bob, "demo").await, "ok");
    assert_eq!(workshop.trail().await, "closed registration: Room");
    let page = press(&ada, &event, "registration", &[]).await;
    assert_eq!(page.flash(), "Registration is open again.");
    workshop.comes_to(&cyd, "demo", "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_that_is_closed_in_the_settings_is_opened_there() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |draft| draft.registration = "closed".into()).await;
    let page = ada.get(&path(&event)).await;
    let form = format!("form[action='{}/registration']", path(&event));
    assert!(page.text(&form).contains("Closed in the settings of the event"), "{}", page.body);
    assert!(page.all(&format!("{form} button")).is_empty(), "there is nothing to press");
    let there = page.attribute(&format!("{form} a"), "href").unwrap();
    assert_eq!(there, format!("/admin/events/{event}#registration"));
    assert_eq!(ada.get(&there).await.all("#registration").len(), 1);
    // By a page of a while ago.
    let stale = format!("{}/registration", path(&event));
    let page = ada.post_and_follow(&stale, &[("to", "on")]).await;
    assert!(page.flash().starts_with("Registration stays closed"), "{}", page.flash());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_shows_who_is_there_and_how_the_event_stands() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    for (draft, state, until) in [
        (("2098-01-01T09:00", true), "not started", "from 2098-01-01 09:00 to"),
        (("2098-01-01T09:00", false), "paused", "from 2098-01-01 09:00 to"),
        (("2020-01-01T09:00", true), "open", "until 2099-12-31 18:00 (UTC), "),
    ] {
        let event = workshop
            .event(&[], |event| (event.start, event.active) = (draft.0.into(), draft.1))
            .await;
        let page = ada.get(&path(&event)).await;
        assert_eq!(page.text(".state .badge"), state);
        assert!(page.text(".state").contains(until), "{}", page.text(".state"));
    }
    let event = workshop.event(&[], |event| event.end = "2020-02-01T09:00".into()).await;
    workshop.attendee(&event).await;
    let page = ada.get(&path(&event)).await;
    assert_eq!(page.text(".state .badge"), "ended");
    assert_eq!(page.all(".figures dd"), ["0", "0", "0", "1", "0", "0", "0"]);
    assert_eq!(page.attribute("#now", "data-live").as_deref(), Some("5"));
    assert!(page.body.len() < 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_shows_the_calls_of_those_who_are_there() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &any_key()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    let (bob, cyd) = (workshop.attendee(&event).await, workshop.attendee(&event).await);
    workshop.comes_to(&bob.api_key, "demo", "ok").await;
    assert_eq!(workshop.call(&cyd.api_key, "nothing").await, "deployment_not_found");
    let started = Instant::now();
    loop {
        let page = ada.get(&path(&event)).await;
        let figures = page.all(".figures dd");
        // Two have called, for one it worked; the other is stuck.
        if figures == ["2", "1", "0", "2", "2", "1", "1"] {
            assert!(page.text(".figures .trouble").starts_with("stuck"), "{}", page.body);
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{figures:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_looks_at_leaves_the_flash_to_the_reader() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let event = Workshop::of(&portal, "Ada").await.event(&[], |_| {}).await;
    let room = path(&event);
    ada.post(&format!("{room}/activity"), &[("to", "off")]).await.redirects_to(&room);
    let part = ada.client.get(format!("{}{room}", ada.url)).header("x-part", "1");
    let part = part.send().await.unwrap().text().await.unwrap();
    assert!(part.contains("paused") && !part.contains("within two seconds every key"), "{part}");
    assert!(ada.get(&room).await.flash().starts_with("Room is paused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_owners_room_is_not_there() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let bob = portal.owner("Bob").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &any_key()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    let own = Workshop::of(&portal, "Bob").await.event(&[], |_| {}).await;
    let before = workshop.number("select value from revision where name = 'catalog'").await;
    assert_eq!(bob.get(&path(&event)).await.status, StatusCode::NOT_FOUND);
    let fields = [("to", "off"), ("from", "1024"), ("percent", "25")];
    for control in
        ["activity", "end", "cap", "registration", &format!("resources/{demo}")].map(str::to_owned)
    {
        let path = format!("{}/{control}", path(&event));
        assert_eq!(bob.post(&path, &fields).await.status, StatusCode::NOT_FOUND, "{path}");
        portal.visitor().post(&path, &fields).await.says_signed_out();
    }
    let foreign = format!("{}/resources/{demo}", path(&own));
    assert_eq!(bob.post(&foreign, &fields).await.status, StatusCode::NOT_FOUND);
    let after = workshop.number("select value from revision where name = 'catalog'").await;
    assert_eq!(after, before, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organiser_is_warned_while_somebody_guesses_the_shared_code() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event =
        workshop.event(&[], |draft| draft.shared_code = Some("welcome1".to_owned().into())).await;
    let other = workshop.event(&[], |_| {}).await;
    assert!(!ada.get(&path(&event)).await.body.contains("guessing the shared code"));
    let now = ai_proxy::clock::now_ms();
    let tries = std::collections::HashMap::from([
        ((event.clone(), now), 1_234),
        ((event.clone(), now - 700_000), 5),
    ]);
    let db = &portal.app.db;
    ai_proxy::catalog::event::guesses::note(db, &tries, now).await.unwrap();
    let page = ada.get(&path(&event)).await;
    let warning = page.text("#now [role=alert]");
    assert!(warning.contains("1,234 tries in the last ten minutes"), "{warning}");
    assert!(!ada.get(&path(&other)).await.body.contains("guessing the shared code"));
    ai_proxy::catalog::event::guesses::note(db, &[].into(), now + 3_700_000).await.unwrap();
    assert_eq!(workshop.number("select count(*) from code_guess").await, 0, "nothing is kept");
}
