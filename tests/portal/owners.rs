//! What administrators do with owners, and that nobody else does.

use ai_proxy::catalog::owner;
use http::StatusCode;

use crate::harness::{PASSWORD, Portal, Visitor};

const OWNERS: &str = "/admin/owners";

async fn id_of(portal: &Portal, name: &str) -> String {
    owner::find(&portal.app.db, name).await.unwrap().unwrap().id
}

async fn invite(ada: &Visitor, name: &str) -> String {
    let page = ada.post_and_follow(OWNERS, &[("name", name)]).await;
    assert!(page.flash().starts_with(&format!("{name} is invited. ")), "{}", page.flash());
    let link = page.text("#flash-secret");
    assert!(link.starts_with(&ada.url), "{link}");
    assert!(ada.get(OWNERS).await.all("#flash-secret").is_empty(), "it is shown once");
    link[ada.url.len()..].to_owned()
}

fn row(page: &crate::harness::Page, name: &str) -> String {
    let rows = page.all("tbody tr");
    rows.into_iter().find(|row| row.starts_with(name)).unwrap_or_else(|| panic!("{}", page.body))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_owner_sets_a_password_by_the_link_and_signs_in() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let link = invite(&ada, "Grace Hopper").await;
    assert!(row(&ada.get(OWNERS).await, "Grace").contains("no password yet"));

    let grace = portal.visitor();
    assert_eq!(grace.get(&link).await.text("h1"), "Welcome, Grace Hopper");
    let fields = [("password", PASSWORD), ("again", PASSWORD)];
    let home = grace.post_and_follow(&link, &fields).await;
    assert_eq!(home.text(".who"), "Grace Hopper");
    assert!(row(&ada.get(OWNERS).await, "Grace").contains("active"));
    assert_eq!(portal.visitor().get(&link).await.status, StatusCode::GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_or_missing_is_refused_beside_its_field() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    for (name, problem) in [
        ("Ada", "Name is another owner's."),
        // It means the first administrator on the command line.
        ("local", "Name is another owner's."),
        (" ", "Name is required."),
    ] {
        let page = ada.post(OWNERS, &[("name", name)]).await;
        assert_eq!(page.problem("name"), problem);
        assert_eq!(page.attribute("#name", "value").as_deref(), Some(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_link_replaces_the_one_before() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let first = invite(&ada, "Bob").await;
    let ending = format!("{}/link", id_of(&portal, "Bob").await);
    let page = ada.press(OWNERS, &ending, &[]).await;
    let second = page.text("#flash-secret")[ada.url.len()..].to_owned();
    assert_eq!(portal.visitor().get(&first).await.status, StatusCode::GONE);
    assert_eq!(portal.visitor().get(&second).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_to_the_public_url_where_there_is_one() {
    let portal = Portal::with(&["--public-url", "https://proxy.example/"]).await;
    let ada = portal.administrator("Ada").await;
    let page = ada.post_and_follow(OWNERS, &[("name", "Bob")]).await;
    let link = page.text("#flash-secret");
    assert!(link.starts_with("https://proxy.example/admin/setup/"), "{link}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_owner_is_out_at_once_until_reactivated() {
    let portal = Portal::start().await;
    let (ada, bob) = (portal.administrator("Ada").await, portal.owner("Bob").await);
    let id = id_of(&portal, "Bob").await;
    let ask = format!("{OWNERS}/{id}/deactivate");
    assert!(ada.get(OWNERS).await.attributes("a[data-dialog]", "href").contains(&ask));
    assert_eq!(ada.get(&ask).await.text("form.ask h2"), "Deactivate Bob?");
    assert_eq!(bob.get("/admin").await.status, StatusCode::OK, "asking does nothing");

    let page = ada.press(&ask, "/deactivate", &[]).await;
    assert_eq!(page.flash(), "Bob is deactivated and signed out everywhere.");
    bob.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
    assert_eq!(bob.sign_in("Bob", PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let refused = ada.post(&format!("{OWNERS}/{id}/link"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);

    let page = ada.press(OWNERS, "/reactivate", &[]).await;
    assert_eq!(page.flash(), "Bob is active again and can sign in.");
    bob.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
    bob.sign_in("Bob", PASSWORD).await.redirects_to("/admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_given_and_taken_and_one_administrator_is_left() {
    let portal = Portal::start().await;
    let (ada, bob) = (portal.administrator("Ada").await, portal.owner("Bob").await);
    let ada_id = id_of(&portal, "Ada").await;
    let (own, other) = (format!("{ada_id}/role"), format!("{}/role", id_of(&portal, "Bob").await));

    let alone = ada.post(&format!("{OWNERS}/{own}"), &[("role", "owner")]).await;
    assert_eq!(alone.status, StatusCode::CONFLICT);
    assert!(alone.body.contains("nobody else could manage owners"), "{}", alone.body);
    let locked = ada.post(&format!("{OWNERS}/{ada_id}/deactivate"), &[]).await;
    assert_eq!(locked.status, StatusCode::CONFLICT);
    assert_eq!(ada.get(OWNERS).await.status, StatusCode::OK, "nothing was changed");

    let page = ada.press(&format!("{OWNERS}/{other}"), &other, &[("role", "administrator")]).await;
    assert_eq!(page.flash(), "Bob is an administrator now.");
    assert_eq!(bob.get(OWNERS).await.status, StatusCode::OK);
    let page = ada.press(&format!("{OWNERS}/{own}"), &own, &[("role", "owner")]).await;
    assert_eq!(page.flash(), "Ada is no administrator any more.");
    assert_eq!(ada.get(OWNERS).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_owner_and_a_stranger_manage_nobody() {
    let portal = Portal::start().await;
    let (admin, bob) = (portal.administrator("Ada").await, portal.owner("Bob").await);
    let (ada, stranger) = (id_of(&portal, "Ada").await, portal.visitor());
    let path = |action: &str| format!("{OWNERS}/{ada}/{action}");
    for page in [OWNERS.to_owned(), path("deactivate")] {
        assert_eq!(bob.get(&page).await.status, StatusCode::FORBIDDEN, "{page}");
        assert_eq!(stranger.get(&page).await.status, StatusCode::SEE_OTHER, "{page}");
    }
    let writes = ["link", "role", "deactivate", "reactivate"].map(path);
    for write in writes.iter().map(String::as_str).chain([OWNERS]) {
        let fields = [("role", "owner"), ("name", "Eve")];
        assert_eq!(bob.post(write, &fields).await.status, StatusCode::FORBIDDEN, "{write}");
        stranger.post(write, &fields).await.says_signed_out();
    }
    assert!(owner::find(&portal.app.db, "Eve").await.unwrap().is_none());
    assert_eq!(admin.get(OWNERS).await.all("tbody tr").len(), 2);
    let missing = admin.post(&format!("{OWNERS}/0000/link"), &[]).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}
