//! The routes for front ends that others host: whose key they show, and to whom.

use ai_proxy::catalog::attendee;
use http::header::{LOCATION, ORIGIN};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::gateway::{TRUSTED, static_web_apps};
use crate::harness::{Page, Portal, Visitor};
use crate::mcp::Server;
use crate::workshop::Workshop;

fn path(event: &str) -> String {
    format!("/api/v1/attendee/event/{event}")
}

async fn send(visitor: &Visitor, method: Method, path: &str, headers: &[(&str, &str)]) -> Page {
    let request = visitor.client.request(method, format!("{}{path}", visitor.url));
    let add = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    Page::read(headers.iter().fold(request, add).send().await.unwrap()).await
}

fn body(page: &Page) -> Value {
    serde_json::from_str(&page.body).unwrap_or_else(|_| panic!("{}", page.body))
}

/// It was refused so, in the shape of the data plane.
#[track_caller]
fn refused(page: &Page, status: StatusCode, code: &str) {
    let error = &body(page)["error"];
    assert_eq!((page.status, &error["code"]), (status, &json!(code)), "{}", page.body);
    assert_eq!(error["status"], status.as_u16());
    assert_eq!(page.headers["x-error-source"], "proxy");
    assert!(error["message"].as_str().is_some_and(|message| message.ends_with('.')));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_gateway_has_signed_in_registers_once_and_has_a_key_that_works() {
    let portal = Portal::with(TRUSTED).await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &"backend-key".into()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    let visitor = portal.visitor();
    let principal = static_web_apps("1", "octocat");
    let who = [("x-ms-client-principal", &*principal)];
    let (read, register) = (path(&event), format!("{}/register", path(&event)));

    refused(
        &send(&visitor, Method::GET, &read, &who).await,
        StatusCode::NOT_FOUND,
        "not_registered",
    );
    let mut all = Vec::new();
    for _ in 0..2 {
        let made = send(&visitor, Method::POST, &register, &who).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        assert_eq!(made.headers[LOCATION], format!("{read}/"));
        all.push(body(&made));
    }
    for read in [&read, &format!("{read}/")] {
        let found = send(&visitor, Method::GET, read, &who).await;
        assert_eq!(found.status, StatusCode::OK, "{}", found.body);
        assert_eq!(found.headers["cache-control"], "no-store");
        assert!(!found.headers.contains_key("access-control-allow-origin"));
        all.push(body(&found));
    }
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    assert_eq!(all[0]["active"], true);
    let key = all[0]["api_key"].as_str().unwrap().to_owned().into();
    workshop.comes_to(&key, "demo", "ok").await;
    assert_eq!(workshop.number("select count(*) from attendee").await, 1);

    let id = &attendee::list(&portal.app.db, &workshop.by.owner_id, &event).await.unwrap()[0].id;
    attendee::set_active(&portal.app.db, &workshop.by, id, false).await.unwrap();
    let found = body(&send(&visitor, Method::GET, &read, &who).await);
    assert_eq!((&found["active"], &found["api_key"]), (&json!(false), &all[0]["api_key"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_registers_at_once_is_registered_once_each() {
    let portal = Portal::with(TRUSTED).await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    let register = format!("{}/register", path(&event));
    let visitor = portal.visitor();
    let principals: Vec<String> =
        (0..48).map(|n| static_web_apps(&(n % 8).to_string(), "somebody")).collect();
    let send = |principal: &String| {
        let request = visitor.client.post(format!("{}{register}", visitor.url));
        request.header("x-ms-client-principal", principal).send()
    };
    for answer in futures_util::future::join_all(principals.iter().map(send)).await {
        assert_eq!(answer.unwrap().status(), StatusCode::CREATED);
    }
    assert_eq!(workshop.number("select count(*) from attendee").await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_signed_in_to_the_events_page_has_their_key_unless_by_a_name_alone() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |draft| draft.shared_code = Some("Welcome2026".into())).await;
    let (read, register) = (path(&event), format!("{}/register", path(&event)));
    let join = format!("/event/{event}/join");
    let fields = [("code", "Welcome2026"), ("name", "Grace"), ("is_me", "yes")];
    let grace = portal.visitor();
    grace.post(&join, &fields).await.redirects_to(&format!("/event/{event}"));
    let key = grace.get(&format!("/event/{event}")).await.text("#key");
    for (method, at, status) in
        [(Method::GET, &read, StatusCode::OK), (Method::POST, &register, StatusCode::CREATED)]
    {
        let answer = send(&grace, method, at, &[]).await;
        assert_eq!(
            (answer.status, body(&answer)),
            (status, json!({"api_key": key, "active": true}))
        );
    }
    let other = portal.visitor();
    other.post(&join, &fields).await.redirects_to(&format!("/event/{event}"));
    // Grace's cookie of this event, given the name of another's.
    let elsewhere = workshop.event(&[], |_| {}).await;
    let stolen = grace.cookie(&format!("ai-proxy-event-{event}")).unwrap();
    let cookie = format!("ai-proxy-event-{elsewhere}={stolen}");
    let forger = portal.visitor();
    forger.jar.add_cookie_str(&cookie, &forger.url.parse().unwrap());
    let forged = send(&forger, Method::GET, &path(&elsewhere), &[]).await;
    refused(&forged, StatusCode::UNAUTHORIZED, "not_signed_in");
    for visitor in [&other, &forger, &portal.visitor()] {
        for (method, at) in [(Method::GET, &read), (Method::POST, &register)] {
            refused(
                &send(visitor, method, at, &[]).await,
                StatusCode::UNAUTHORIZED,
                "not_signed_in",
            );
        }
    }
    // The header of somebody who is no gateway.
    let principal = static_web_apps("1", "octocat");
    let forged =
        send(&other, Method::POST, &register, &[("x-ms-client-principal", &principal)]).await;
    refused(&forged, StatusCode::UNAUTHORIZED, "not_signed_in");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_can_neither_register_nor_read() {
    let portal = Portal::with(TRUSTED).await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    let (read, register) = (path(&event), format!("{}/register", path(&event)));
    let visitor = portal.visitor();
    let principal = static_web_apps("1", "octocat");
    let who = ("x-ms-client-principal", &*principal);
    let origin = (ORIGIN.as_str(), "https://evil.example");
    for foreign in [&[who, origin][..], &[who, origin, ("sec-fetch-site", "cross-site")]] {
        let answer = send(&visitor, Method::POST, &register, foreign).await;
        refused(&answer, StatusCode::FORBIDDEN, "origin_not_allowed");
    }
    assert_eq!(workshop.number("select count(*) from attendee").await, 0);
    // A gateway's own page, whose origin is the gateway's.
    let own = [who, (ORIGIN.as_str(), "https://front.example"), ("sec-fetch-site", "same-origin")];
    let answer = send(&visitor, Method::POST, &register, &own).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let answer = send(&visitor, Method::GET, &read, &[who, origin]).await;
    assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_registered_is_refused_in_json() {
    let portal = Portal::with(TRUSTED).await;
    portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    let visitor = portal.visitor();
    let principal = static_web_apps("1", "octocat");
    let who = [("x-ms-client-principal", &*principal)];
    let register = async |event: &str| {
        send(&visitor, Method::POST, &format!("{}/register", path(event)), &who).await
    };
    refused(&register("0000-0000").await, StatusCode::NOT_FOUND, "event_not_found");
    for (change, code) in [
        ("update event set registration = 'closed'", "registration_closed"),
        ("update event set registration = 'github', active = 0", "event_inactive"),
        ("update event set active = 1, starts_at = 4070908800000", "event_not_started"),
        ("update event set starts_at = 1, ends_at = 2", "event_ended"),
    ] {
        sqlx::query(change).execute(portal.app.db.writer()).await.unwrap();
        refused(&register(&event).await, StatusCode::UNAUTHORIZED, code);
    }
    for (method, at, allow) in [
        (Method::POST, path(&event), "GET"),
        (Method::GET, format!("{}/register", path(&event)), "POST"),
    ] {
        let answer = send(&visitor, method, &at, &who).await;
        refused(&answer, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
        assert!(answer.headers["allow"].to_str().unwrap().contains(allow));
    }
    let beside = send(&visitor, Method::GET, "/api/v1/attendee/event/", &who).await;
    refused(&beside, StatusCode::NOT_FOUND, "route_not_found");
    assert_eq!(workshop.number("select count(*) from attendee").await, 0);
}
