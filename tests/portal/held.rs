//! A form that is sent after its sign-in has ended: it is kept, and sent once its owner has signed
//! in again.

use ai_proxy::catalog::owner;
use ai_proxy::clock::day_of;
use futures_util::future::join_all;
use http::header::{CONTENT_TYPE, ORIGIN, REFERER};
use http::{Method, StatusCode};

use crate::confirm::asks;
use crate::harness::{PASSWORD, Page, Portal, Visitor};
use crate::microsoft::{self, BEGIN, Site};

const MINUTE: i64 = 60_000;
const NEW: &str = "/admin/events/new";

/// Each POST whose form is kept; the others are buttons, or bring a file.
const KEPT: [&str; 12] = [
    "/admin/account/password",
    "/admin/backup/file",
    "/admin/events/new",
    "/admin/events/preview",
    "/admin/events/{id}",
    "/admin/events/{id}/attendees/cards.csv",
    "/admin/events/{id}/attendees/cards/again",
    "/admin/events/{id}/attendees/{attendee}/cap",
    "/admin/owners",
    "/admin/resources/new",
    "/admin/resources/test",
    "/admin/resources/{id}",
];

/// Those that bring a file.
const FILES: [&str; 2] = ["/admin/backup/restore", "/admin/events/{id}/attendees"];

fn event<'a>(name: &'a str, description: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("name", name),
        ("description", description),
        ("organizer_name", "Ada"),
        ("organizer_email", "ada@example.org"),
        ("start", "2030-01-01T09:00"),
        ("end", "2030-01-01T17:00"),
        ("time_zone", "UTC"),
        ("max_token_cap", "4096"),
        ("daily_request_cap", "1024"),
        ("requests_per_minute", "60"),
        ("shared_code", ""),
        ("shared_code_limit", "500"),
        ("registration", "closed"),
    ]
}

/// A portal, and a browser in which Ada has signed out.
async fn signed_out() -> (Portal, Visitor) {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    ada.post("/admin/sign-out", &[]).await.redirects_to("/admin/sign-in?out");
    (portal, ada)
}

/// The page where the form waits, by the page that asks to sign in.
fn next(page: &Page) -> String {
    let next = page.attribute("[name=next]", "value").unwrap_or_else(|| panic!("{}", page.body));
    assert!(next.starts_with("/admin/held/"), "{next}");
    next
}

async fn sign_in(visitor: &Visitor, name: &str, next: &str) -> Page {
    let fields = [("name", name), ("password", PASSWORD), ("next", next)];
    visitor.post("/admin/sign-in", &fields).await.redirects_to(next);
    visitor.get(next).await
}

async fn send_it(visitor: &Visitor, page: &Page) -> Page {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    visitor.post(&page.attribute("main form", "action").unwrap(), &[]).await
}

