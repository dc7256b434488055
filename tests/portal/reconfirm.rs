//! What a browser that was left alone does not give away, where its owner has no password: they sign
//! in with Microsoft again.

use ai_proxy::catalog::owner::{self, manage};
use ai_proxy::clock::now_ms;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};

use crate::confirm::{asking, asks, sorted};
use crate::harness::{PASSWORD, Page, Visitor};
use crate::microsoft::provider::{CLIENT_SECRET, TENANT};
use crate::microsoft::{BEGIN, Site, ada, eve};

const MINUTE: i64 = 60_000;
const TOKENS: &str = "/admin/tokens";
const TOKEN: [(&str, &str); 2] = [("name", "CI & more"), ("days", "90")];

/// A browser in which Ada has signed in with Microsoft.
async fn signed_in(site: &Site) -> Visitor {
    let visitor = site.portal.visitor();
    visitor.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    visitor
}

/// Sends the form of the page at which a form waits.
async fn send_it(visitor: &Visitor, back: &Page) -> Page {
    assert_eq!(back.status, StatusCode::SEE_OTHER, "{}", back.body);
    let page = visitor.get(back.headers[LOCATION].to_str().unwrap()).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    visitor.post(&page.attribute("main form", "action").unwrap(), &[]).await
}

async fn tokens(visitor: &Visitor) -> usize {
    visitor.get(TOKENS).await.all("tbody tr").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_form_that_asks_for_a_password_asks_microsoft_where_there_is_none() {
    let site = Site::of(ada()).await;
    let visitor = signed_in(&site).await;
    site.portal.administrator("Grace").await;
    let name = "Ada Lovelace";
    let found = owner::find(&site.portal.app.db, name).await.unwrap().unwrap();
    let by = found.actor(now_ms());
    manage::set_role(&site.portal.app.db, &by, &found, owner::Role::Administrator).await.unwrap();
    assert_eq!(asking(&visitor).await, sorted());
    let asked = visitor.post(TOKENS, &TOKEN).await;
    assert!(asks(&asked) && asked.all("[type=password]").is_empty(), "{}", asked.body);
    assert!(!asked.body.contains("CI &amp; more"), "what was typed is in no page");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_sent_once_microsoft_has_asked_and_more_follow_for_ten_minutes() {
    let site = Site::of(ada()).await;
    let visitor = signed_in(&site).await;
    let before = visitor.session();
    let back = visitor.confirm_with_microsoft(&visitor.post(TOKENS, &TOKEN).await).await;
    assert_eq!(tokens(&visitor).await, 0, "nothing is done before it is said what");
    assert_eq!(visitor.session(), before, "the session stays");
    let page = visitor.get(back.headers[LOCATION].to_str().unwrap()).await;
    assert!(page.text("main .card").contains("make an API token"), "{}", page.body);
    assert_eq!(page.attributes("form", "data-send"), [""; 0], "it is not sent by itself");
    send_it(&visitor, &back).await.redirects_to(TOKENS);
    assert!(visitor.get(TOKENS).await.flash().starts_with("The token CI & more is made."));
    // It was sent: not twice.
    let again = visitor.get(back.headers[LOCATION].to_str().unwrap()).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    site.portal.pass(9 * MINUTE);
    visitor.post(TOKENS, &[("name", "Another"), ("days", "90")]).await.redirects_to(TOKENS);
    site.portal.pass(MINUTE + 1);
    assert!(asks(&visitor.post(TOKENS, &TOKEN).await));
}

#[track_caller]
fn is_unconfirmed(page: &Page, words: &str) {
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
    assert_eq!(page.text("h1"), "Not confirmed");
    assert!(page.text("main").contains(words), "{words}: {}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_must_be_said_that_they_signed_in_within_five_minutes() {
    let site = Site::of(ada()).await;
    let visitor = signed_in(&site).await;
    let now = jiff::Timestamp::now().as_second();
    for (value, words) in [
        (Value::Null, "add the optional claim auth_time"),
        (json!("now"), "add the optional claim auth_time"),
        (json!(now - 420), "within the last five minutes"),
        (json!(now + 120), "within the last five minutes"),
        (json!(0), "within the last five minutes"),
    ] {
        let claim = value.clone();
        site.entra.script.lock().alter =
            Box::new(move |claims| claims["auth_time"] = claim.clone());
        let asked = visitor.post(TOKENS, &TOKEN).await;
        let page = visitor.confirm_with_microsoft(&asked).await;
        is_unconfirmed(&page, words);
        // The form still waits, and asks again.
        let waiting = visitor.get(&page.attribute("main a", "href").unwrap()).await;
        let action = waiting.attribute("main form", "action").unwrap();
        assert!(asks(&visitor.post(&action, &[]).await), "{value}");
    }
    // Clocks differ a little.
    for seconds in [-50, 330] {
        site.entra.script.lock().alter =
            Box::new(move |claims| claims["auth_time"] = json!(now - seconds));
        let visitor = signed_in(&site).await;
        let name = format!("CI {seconds}");
        let asked = visitor.post(TOKENS, &[("name", &*name), ("days", "90")]).await;
        let back = visitor.confirm_with_microsoft(&asked).await;
        send_it(&visitor, &back).await.redirects_to(TOKENS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owners_own_account_confirms_and_nobody_becomes_an_owner_by_it() {
    let site = Site::of(ada()).await;
    let visitor = signed_in(&site).await;
    site.now_is(eve());
    let page = visitor.confirm_with_microsoft(&visitor.post(TOKENS, &TOKEN).await).await;
    is_unconfirmed(&page, "another account than the one that is yours");
    assert_eq!(site.owners().await, 1);
    assert_eq!(visitor.get("/admin").await.text(".who"), "Ada Lovelace");
    // Nor another owner's.
    let grace = site.portal.owner("Grace").await;
    let adding = grace.post("/admin/account/microsoft", &[]).await;
    let back = grace.back_from_microsoft(&adding.attribute("a#entra", "href").unwrap()).await;
    grace.get(&back).await.redirects_to("/admin/account");
    let page = visitor.confirm_with_microsoft(&visitor.post(TOKENS, &TOKEN).await).await;
    is_unconfirmed(&page, "another account than the one that is yours");
    assert!(asks(&visitor.post(TOKENS, &TOKEN).await));
    let page = visitor.get("/admin/audit/sign-ins?only=failed").await;
    let row = page.text("tbody tr");
    assert!(row.contains("somebody else where it is asked for again"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_is_good_once_in_the_session_that_left() {
    let site = Site::of(ada()).await;
    let visitor = signed_in(&site).await;
    let back = visitor.sign_in_again(&visitor.post(TOKENS, &TOKEN).await).await;
    let page = signed_in(&site).await.get(&back).await;
    assert_eq!((page.status, &*page.text("h1")), (StatusCode::BAD_REQUEST, "Start again"));
    visitor.get(&back).await;
    let page = visitor.get(&back).await;
    assert_eq!((page.status, &*page.text("h1")), (StatusCode::BAD_REQUEST, "Start again"));

    // Another session in the same browser: it was signed out while at Microsoft.
    let visitor = signed_in(&site).await;
    let back = visitor.sign_in_again(&visitor.post(TOKENS, &TOKEN).await).await;
    let session = visitor.session().unwrap();
    visitor.post("/admin/sign-out", &[]).await;
    is_unconfirmed(&visitor.get(&back).await, "You signed out here, or signed in again");
    visitor
        .jar
        .add_cookie_str(&format!("ai-proxy-session={session}"), &visitor.url.parse().unwrap());
    visitor.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");

    let visitor = signed_in(&site).await;
    let asked = visitor.post(TOKENS, &TOKEN).await;
    let back = visitor.sign_in_again(&asked).await;
    let ticket = {
        use reqwest::cookie::CookieStore;
        visitor.jar.cookies(&visitor.url.parse().unwrap()).unwrap()
    };
    let other = signed_in(&site).await;
    for cookie in ticket.to_str().unwrap().split("; ") {
        if cookie.starts_with("ai-proxy-entra=") {
            other.jar.add_cookie_str(cookie, &other.url.parse().unwrap());
        }
    }
    is_unconfirmed(&other.get(&back).await, "You signed out here, or signed in again");
    assert!(asks(&other.post(TOKENS, &TOKEN).await));
    // A sign-in confirms nothing: Microsoft may have asked for nothing.
    other.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    assert!(asks(&other.post(TOKENS, &TOKEN).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_without_a_password_moves_to_another_account_after_confirming() {
    let site = Site::of(ada()).await;
    let visitor = signed_in(&site).await;
    let account = visitor.get("/admin/account").await;
    let form = "form[action='/admin/account/microsoft']";
    assert_eq!(account.text(form), "Change the Microsoft account");
    let asked = visitor.post("/admin/account/microsoft", &[]).await;
    let back = visitor.confirm_with_microsoft(&asked).await;
    let page = send_it(&visitor, &back).await;
    site.now_is(eve());
    let back = visitor.back_from_microsoft(&page.attribute("a#entra", "href").unwrap()).await;
    visitor.get(&back).await.redirects_to("/admin/account");
    let eve = site.portal.visitor();
    eve.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    assert_eq!(eve.get("/admin").await.text(".who"), "Ada Lovelace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_cancelled_leaves_the_form_waiting() {
    let site = Site::of(ada()).await;
    let visitor = signed_in(&site).await;
    let asked = visitor.post(TOKENS, &TOKEN).await;
    site.entra.script.lock().error = Some(("access_denied", "they changed their mind"));
    let away = visitor.get(&asked.attribute("a#entra", "href").unwrap()).await;
    let back = visitor.back_from_microsoft(away.headers[LOCATION].to_str().unwrap()).await;
    let page = visitor.get(&back).await;
    is_unconfirmed(&page, "was cancelled");
    let waiting = visitor.get(&page.attribute("main a", "href").unwrap()).await;
    assert_eq!(waiting.status, StatusCode::OK, "{}", waiting.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_show_it_in_no_way_is_told_whom_to_ask_and_has_the_rest() {
    let settings = ["--password-sign-in", "false"];
    let site = Site::with(ada(), TENANT, CLIENT_SECRET, &settings).await;
    let grace = site.portal.administrator("Grace").await;
    // The link of whoever runs the server is good for ten minutes, as a password is.
    grace.post("/admin/owners", &[("name", "Bob")]).await.redirects_to("/admin/owners");
    site.portal.pass(10 * MINUTE + 1);
    let refused = grace.post("/admin/owners", &[("name", "Eve")]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert!(refused.body.contains("ai-proxy owner reset"), "{}", refused.body);
    let answered = [("held", "0"), ("password", PASSWORD)];
    assert_eq!(grace.post("/admin/owners", &answered).await.status, StatusCode::CONFLICT);
    let event = grace.post("/admin/events/new", &[("name", "")]).await;
    assert_ne!(event.status, StatusCode::CONFLICT);
    // The way out of it.
    let now = site.portal.app.clock.now_ms();
    let link = owner::link::reset(&site.portal.app.db, "Grace", now).await.unwrap().url("");
    let begin = format!("{link}/entra");
    grace.sign_in_with_microsoft(&begin).await.redirects_to("/admin");
    assert!(asks(&grace.post("/admin/owners", &[("name", "Eve")]).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_confirms_nothing_where_passwords_are_switched_off() {
    let settings = ["--password-sign-in", "false"];
    let site = Site::with(eve(), TENANT, CLIENT_SECRET, &settings).await;
    let grace = site.portal.administrator("Grace").await;
    let page = grace.post("/admin/account/microsoft", &[]).await;
    let back = grace.back_from_microsoft(&page.attribute("a#entra", "href").unwrap()).await;
    grace.get(&back).await.redirects_to("/admin/account");
    site.portal.pass(10 * MINUTE + 1);
    let asked = grace.post("/admin/owners", &[("name", "Bob")]).await;
    let held = held_by(&asked.attribute("a#entra", "href").unwrap());
    let refused = grace.post("/admin/owners", &[("held", &held), ("password", PASSWORD)]).await;
    assert_ne!(refused.status, StatusCode::SEE_OTHER);
    assert!(refused.body.contains("with a password is switched off here"), "{}", refused.body);
    assert_eq!(site.owners().await, 1);
    assert!(asks(&grace.post("/admin/owners", &[("name", "Bob")]).await), "it confirmed nothing");
}

/// The id of the form that waits, from the link to Microsoft.
fn held_by(link: &str) -> String {
    link.split_once("held=").unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn microsoft_is_asked_only_for_owners_without_a_password_and_for_a_form_of_theirs() {
    let site = Site::of(ada()).await;
    let ada = signed_in(&site).await;
    let asked = ada.post(TOKENS, &TOKEN).await;
    let path = asked.attribute("a#entra", "href").unwrap();
    // Bob has a password, and an account as well.
    let bob = site.portal.owner("Bob").await;
    site.now_is(eve());
    let page = bob.post("/admin/account/microsoft", &[]).await;
    let back = bob.back_from_microsoft(&page.attribute("a#entra", "href").unwrap()).await;
    bob.get(&back).await.redirects_to("/admin/account");
    site.portal.pass(10 * MINUTE + 1);
    let asked = bob.post(TOKENS, &TOKEN).await;
    let held = asked.attribute("[name=held]", "value").unwrap();
    let refused = bob.get(&format!("/admin/confirm?held={held}")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert!(refused.body.contains("Microsoft is not how you confirm"), "{}", refused.body);

    // Ada's own form has expired, and Bob's is none of hers: the page of it says so.
    for held in [held_by(&path), held, "0000".to_owned()] {
        let away = ada.get(&format!("/admin/confirm?held={held}")).await;
        away.redirects_to(&format!("/admin/held/{held}"));
        let page = ada.get(&format!("/admin/held/{held}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{}", page.body);
    }
}
