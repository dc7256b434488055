//! Attendees whom a gateway in front of the proxy has signed in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::ORIGIN;
use serde_json::{Value, json};

use crate::harness::{Page, Portal, Visitor};
use crate::workshop::Workshop;

const PRINCIPAL: &str = "x-ms-client-principal";

/// The gateway is this machine, as every test is.
pub const TRUSTED: &[&str] = &["--trusted-gateways", "127.0.0.0/8"];

/// What Azure Static Web Apps say of somebody.
pub fn static_web_apps(id: &str, name: &str) -> String {
    encoded(&json!({"identityProvider": "github", "userId": id, "userDetails": name,
                    "userRoles": ["anonymous", "authenticated"]}))
}

/// What the built-in authentication of Container Apps says.
fn container_apps(id: &str, name: &str) -> String {
    let nameidentifier = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";
    encoded(&json!({"auth_typ": "aad", "name_typ": "name", "role_typ": "roles", "claims": [
        {"typ": nameidentifier, "val": id}, {"typ": "name", "val": name}]}))
}

fn encoded(principal: &Value) -> String {
    STANDARD.encode(principal.to_string())
}

async fn get(visitor: &Visitor, path: &str, principals: &[&str]) -> Page {
    let request = visitor.client.get(format!("{}{path}", visitor.url));
    let add = |request: reqwest::RequestBuilder, value: &&str| request.header(PRINCIPAL, *value);
    Page::read(principals.iter().fold(request, add).send().await.unwrap()).await
}

async fn go_on(visitor: &Visitor, event: &str, principal: &str) -> Page {
    let request = visitor.client.post(format!("{}/event/{event}/gateway", visitor.url));
    let request = request.header(ORIGIN, &visitor.url).header(PRINCIPAL, principal);
    Page::read(request.send().await.unwrap()).await
}

async fn event(portal: &Portal) -> String {
    portal.administrator("Ada").await;
    Workshop::of(portal, "Ada").await.event(&[], |_| {}).await
}

async fn attendees(portal: &Portal) -> i64 {
    let count = sqlx::query_scalar("select count(*) from attendee");
    count.fetch_one(portal.app.db.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_gateway_has_signed_in_continues_as_one_attendee() {
    let portal = Portal::with(TRUSTED).await;
    let event = event(&portal).await;
    let path = format!("/event/{event}");
    let mut keys = Vec::new();
    for (id, name) in [("1", "octocat"), ("1", "octocat"), ("2", "grace")] {
        for principal in [static_web_apps(id, name), container_apps(id, name)] {
            let visitor = portal.visitor();
            let page = get(&visitor, &path, &[&principal]).await;
            let button = format!("Continue as {name}");
            assert!(page.all("button").contains(&button), "{}", page.body);
            go_on(&visitor, &event, &principal).await.redirects_to(&path);
            let page = get(&visitor, &path, &[&principal]).await;
            assert_eq!(page.text("main > p strong"), name);
            keys.push(page.text("#key"));
        }
    }
    assert_eq!((&keys[0], &keys[1]), (&keys[2], &keys[3]));
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), attendees(&portal).await), (4, 4), "by provider and id");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_of_anybody_else_says_nothing() {
    // A front that forwards is no gateway: it passes the header of a client on.
    for settings in
        [&[][..], &["--trusted-proxies", "127.0.0.0/8"], &["--trusted-gateways", "10.0.0.0/8"]]
    {
        let portal = Portal::with(settings).await;
        let event = event(&portal).await;
        let (visitor, path) = (portal.visitor(), format!("/event/{event}"));
        let principal = static_web_apps("1", "octocat");
        let page = get(&visitor, &path, &[&principal]).await;
        assert!(page.all("form[action$='/gateway']").is_empty(), "{}", page.body);
        go_on(&visitor, &event, &principal).await.redirects_to(&path);
        assert_eq!(attendees(&portal).await, 0, "{settings:?}");
    }
    // Nor do two of them, or one that cannot be read.
    let portal = Portal::with(TRUSTED).await;
    let event = event(&portal).await;
    let (visitor, path) = (portal.visitor(), format!("/event/{event}"));
    let (one, other) = (static_web_apps("1", "octocat"), static_web_apps("2", "grace"));
    for principals in [&[&*one, &*other][..], &["e30="], &["%"], &[]] {
        let page = get(&visitor, &path, principals).await;
        assert!(page.all("form[action$='/gateway']").is_empty(), "{principals:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_and_the_state_of_the_event_hold_for_the_gateway_as_well() {
    let portal = Portal::with(TRUSTED).await;
    let event = event(&portal).await;
    let path = format!("/event/{event}");
    let (octocat, grace) = (static_web_apps("1", "octocat"), static_web_apps("2", "grace"));
    go_on(&portal.visitor(), &event, &octocat).await.redirects_to(&path);
    for (column, title) in [
        ("update event set registration = 'closed'", "Registration is closed"),
        ("update event set registration = 'github', active = 0", "The event is not open"),
    ] {
        sqlx::query(column).execute(portal.app.db.writer()).await.unwrap();
        let visitor = portal.visitor();
        let page = get(&visitor, &path, &[&grace]).await;
        assert!(page.all("form[action$='/gateway']").is_empty(), "{title}");
        let page = go_on(&visitor, &event, &grace).await;
        assert_eq!((page.status, page.text("h1")), (StatusCode::FORBIDDEN, title.to_owned()));
        let page = get(&portal.visitor(), &path, &[&octocat]).await;
        assert_eq!(page.all("form[action$='/gateway']").len(), 1, "{title}");
        go_on(&portal.visitor(), &event, &octocat).await.redirects_to(&path);
    }
    assert_eq!(attendees(&portal).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_at_the_gateway_changes_here() {
    let portal = Portal::with(TRUSTED).await;
    let event = event(&portal).await;
    let (visitor, path) = (portal.visitor(), format!("/event/{event}"));
    let (octocat, grace) = (static_web_apps("1", "octocat"), static_web_apps("2", "grace"));
    go_on(&visitor, &event, &octocat).await.redirects_to(&path);
    let page = get(&visitor, &path, &[&grace]).await;
    assert!(page.all("#key").is_empty(), "{}", page.body);
    assert!(page.all("button").contains(&"Continue as grace".to_owned()));
    assert_eq!(get(&visitor, &path, &[&octocat]).await.all("#key").len(), 1);
    go_on(&visitor, &event, &grace).await.redirects_to(&path);
    assert_eq!(get(&visitor, &path, &[&grace]).await.text("main > p strong"), "grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_cannot_join_for_somebody() {
    let portal = Portal::with(TRUSTED).await;
    let event = event(&portal).await;
    let visitor = portal.visitor();
    let request = visitor.client.post(format!("{}/event/{event}/gateway", visitor.url));
    let request = request.header(ORIGIN, "https://evil.example");
    let request = request.header("sec-fetch-site", "cross-site");
    let request = request.header(PRINCIPAL, static_web_apps("1", "octocat"));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(attendees(&portal).await, 0);
}