async fn events(visitor: &Visitor) -> Vec<String> {
    visitor.get("/admin/events").await.all("#events tbody th a")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_is_sent_once_its_owner_has_signed_in() {
    let (_portal, ada) = signed_out().await;
    // As a form, more than a visitor may send.
    let long = "Bring a laptop & a friend. €".repeat(280);
    let page = ada.post(NEW, &event("Typed at length", &long)).await;
    page.says_signed_out();
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(page.text("main").contains("this will save the event"), "{}", page.body);
    assert!(!page.body.contains("Bring a laptop") && !page.body.contains("Typed at length"));
    let next = next(&page);
    // A wrong password does not lose it.
    let fields = [("name", "Ada"), ("password", "another dozen kites"), ("next", &*next)];
    let wrong = ada.post("/admin/sign-in", &fields).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.attribute("[name=next]", "value").as_deref(), Some(&*next));
    assert!(wrong.text("main").contains("What was typed here is still kept."), "{}", wrong.body);

    let waiting = sign_in(&ada, "Ada", &next).await;
    assert!(events(&ada).await.is_empty());
    assert_eq!(waiting.attributes("form[data-send]", "action").len(), 1, "sent by itself");
    let saved = send_it(&ada, &waiting).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.body);
    assert_eq!(events(&ada).await, ["Typed at length"]);
    // Once.
    let again = send_it(&ada, &waiting).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert_eq!(again.text("h1"), "This form is no longer kept");
    assert_eq!(ada.get(&next).await.status, StatusCode::NOT_FOUND);
    assert_eq!(events(&ada).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_refused_then_is_shown_with_what_was_typed() {
    let (_portal, ada) = signed_out().await;
    let mut fields = event("Wrong zone", "Typed.");
    fields.retain(|(name, _)| *name != "time_zone");
    fields.push(("time_zone", "Mars"));
    let waiting = sign_in(&ada, "Ada", &next(&ada.post(NEW, &fields).await)).await;
    let page = send_it(&ada, &waiting).await;
    assert!(!page.problem("time_zone").is_empty());
    assert_eq!(page.attribute("#name", "value").as_deref(), Some("Wrong zone"));
    // What the form sends now is not what was kept, whatever the address.
    let action = waiting.attribute("main form", "action").unwrap();
    let answer = ada.post(&action, &event("Right zone", "Typed.")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(events(&ada).await, ["Right zone"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_others_changed_meanwhile_is_a_conflict_as_ever() {
    let portal = Portal::start().await;
    let (ada, phone) = (portal.administrator("Ada").await, portal.visitor());
    phone.sign_in("Ada", PASSWORD).await.redirects_to("/admin");
    ada.post(NEW, &event("Day one", "As it was.")).await;
    let link = ada.get("/admin/events").await.attribute("#events tbody a", "href").unwrap();
    let path = link.split(['?', '#']).next().unwrap();
    let path = &path[..path.match_indices('/').nth(3).map_or(path.len(), |(at, _)| at)];
    let base = ada.get(path).await.attribute("[name=base]", "value").unwrap();
    ada.post("/admin/sign-out", &[]).await;
    let mut typed = event("Day one", "Typed here.");
    typed.push(("base", &base));
    let kept = ada.post(path, &typed).await;
    let saved = phone.post(path, &event("Day one", "Typed on the phone.")).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.body);
    let waiting = sign_in(&ada, "Ada", &next(&kept)).await;
    let conflict = send_it(&ada, &waiting).await;
    assert_eq!(conflict.status, StatusCode::CONFLICT, "{}", conflict.body);
    assert!(conflict.body.contains("Typed here.") && conflict.body.contains("Typed on the phone."));
}

/// Somebody else's browser, with the cookie by which Ada's is known as hers.
fn with_a_stolen_cookie(portal: &Portal, ada: &Visitor) -> Visitor {
    let thief = portal.visitor();
    let cookie = format!("ai-proxy-browser={}", ada.cookie("ai-proxy-browser").unwrap());
    thief.jar.add_cookie_str(&cookie, &thief.url.parse().unwrap());
    thief
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_sent_in_the_browser_alone_that_it_was_typed_in() {
    let (portal, ada) = signed_out().await;
    let thief = with_a_stolen_cookie(&portal, &ada);
    let planted = next(&thief.post(NEW, &event("Planted", "")).await);
    let page = sign_in(&ada, "Ada", &planted).await;
    assert_eq!(
        (page.status, &*page.text("h1")),
        (StatusCode::NOT_FOUND, "This form is no longer kept")
    );
    let sent = ada.post(&format!("{NEW}?held={}", planted.rsplit('/').next().unwrap()), &[]).await;
    assert_eq!(sent.status, StatusCode::NOT_FOUND);
    assert_eq!(ada.post(&planted, &[]).await.status, StatusCode::NOT_FOUND, "nor discarded");
    assert!(events(&ada).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_send_it_at_once_send_it_once() {
    let (_portal, ada) = signed_out().await;
    let page = ada.post(NEW, &event("Once", "Hello")).await;
    let waiting = sign_in(&ada, "Ada", &next(&page)).await;
    let sent = join_all((0..8).map(|_| send_it(&ada, &waiting))).await;
    let saved = sent.iter().filter(|page| page.status == StatusCode::SEE_OTHER).count();
    assert_eq!(saved, 1, "{:?}", sent.iter().map(|page| page.status).collect::<Vec<_>>());
    assert_eq!(events(&ada).await, ["Once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_an_owners_access_drops_what_waits_for_them() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let grace = portal.owner("Grace").await;
    grace.post("/admin/sign-out", &[]).await;
    let waiting = next(&grace.post(NEW, &event("Before", "")).await);
    let id = owner::find(&portal.app.db, "Grace").await.unwrap().unwrap().id;
    for action in ["deactivate", "reactivate"] {
        ada.post(&format!("/admin/owners/{id}/{action}"), &[]).await.redirects_to("/admin/owners");
        // Of somebody who is deactivated nothing more is kept.
        if action == "deactivate" {
            grace.post(NEW, &event("Deactivated", "")).await.says_signed_out();
            let kept: i64 = sqlx::query_scalar("select count(*) from held_form")
                .fetch_one(portal.app.db.pool())
                .await
                .unwrap();
            assert_eq!(kept, 0);
        }
    }
    assert_eq!(sign_in(&grace, "Grace", &waiting).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_browser_sends_as_a_form_is_not_kept() {
    let (_portal, ada) = signed_out().await;
    let request = ada.client.post(format!("{}{NEW}", ada.url)).header(ORIGIN, &ada.url);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let page = Page::read(request.body("name=\u{1}\u{1}").send().await.unwrap()).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_owner_who_signs_in_there_does_not_send_it() {
    let (portal, ada) = signed_out().await;
    portal.owner("Bob").await;
    let kept = next(&ada.post(NEW, &event("Ada's", "Typed.")).await);
    let page = sign_in(&ada, "Bob", &kept).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(page.text("h1"), "Another owner's form");
    assert!(page.text("main").contains("You are signed in as Bob"), "{}", page.body);
    let id = kept.rsplit_once('/').unwrap().1;
    let page = ada.post(&format!("{NEW}?held={id}"), &[]).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(ada.post(&kept, &[]).await.status, StatusCode::NOT_FOUND, "nor discards it");
    assert!(events(&ada).await.is_empty());
    // Whoever typed it can still send it.
    ada.post("/admin/sign-out", &[]).await;
    let waiting = sign_in(&ada, "Ada", &kept).await;
    assert_eq!(send_it(&ada, &waiting).await.status, StatusCode::SEE_OTHER);
    assert_eq!(events(&ada).await, ["Ada's"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_kept_for_half_an_hour_and_for_its_own_path() {
    let (portal, ada) = signed_out().await;
    let kept = next(&ada.post(NEW, &event("Late", "Typed.")).await);
    let id = kept.rsplit_once('/').unwrap().1.to_owned();
    sign_in(&ada, "Ada", &kept).await;
    for other in ["/admin/resources/new", "/admin/events/preview", "/admin/account/password"] {
        let page = ada.post(&format!("{other}?held={id}"), &[]).await;
        assert_eq!(page.text("h1"), "This form is no longer kept", "{other}");
    }
    for forged in ["", "0", &"0".repeat(64)] {
        let page = ada.post(&format!("{NEW}?held={forged}"), &[]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{forged}");
    }
    portal.pass(30 * MINUTE);
    assert_eq!(ada.get(&kept).await.text("h1"), "This form is no longer kept");
    assert_eq!(ada.post(&format!("{NEW}?held={id}"), &[]).await.status, StatusCode::NOT_FOUND);
    assert!(events(&ada).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_sealed_in_the_store_and_moves_to_no_other_path_there() {
    let (portal, ada) = signed_out().await;
    let kept = next(&ada.post(NEW, &event("Secret name", "Typed.")).await);
    let db = &portal.app.db;
    let sealed: String = sqlx::query_scalar("select fields_sealed from held_form")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert!(sealed.starts_with("v1.") && !sealed.contains("Secret"));
    let id = kept.rsplit_once('/').unwrap().1;
    let ids: Vec<String> =
        sqlx::query_scalar("select id from held_form").fetch_all(db.pool()).await.unwrap();
    assert!(ids.iter().all(|stored| stored != id), "nobody who reads the store can send it");
    sqlx::query("update held_form set path = '/admin/resources/new'")
        .execute(db.writer())
        .await
        .unwrap();
    assert_eq!(sign_in(&ada, "Ada", &kept).await.text("h1"), "This form is no longer kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_discarded() {
    let (_portal, ada) = signed_out().await;
    let kept = next(&ada.post(NEW, &event("Not wanted", "Typed.")).await);
    let waiting = sign_in(&ada, "Ada", &kept).await;
    let actions = waiting.attributes("main form", "action");
    assert_eq!(actions[1], kept);
    let page = ada.post_and_follow(&actions[1], &[]).await;
    assert_eq!(page.flash(), "The form was discarded. Nothing was changed.");
    assert_eq!(ada.get(&kept).await.status, StatusCode::NOT_FOUND);
    assert!(events(&ada).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_confirmed_is_asked_about_after_signing_in() {
    let (portal, ada) = signed_out().await;
    let page = ada.post("/admin/owners", &[("name", "Mallory")]).await;
    page.says_signed_out();
    assert!(page.text("main").contains("you are asked whether to send it"), "{}", page.body);
    let waiting = sign_in(&ada, "Ada", &next(&page)).await;
    assert!(waiting.text("main .card").contains("make an account for another owner"));
    assert_eq!(waiting.attributes("form", "data-send"), [""; 0], "it is not sent by itself");
    // Later, the password is asked for as well.
    portal.pass(11 * MINUTE);
    let asked = send_it(&ada, &waiting).await;
    assert!(asks(&asked), "{}", asked.body);
    let held = asked.attribute("[name=held]", "value").unwrap();
    let fields = [("held", &*held), ("password", PASSWORD)];
    ada.post("/admin/owners", &fields).await.redirects_to("/admin/owners");
    assert!(ada.get("/admin/owners").await.flash().starts_with("Mallory is invited."));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_while_somebody_is_at_microsoft_to_sign_in() {
    let site = Site::of(microsoft::ada()).await;
    let ada = site.portal.visitor();
    ada.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    ada.post("/admin/sign-out", &[]).await;
    let page = ada.post(NEW, &event("After Microsoft", "Typed.")).await;
    page.says_signed_out();
    let link = page.attribute("a#entra", "href").unwrap();
    let back = ada.sign_in_with_microsoft(&link).await;
    back.redirects_to(&next(&page));
    let waiting = ada.get(&next(&page)).await;
    assert_eq!(send_it(&ada, &waiting).await.status, StatusCode::SEE_OTHER);
    assert_eq!(events(&ada).await, ["After Microsoft"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn these_forms_are_kept_and_a_button_is_pressed_again() {
    let (_portal, ada) = signed_out().await;
    let mut kept = Vec::new();
    for (method, path) in ai_proxy::portal::routes() {
        let is_visitors = ["/admin/sign-", "/admin/setup/"].iter().any(|it| path.starts_with(it));
        if method != Method::POST || !path.starts_with("/admin/") || is_visitors {
            continue;
        }
        let parts = path.split('/').map(|part| if part.starts_with('{') { "0" } else { part });
        let there = parts.collect::<Vec<_>>().join("/");
        let page = ada.post(&there, &[("name", "x")]).await;
        page.says_signed_out();
        if page.attribute("[name=next]", "value").is_some() {
            kept.push(path);
        } else {
            assert!(page.text("main").contains("press the button again"), "{path}: {}", page.body);
        }
        if FILES.contains(&kept.last().map_or("", String::as_str)) {
            panic!("{kept:?}");
        }
    }
    kept.sort();
    let mut expected = [KEPT.as_slice(), &["/admin/tokens"]].concat();
    expected.sort_unstable();
    assert_eq!(kept, expected);
    // A file cannot be kept.
    for path in FILES {
        let page = ada.upload(&path.replace("{id}", "0"), &[], b"file").await;
        page.says_signed_out();
        assert!(page.text("main").contains("choose files"), "{}", page.body);
    }
    // Signing in leads to the page that has the button.
    let url = format!("{}/admin/resources/0/delete", ada.url);
    for (from, next) in [
        (format!("{}/admin/resources?q=a", ada.url), "%2Fadmin%2Fresources%3Fq%3Da"),
        ("https://evil.example/elsewhere".to_owned(), "%2Fadmin"),
        ("nonsense".to_owned(), "%2Fadmin"),
    ] {
        let request = ada.client.post(&url).header(ORIGIN, &ada.url).header(REFERER, from);
        let page = Page::read(request.send().await.unwrap()).await;
        let link = page.attribute("a.primary", "href").unwrap();
        assert_eq!(link, format!("/admin/sign-in?next={next}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_for_a_stranger() {
    let (portal, ada) = signed_out().await;
    let stranger = portal.visitor();
    let count = || async {
        let count = sqlx::query_scalar("select count(*) from held_form");
        count.fetch_one(portal.app.db.pool()).await.unwrap()
    };
    let large = "x".repeat(500_000);
    let page = stranger.post(NEW, &event("Stranger's", &large)).await;
    page.says_signed_out();
    assert_eq!(page.attribute("a.primary", "href").as_deref(), Some("/admin/sign-in"));
    let id = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap().id;
    let today = day_of(portal.app.clock.now_ms());
    let forged = format!("{today}.{}.{}.{id}", "0".repeat(32), "0".repeat(64));
    for token in [&*forged, "1.2.3.4", "20000.0000.0000.0000", "...", ""] {
        stranger
            .jar
            .add_cookie_str(&format!("ai-proxy-browser={token}"), &stranger.url.parse().unwrap());
        stranger.post(NEW, &event("Stranger's", "")).await.says_signed_out();
    }
    let json = ada.client.post(format!("{}{NEW}", ada.url)).header(ORIGIN, &ada.url);
    let json = json.header(CONTENT_TYPE, "application/json").body("{}");
    Page::read(json.send().await.unwrap()).await.says_signed_out();
    // A script keeps what is typed in its page.
    let part = ada.client.post(format!("{}{NEW}", ada.url)).header(ORIGIN, &ada.url);
    let part = part.header("x-part", "1").form(&event("A part", ""));
    Page::read(part.send().await.unwrap()).await.says_signed_out();
    let count_now: i64 = count().await;
    assert_eq!(count_now, 0);

    // An owner's browser keeps a few, and none that is larger than a form may be.
    for number in 0..12 {
        let name = format!("Number {number}");
        ada.post(NEW, &event(&name, &large)).await.says_signed_out();
    }
    let kept: i64 = count().await;
    assert_eq!(kept, 8);
    let page = ada.post(NEW, &event("Huge", &"x".repeat(1_100_000))).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    // Not from another site.
    let request =
        ada.client.post(format!("{}{NEW}", ada.url)).header(ORIGIN, "https://evil.example");
    let page = Page::read(request.form(&event("Evil", "")).send().await.unwrap()).await;
    assert_eq!((page.status, &*page.text("h1")), (StatusCode::FORBIDDEN, "Not from here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_again_leaves_it_waiting() {
    let (_portal, ada) = signed_out().await;
    let kept = next(&ada.post(NEW, &event("Patient", "Typed.")).await);
    let waiting = sign_in(&ada, "Ada", &kept).await;
    ada.post("/admin/sign-out", &[]).await;
    let page = send_it(&ada, &waiting).await;
    page.says_signed_out();
    assert_eq!(next(&page), kept);
    let waiting = sign_in(&ada, "Ada", &kept).await;
    assert_eq!(send_it(&ada, &waiting).await.status, StatusCode::SEE_OTHER);
    assert_eq!(events(&ada).await, ["Patient"]);
}
