//! The page of a person in an event, and what is theirs to end there.

use ai_proxy::catalog::attendee;
use ai_proxy::portal;
use http::{Method, StatusCode};

use crate::claim::card;
use crate::harness::{Page, Portal, Visitor};
use crate::mcp::Server;
use crate::workshop::Workshop;

/// A browser in which somebody has opened their page with their card.
async fn guest(portal: &Portal, ada: &Visitor, event: &str) -> Visitor {
    let guest = portal.visitor();
    let code = card(ada, event).await;
    let page = guest.post_and_follow("/claim", &[("code", &code)]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    guest
}

/// The page of somebody, read until it says so of their calls.
async fn says(guest: &Visitor, path: &str, word: &str) -> Page {
    let started = std::time::Instant::now();
    loop {
        let page = guest.get(path).await;
        if page.text("#standing .badge") == word {
            return page;
        }
        assert!(started.elapsed().as_secs() < 10, "not {word}: {}", page.body);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_whether_calls_work() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &"backend-key".into()).await;
    let event = workshop.event(&[&demo], |draft| draft.daily_request_cap = 3).await;
    workshop.attendee(&event).await;
    workshop.is_in_force(&event).await;
    let guest = guest(&portal, &ada, &event).await;
    let path = format!("/event/{event}");
    let page = says(&guest, &path, "No call yet").await;
    assert!(page.text("#standing").contains("0 of 3 requests used today"), "{}", page.body);
    let key = page.text("#key").into();

    let waiting = guest.get(&format!("{path}?test")).await;
    let location = waiting.headers["location"].to_str().unwrap().to_owned();
    let waiting = location.split('#').next().unwrap();
    says(&guest, waiting, "Waiting for your call").await;
    assert_eq!(workshop.call(&key, "demo").await, "ok");
    says(&guest, waiting, "Working").await;
    let live = guest.get(&format!("{path}/live")).await;
    assert_eq!(live.text("#standing .badge"), "Working");
    assert!(live.all("#key").is_empty(), "only the part that is kept fresh");

    assert_eq!(workshop.call(&key, "dmeo").await, "deployment_not_found");
    let page = says(&guest, &path, "Needs help").await;
    assert!(page.text("#standing").contains("Copy the server URL"), "{}", page.body);
    for _ in 0..2 {
        workshop.call(&key, "demo").await;
    }
    says(&guest, &path, "Cap reached").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_how_event_and_person_stand() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    let id = workshop.attendee(&event).await.attendee_id;
    let guest = guest(&portal, &ada, &event).await;
    let path = format!("/event/{event}");
    let app = &portal.app;
    attendee::set_active(&app.db, &workshop.by, &id, false).await.unwrap();
    assert_eq!(guest.get(&path).await.text("#standing .badge"), "Switched off");
    attendee::set_active(&app.db, &workshop.by, &id, true).await.unwrap();
    ada.post(&format!("/admin/events/{event}/room/activity"), &[("to", "off")]).await;
    assert_eq!(guest.get(&path).await.text("#standing .badge"), "Paused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_ends_the_old_one_at_once() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &"backend-key".into()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    workshop.attendee(&event).await;
    let code = card(&ada, &event).await;
    let guest = portal.visitor();
    let page = guest.post_and_follow("/claim", &[("code", &code)]).await;
    let old = page.text("#key");
    let path = format!("/event/{event}");
    let ask = guest.get(&format!("{path}/key")).await;
    assert_eq!(ask.text("h2"), "Create a new key?");
    let page = guest.post_and_follow(&format!("{path}/key"), &[]).await;
    let new = page.text("#key");
    assert_ne!(new, old);
    workshop.comes_to(&new.as_str().into(), "demo", "ok").await;
    workshop.comes_to(&old.into(), "demo", "invalid_api_key").await;
    let page = portal.visitor().post_and_follow("/claim", &[("code", &code)]).await;
    assert_eq!(page.text("#key"), new, "the card never replaces a key again");
    guest.post_and_follow(&format!("{path}/key"), &[("void_card", "on")]).await;
    let page = portal.visitor().post("/claim", &[("code", &code)]).await;
    assert!(page.problem("code").contains("is not one that we recognise"));
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_it_here_there_or_everywhere() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    workshop.attendee(&event).await;
    let code = card(&ada, &event).await;
    let path = format!("/event/{event}");
    let open = async || {
        let visitor = portal.visitor();
        visitor.post_and_follow("/claim", &[("code", &code)]).await.text("#key");
        visitor
    };
    let is_in = async |visitor: &Visitor| !visitor.get(&path).await.all("#key").is_empty();
    let (phone, laptop, library) = (open().await, open().await, open().await);
    let page = laptop.get(&path).await;
    assert_eq!(page.all("#browsers li").len(), 3, "{}", page.body);
    laptop.post_and_follow(&format!("{path}/leave"), &[("browser", "")]).await;
    assert!(!is_in(&laptop).await && is_in(&phone).await);

    // The other one, of which the phone's page has a button.
    let others = phone.get(&path).await.attributes("#browsers button", "value");
    let other = others.iter().find(|id| !id.is_empty()).unwrap();
    phone.post_and_follow(&format!("{path}/leave"), &[("browser", other)]).await;
    assert!(!is_in(&library).await && is_in(&phone).await);

    let again = open().await;
    phone.post_and_follow(&format!("{path}/sign-out"), &[]).await;
    assert!(!is_in(&phone).await && !is_in(&again).await);
    assert!(phone.cookie(&format!("ai-proxy-event-{event}")).is_none());
    let back = open().await;
    back.post_and_follow(&format!("{path}/sign-out"), &[("void_card", "on")]).await;
    let page = portal.visitor().post("/claim", &[("code", &code)]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_the_phone_opens_the_page_on_the_computer_once() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    workshop.attendee(&event).await;
    let phone = guest(&portal, &ada, &event).await;
    let path = format!("/event/{event}");
    let key = phone.get(&path).await.text("#key");
    let code = async || phone.post(&format!("{path}/continue"), &[]).await.text("#continue-code");
    let type_in = async |code: &str| {
        let computer = portal.visitor();
        let page = computer.post("/", &[("given", code)]).await;
        (computer, page)
    };

    let void = code().await;
    let first = code().await;
    assert_eq!(type_in(&void).await.1.status, StatusCode::UNPROCESSABLE_ENTITY, "one at a time");
    let (computer, page) = type_in(&first.to_lowercase().replace('-', "")).await;
    page.redirects_to(&path);
    assert_eq!(computer.get(&path).await.text("#key"), key);
    assert_eq!(type_in(&first).await.1.status, StatusCode::UNPROCESSABLE_ENTITY, "used");
    let seen = phone.get(&format!("{path}/continue")).await;
    assert_eq!(seen.text("#continued .badge"), "Opened");
    phone.post(&format!("{path}/not-me"), &[]).await.redirects_to(&format!("{path}/continue"));
    assert!(computer.get(&path).await.all("#key").is_empty());
    assert!(!phone.get(&path).await.all("#key").is_empty());

    let late = code().await;
    portal.pass(10 * 60_000 + 1);
    assert_eq!(type_in(&late).await.1.status, StatusCode::UNPROCESSABLE_ENTITY, "too late");
    let ended = code().await;
    phone.post_and_follow(&format!("{path}/leave"), &[("browser", "")]).await;
    assert_eq!(type_in(&ended).await.1.status, StatusCode::UNPROCESSABLE_ENTITY, "signed out");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_hold_the_key_and_every_server() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let first = workshop.resource("mcp-demo", "http://127.0.0.1:9/mcp", &"k".into()).await;
    let second = workshop.resource("4o.x", "http://127.0.0.1:9/mcp", &"k".into()).await;
    let event = workshop.event(&[&first, &second], |_| {}).await;
    workshop.attendee(&event).await;
    let guest = guest(&portal, &ada, &event).await;
    let key = guest.get(&format!("/event/{event}")).await.text("#key");
    let env = guest.get(&format!("/event/{event}/env")).await;
    let url = &portal.url;
    assert_eq!(
        env.body,
        format!(
            "EVENT_API_KEY='{key}'\nMCP_DEMO='mcp-demo'\n\
             MCP_DEMO_MCP_URL='{url}/api/v1/mcp/mcp-demo/mcp'\n\
             _4O_X='4o.x'\n_4O_X_MCP_URL='{url}/api/v1/mcp/4o.x/mcp'\n"
        )
    );
    let json = guest.get(&format!("/event/{event}/mcp.json")).await;
    assert_eq!(json.headers["cache-control"], "no-store");
    let json: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(json["servers"]["4o.x"]["headers"]["api-key"], key.as_str());
    assert_eq!(json["servers"].as_object().unwrap().len(), 2);
}

/// Every address of an event's attendees: one that is added is tried as well.
fn addresses() -> Vec<(Method, String)> {
    let all = portal::routes().into_iter();
    all.filter(|(_, path)| path.starts_with("/event/{id}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_or_ends_what_is_another_persons() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &"backend-key".into()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    let elsewhere = workshop.event(&[&demo], |_| {}).await;
    workshop.attendee(&event).await;
    workshop.attendee(&elsewhere).await;
    let theirs = guest(&portal, &ada, &event).await;
    let key = theirs.get(&format!("/event/{event}")).await.text("#key");
    let other = guest(&portal, &ada, &elsewhere).await;
    // Their cookie, given another event's name.
    let stolen = other.cookie(&format!("ai-proxy-event-{elsewhere}")).unwrap();
    let forger = portal.visitor();
    forger
        .jar
        .add_cookie_str(&format!("ai-proxy-event-{event}={stolen}"), &portal.url.parse().unwrap());
    let browser = theirs.get(&format!("/event/{event}")).await;
    let browsers = browser.attributes("#browsers button", "value");
    assert!(addresses().len() >= 13, "{:?}", addresses());
    for (method, path) in addresses() {
        let path = path.replace("{id}", &event).replace("{deployment}", "demo");
        for visitor in [&portal.visitor(), &other, &forger, &ada] {
            let page = if method == Method::GET {
                visitor.get(&path).await
            } else {
                let browser = browsers.first().map_or("", String::as_str);
                visitor
                    .post(&path, &[("browser", browser), ("void_card", "on"), ("app", "x")])
                    .await
            };
            assert!(!page.body.contains(&key), "{path}: {}", page.body);
            let is_way_in = ["/join", "/github", "/gateway"].iter().any(|end| path.ends_with(end));
            if path.ends_with(&event) || is_way_in {
                continue;
            }
            assert_eq!(page.status, StatusCode::SEE_OTHER, "{method} {path}: {}", page.body);
            assert_eq!(page.headers["location"], format!("/event/{event}"), "{path}");
        }
    }
    let page = theirs.get(&format!("/event/{event}")).await;
    assert_eq!(page.text("#key"), key, "they are signed in, with the key they had");
}
