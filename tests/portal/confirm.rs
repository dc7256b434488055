//! What a browser that was left alone does not give away, where its owner has a password.

use http::{Method, StatusCode};

use crate::harness::{PASSWORD, Page, Portal, Visitor};

const MINUTE: i64 = 60_000;
const OWNERS: &str = "/admin/owners";
const INVITATION: [(&str, &str); 1] = [("name", "Bob & Söhne")];

/// Each POST that asks for the password; no other does.
pub const ASKS: [&str; 14] = [
    "/admin/account/microsoft",
    "/admin/tokens",
    "/admin/tokens/{id}/revoke",
    "/admin/backup/file",
    "/admin/backup/restore/{id}",
    "/admin/events/{id}/attendees/cards",
    "/admin/events/{id}/attendees/cards.csv",
    "/admin/events/{id}/attendees/cards/again",
    "/admin/events/{id}/attendees/{attendee}/key",
    OWNERS,
    "/admin/owners/{id}/link",
    "/admin/owners/{id}/role",
    "/admin/owners/{id}/deactivate",
    "/admin/owners/{id}/reactivate",
];

pub fn asks(page: &Page) -> bool {
    page.all("h1") == ["Confirm it is you"]
}

/// A portal, and a browser in which an administrator signed in some time ago.
async fn left_alone() -> (Portal, Visitor) {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    portal.pass(10 * MINUTE + 1);
    (portal, ada)
}

async fn answer(visitor: &Visitor, asked: &Page, password: &str) -> Page {
    let action = asked.attribute("main form", "action").unwrap();
    let held = asked.attribute("[name=held]", "value").unwrap();
    visitor.post(&action, &[("held", &held), ("password", password)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn these_ask_who_it_is_and_no_others() {
    let (_portal, ada) = left_alone().await;
    assert_eq!(asking(&ada).await, sorted());
}

/// Those that are [`ASKS`].
pub fn sorted() -> Vec<String> {
    let mut asks = ASKS.map(str::to_owned).to_vec();
    asks.sort();
    asks
}

/// Each POST that asks who it is, in this browser.
pub async fn asking(visitor: &Visitor) -> Vec<String> {
    let mut asking = Vec::new();
    for (method, path) in ai_proxy::portal::routes() {
        if method != Method::POST || !path.starts_with("/admin/") || path == "/admin/sign-out" {
            continue;
        }
        let parts = path.split('/').map(|part| if part.starts_with('{') { "0" } else { part });
        let page = visitor.post(&parts.collect::<Vec<_>>().join("/"), &[]).await;
        if asks(&page) {
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
            asking.push(path);
        }
    }
    asking.sort();
    asking
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_goes_on_once_the_password_is_right_and_more_follow_for_ten_minutes() {
    let (portal, ada) = left_alone().await;
    let asked = ada.post(OWNERS, &INVITATION).await;
    assert!(asks(&asked), "{}", asked.body);
    assert!(asked.text("main .card > p").contains("make an account for another owner"));
    let again = answer(&ada, &asked, "not the password").await;
    assert_eq!(again.problem("password"), "Your password is not right.");
    assert!(!ada.get(OWNERS).await.body.contains("Bob"));
    answer(&ada, &again, PASSWORD).await.redirects_to(OWNERS);
    assert!(ada.get(OWNERS).await.flash().starts_with("Bob & Söhne is invited."));
    portal.pass(9 * MINUTE);
    ada.post(OWNERS, &[("name", "Eve")]).await.redirects_to(OWNERS);
    portal.pass(MINUTE);
    assert!(asks(&ada.post(OWNERS, &[("name", "Mallory")]).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_the_password_there_is_throttled() {
    let (_portal, ada) = left_alone().await;
    let asked = ada.post(OWNERS, &INVITATION).await;
    for _ in 0..10 {
        answer(&ada, &asked, "not the password").await;
    }
    let page = answer(&ada, &asked, PASSWORD).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.headers.contains_key("retry-after"));
    assert!(!ada.get(OWNERS).await.body.contains("Bob"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_waits_is_kept_here_for_its_session_path_and_time_alone() {
    let (portal, ada) = left_alone().await;
    let passphrase = "a passphrase of theirs";
    let fields = [("passphrase", passphrase), ("again", passphrase)];
    let asked = ada.post("/admin/backup/file", &fields).await;
    assert!(asks(&asked) && !asked.body.contains("theirs"), "{}", asked.body);
    let held = asked.attribute("[name=held]", "value").unwrap();
    let fields = [("held", &*held), ("password", PASSWORD)];
    assert_eq!(ada.post("/admin/tokens", &fields).await.status, StatusCode::CONFLICT);
    let other = portal.visitor();
    other.sign_in("Ada", PASSWORD).await.redirects_to("/admin");
    assert_eq!(other.post("/admin/backup/file", &fields).await.status, StatusCode::CONFLICT);
    let forged = [("held", "v1.x.y"), ("password", PASSWORD)];
    assert_eq!(ada.post("/admin/backup/file", &forged).await.status, StatusCode::CONFLICT);
    portal.pass(10 * MINUTE);
    assert_eq!(ada.post("/admin/backup/file", &fields).await.status, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begun_before_the_column_was_there_is_asked() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    ada.post(OWNERS, &INVITATION).await.redirects_to(OWNERS);
    sqlx::query("update owner_session set confirmed_at = null")
        .execute(portal.app.db.writer())
        .await
        .unwrap();
    assert!(asks(&ada.post(OWNERS, &[("name", "Eve")]).await));
}
