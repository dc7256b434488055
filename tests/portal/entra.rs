//! Signing in with Microsoft, where it works.

use ai_proxy::catalog::owner::{self, Role, manage};
use ai_proxy::clock::now_ms;
use http::StatusCode;
use http::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};

use crate::harness::{PASSWORD, Page, Portal, Visitor};
use crate::microsoft::provider::{CLIENT_SECRET, Key, TENANT};
use crate::microsoft::{BEGIN, Site, ada, eve};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_the_settings_name_becomes_an_owner_and_goes_where_they_wanted() {
    let site = Site::of(ada()).await;
    let visitor = site.portal.visitor();
    let page = visitor.get("/admin/sign-in?next=%2Fadmin%2Faudit%3Fbefore%3D1%262").await;
    let link = page.attribute("a#entra", "href").unwrap();
    visitor.sign_in_with_microsoft(&link).await.redirects_to("/admin/audit?before=1&2");
    assert_eq!(visitor.get("/admin").await.text(".who"), "Ada Lovelace");
    let ada = owner::find(&site.portal.app.db, "Ada Lovelace").await.unwrap().unwrap();
    assert_eq!(ada.role, Role::Owner);
    let audit = visitor.get("/admin/audit").await;
    assert!(audit.text("tbody").contains("became owner"), "{}", audit.body);

    let elsewhere = site.portal.visitor();
    elsewhere.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    assert_eq!(site.owners().await, 1, "it is the same owner");
    let account = elsewhere.get("/admin/account").await;
    assert!(account.body.contains("You have no password."), "{}", account.body);
    assert!(account.attributes("form", "action").iter().all(|to| !to.ends_with("password")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_like_another_owners_opens_nothing_of_theirs() {
    let site = Site::of(ada()).await;
    let other = owner::local(&site.portal.app.db, "Ada Lovelace", now_ms()).await.unwrap();
    let visitor = site.portal.visitor();
    visitor.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    assert_eq!(visitor.get("/admin").await.text(".who"), "Ada Lovelace 2");
    let made = owner::find(&site.portal.app.db, "Ada Lovelace 2").await.unwrap().unwrap();
    assert_ne!(made.id, other.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_invited_takes_the_link_with_their_account_and_signs_in_by_it() {
    let site = Site::of(eve()).await;
    let admin = site.portal.administrator("Grace").await;
    let page = admin.post_and_follow("/admin/owners", &[("name", "Eve of Maths")]).await;
    let link = page.text("#flash-secret")[admin.url.len()..].to_owned();

    let visitor = site.portal.visitor();
    let begin = visitor.get(&link).await.attribute("a#entra", "href").unwrap();
    visitor.sign_in_with_microsoft(&begin).await.redirects_to("/admin");
    assert_eq!(visitor.get("/admin").await.text(".who"), "Eve of Maths");
    assert_eq!(visitor.get(&link).await.status, StatusCode::GONE);
    assert_eq!(visitor.get(&begin).await.status, StatusCode::GONE);
    let elsewhere = site.portal.visitor();
    elsewhere.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    let rows = admin.get("/admin/owners").await.all("tbody tr");
    let row = rows.iter().find(|row| row.starts_with("Eve of Maths")).unwrap();
    assert!(row.contains("active signs in with Microsoft"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_one_owners_and_a_new_link_moves_an_owner_to_another_account() {
    let site = Site::of(ada()).await;
    let first = site.portal.visitor();
    first.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    site.portal.owner("Bob").await;
    let link = owner::link::reset(&site.portal.app.db, "Bob", now_ms()).await.unwrap().url("");
    let begin = format!("{link}/entra");

    let refused = site.portal.visitor().sign_in_with_microsoft(&begin).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("already signs in as Ada Lovelace"), "{}", refused.body);

    site.now_is(eve());
    site.portal.visitor().sign_in_with_microsoft(&begin).await.redirects_to("/admin");
    let link =
        owner::link::reset(&site.portal.app.db, "Ada Lovelace", now_ms()).await.unwrap().url("");
    let mut bea = eve();
    bea.object = "00000000-0000-4000-8000-00000000bea1".to_owned();
    site.now_is(bea);
    let visitor = site.portal.visitor();
    visitor.sign_in_with_microsoft(&format!("{link}/entra")).await.redirects_to("/admin");
    assert_eq!(visitor.get("/admin").await.text(".who"), "Ada Lovelace");
    // Who was signed in by the account before is out, as after a new password.
    first.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_and_links_that_are_over_do_not_lead_to_microsoft() {
    let site = Site::of(ada()).await;
    let (link, visitor) = (site.portal.first_link().await, site.portal.visitor());
    assert!(visitor.get(&link).await.all("a#entra").is_empty());
    assert_eq!(visitor.get(&format!("{link}/entra")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(visitor.get("/admin/setup/0000/entra").await.status, StatusCode::GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_before_ends_and_the_ticket_is_for_this_site_and_gone() {
    let site = Site::of(ada()).await;
    let visitor = site.portal.administrator("Grace").await;
    let before = visitor.session().unwrap();
    let away = visitor.get(BEGIN).await;
    let ticket = away.headers[SET_COOKIE].to_str().unwrap();
    for part in ["ai-proxy-entra=v1.", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(ticket.contains(part), "{ticket}");
    }
    let back = visitor.sign_in_with_microsoft(BEGIN).await;
    back.redirects_to("/admin");
    let mut cookies = back.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    assert!(cookies.any(|cookie| cookie.starts_with("ai-proxy-entra=;")), "{:?}", back.headers);
    assert_ne!(visitor.session().unwrap(), before);
    visitor
        .jar
        .add_cookie_str(&format!("ai-proxy-session={before}"), &visitor.url.parse().unwrap());
    visitor.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_leads_to_the_public_url_and_on_to_no_other_site() {
    let settings = ["--public-url", "https://proxy.example/"];
    let site = Site::with(ada(), TENANT, CLIENT_SECRET, &settings).await;
    let away = site.portal.visitor().get(BEGIN).await;
    let there: url::Url = away.headers[LOCATION].to_str().unwrap().parse().unwrap();
    let redirect = there.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1;
    assert_eq!(redirect, "https://proxy.example/admin/sign-in/entra/callback");
    assert!(there.path().starts_with(&format!("/{TENANT}/")), "{there}");

    let site = Site::of(ada()).await;
    let long = format!("/admin/{}", "x".repeat(2000));
    for next in ["//evil.example", "https://evil.example/admin", "/admin/../..\\evil", &long] {
        let path = format!("{BEGIN}?next={next}");
        site.portal.visitor().sign_in_with_microsoft(&path).await.redirects_to("/admin");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_tenants_each_persons_own_is_the_issuer() {
    let other = "aaaaaaaa-0000-4000-8000-00000000000a";
    let site = Site::with(ada(), &format!("{TENANT},{other}"), CLIENT_SECRET, &[]).await;
    site.portal.visitor().sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    // The same object id in another tenant is another person.
    let mut twin = ada();
    twin.tenant = other.to_owned();
    site.now_is(twin);
    let refused = site.portal.visitor().sign_in_with_microsoft(BEGIN).await;
    assert_eq!(refused.text("h1"), "You are not an owner here");
    let mut foreign = ada();
    foreign.tenant = "bbbbbbbb-0000-4000-8000-00000000000b".to_owned();
    site.now_is(foreign.clone());
    let refused = site.portal.visitor().sign_in_with_microsoft(BEGIN).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.text("h1"), "Your organisation is not let in");
    assert_eq!(refused.text("#account"), format!("{}/{}", foreign.tenant, foreign.object));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_entra_has_changed_are_fetched_and_not_for_every_strange_one() {
    let site = Site::of(ada()).await;
    let sign_in = || async { site.portal.visitor().sign_in_with_microsoft(BEGIN).await };
    let fetched = || site.entra.script.lock().fetched;
    sign_in().await.redirects_to("/admin");
    sign_in().await.redirects_to("/admin");
    assert_eq!(fetched(), 1);
    site.entra.script.lock().keys = vec![Key::new("second")];
    sign_in().await.redirects_to("/admin");
    assert_eq!(fetched(), 2);
    site.entra.script.lock().sign = Box::new(|_, claims| Key::new("never published").sign(claims));
    for _ in 0..3 {
        assert_eq!(sign_in().await.status, StatusCode::BAD_GATEWAY);
    }
    assert_eq!(fetched(), 2, "it was asked a moment ago");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_settings_there_is_no_such_way() {
    let portal = Portal::start().await;
    let visitor = portal.visitor();
    assert!(visitor.get("/admin/sign-in").await.all("a#entra").is_empty());
    for path in [BEGIN, "/admin/sign-in/entra/callback?state=a&code=b"] {
        assert_eq!(visitor.get(path).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_passwords_are_switched_off_microsoft_is_the_only_way_in() {
    let settings = ["--password-sign-in", "false"];
    let site = Site::with(ada(), TENANT, CLIENT_SECRET, &settings).await;
    // The link of the server's operator opens still: there must be a way to begin.
    let link = site.portal.first_link().await;
    let grace = site.portal.visitor();
    let page = grace.get(&link).await;
    assert!(page.body.contains("make yourself a new link under Owners"), "{}", page.body);
    let fields = [("name", "Grace"), ("password", PASSWORD), ("again", PASSWORD)];
    grace.post(&link, &fields).await.redirects_to("/admin");

    let page = grace.get("/admin/account").await;
    assert!(page.all("[type=password]").is_empty(), "{}", page.body);
    let typed = [("current", PASSWORD), ("password", "a dozen new kites"), ("again", PASSWORD)];
    let refused = grace.post("/admin/account/password", &typed).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);

    let stranger = site.portal.visitor();
    let page = stranger.get("/admin/sign-in").await;
    assert!(page.all("[type=password]").is_empty(), "{}", page.body);
    assert_eq!(page.text("a#entra"), "Sign in with Microsoft");
    let refused = stranger.sign_in("Grace", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.text(".flash"), "Signing in with a password is switched off here.");

    let page = stranger.get("/admin/sign-in/entra/callback?state=a&code=b").await;
    assert!(!page.body.contains("with a password"), "{}", page.body);

    let page = grace.post_and_follow("/admin/owners", &[("name", "Ada")]).await;
    let invited = page.text("#flash-secret")[grace.url.len()..].to_owned();
    let page = stranger.get(&invited).await;
    assert!(page.all("[type=password]").is_empty(), "{}", page.body);
    let refused = stranger.post(&invited, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let begin = page.attribute("a#entra", "href").unwrap();
    stranger.sign_in_with_microsoft(&begin).await.redirects_to("/admin");
    assert_eq!(stranger.get("/admin").await.text(".who"), "Ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_with_microsoft_ends_what_was_there_before() {
    let site = Site::of(eve()).await;
    let before = site.portal.owner("Bob").await;
    before.post("/admin/tokens", &[("name", "CI"), ("days", "90")]).await;
    // What was begun before does not come back afterwards.
    let page = before.post("/admin/account/microsoft", &[]).await;
    let adding = page.attribute("a#entra", "href").unwrap();
    let link = owner::link::reset(&site.portal.app.db, "Bob", now_ms()).await.unwrap().url("");
    let bob = site.portal.visitor();
    let page = bob.get(&link).await;
    let hint = page.text(".hint:not(.field *)");
    assert!(hint.contains("with Microsoft here removes your password"), "{hint}");
    bob.sign_in_with_microsoft(&format!("{link}/entra")).await.redirects_to("/admin");

    before.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
    let account = bob.get("/admin/account").await;
    assert!(account.body.contains("No program acts for you."), "{}", account.body);
    assert!(account.body.contains("You have no password."), "{}", account.body);
    let refused = site.portal.visitor().sign_in("Bob", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let back = before.back_from_microsoft(&adding).await;
    is_not_added(&before.get(&back).await, "your sign-in here ended");
}

#[track_caller]
fn is_not_added(page: &Page, words: &str) {
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
    assert_eq!(page.text("h1"), "No account was added");
    assert!(page.text("main").contains(words), "{words}: {}", page.body);
    assert_eq!(page.attribute("main a", "href").as_deref(), Some("/admin/account"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_with_a_password_leaves_no_microsoft_account() {
    let site = Site::of(eve()).await;
    site.portal.administrator("Grace").await;
    // Whoever found Bob's password has added an account of theirs.
    let thief = site.portal.owner("Bob").await;
    let adding = add_account(&thief).await;
    thief.get(&adding).await.redirects_to("/admin/account");
    let link = owner::link::reset(&site.portal.app.db, "Bob", now_ms()).await.unwrap().url("");
    let bob = site.portal.visitor();
    let hint = bob.get(&link).await.text(".hint:not(.field *)");
    assert!(hint.contains("A new password also removes any Microsoft account"), "{hint}");
    let new = "another dozen of kites";
    bob.post(&link, &[("password", new), ("again", new)]).await.redirects_to("/admin");

    let refused = thief.sign_in_with_microsoft(BEGIN).await;
    assert_eq!(refused.text("h1"), "You are not an owner here");
    thief.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
    let audit = bob.get("/admin/audit").await.text("tbody");
    assert!(audit.contains("Bob (removed their Microsoft account)"), "{audit}");
    assert!(bob.get("/admin/account").await.body.contains("Add a Microsoft account"));

    // The last administrator who has a password has one afterwards as well.
    let link = owner::link::reset(&site.portal.app.db, "Grace", now_ms()).await.unwrap().url("");
    site.portal.visitor().post(&link, &[("password", new), ("again", new)]).await;
    site.portal.visitor().sign_in("Grace", new).await.redirects_to("/admin");
}

/// Begins to add an account and signs in at Microsoft: where that sends the browser back to.
async fn add_account(visitor: &Visitor) -> String {
    let page = visitor.post("/admin/account/microsoft", &[]).await;
    visitor.back_from_microsoft(&page.attribute("a#entra", "href").expect(&page.body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_added_only_in_the_session_that_asked() {
    let site = Site::of(eve()).await;
    let has_account = async || {
        let listed = manage::list(&site.portal.app.db).await.unwrap();
        listed.iter().any(|it| it.has_entra)
    };
    let bob = site.portal.owner("Bob").await;
    // Signed out meanwhile, then signed in again.
    let back = add_account(&bob).await;
    bob.post("/admin/sign-out", &[]).await;
    is_not_added(&bob.get(&back).await, "your sign-in here ended");
    assert_eq!(bob.session(), None, "nobody is signed in");
    bob.sign_in("Bob", PASSWORD).await.redirects_to("/admin");
    let back = add_account(&bob).await;
    bob.sign_in("Bob", PASSWORD).await.redirects_to("/admin");
    is_not_added(&bob.get(&back).await, "your sign-in here ended");

    // The ticket in a browser of nobody's, and in another one of Bob's.
    for signs_in in [false, true] {
        let back = add_account(&bob).await;
        let other = site.portal.visitor();
        if signs_in {
            other.sign_in("Bob", PASSWORD).await.redirects_to("/admin");
        }
        let session = other.session();
        let kept = {
            use reqwest::cookie::CookieStore;
            bob.jar.cookies(&bob.url.parse().unwrap()).unwrap()
        };
        for cookie in kept.to_str().unwrap().split("; ") {
            if cookie.starts_with("ai-proxy-entra=") {
                other.jar.add_cookie_str(cookie, &other.url.parse().unwrap());
            }
        }
        is_not_added(&other.get(&back).await, "your sign-in here ended");
        assert_eq!(other.session(), session);
    }

    // The password was changed here, or the account is being added in another window.
    let back = add_account(&bob).await;
    let new = "another dozen of kites";
    let fields = [("current", PASSWORD), ("password", new), ("again", new)];
    bob.post("/admin/account/password", &fields).await.redirects_to("/admin/account");
    is_not_added(&bob.get(&back).await, "or your password was changed");
    site.entra.script.lock().error = Some(("access_denied", "they changed their mind"));
    let back = add_account(&bob).await;
    is_not_added(&bob.get(&back).await, "was cancelled");
    site.entra.script.lock().error = None;
    assert!(!has_account().await);

    let (back, before) = (add_account(&bob).await, bob.session());
    bob.get(&back).await.redirects_to("/admin/account");
    assert!(has_account().await);
    assert_eq!(bob.session(), before, "the session stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_account_is_added_where_microsoft_could_not_send_the_browser_back() {
    let site = Site::of(eve()).await;
    let bob = site.portal.owner("Bob").await;
    let asked = bob.client.post(format!("{}/admin/account/microsoft", bob.url));
    let asked = asked.header(HOST, "proxy.example").header(ORIGIN, "http://proxy.example");
    let cookie = format!("ai-proxy-session={}", bob.session().unwrap());
    let asked = asked.header(COOKIE, cookie).form::<[(&str, &str)]>(&[]);
    let refused = Page::read(asked.send().await.unwrap()).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert!(refused.body.contains("cannot confirm the address"), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_adds_an_account_and_keeps_the_password_and_all_else() {
    let site = Site::of(eve()).await;
    let bob = site.portal.owner("Bob").await;
    let elsewhere = site.portal.visitor();
    elsewhere.sign_in("Bob", PASSWORD).await.redirects_to("/admin");
    bob.post("/admin/tokens", &[("name", "CI"), ("days", "90")]).await;
    let page = bob.post("/admin/account/microsoft", &[]).await;
    let there = page.attribute("a#entra", "href").unwrap();
    // It is no link for anybody, and adds an account once.
    let back = bob.back_from_microsoft(&there).await;
    bob.get(&back).await.redirects_to("/admin/account");
    assert_ne!(bob.get(&back).await.status, StatusCode::SEE_OTHER);
    let account = bob.get("/admin/account").await;
    assert!(account.body.contains("or with this password"), "{}", account.body);
    assert!(account.body.contains("There is one token"), "{}", account.body);
    assert_eq!(elsewhere.get("/admin").await.status, StatusCode::OK);
    site.portal.visitor().sign_in("Bob", PASSWORD).await.redirects_to("/admin");
    let listed = manage::list(&site.portal.app.db).await.unwrap();
    assert!(listed.iter().any(|it| it.owner.name == "Bob" && it.has_entra && it.has_password));
}
