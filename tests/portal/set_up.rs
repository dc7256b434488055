//! One-time links: the first administrator, and passwords of others.

use ai_proxy::catalog::owner::{self, Role};
use ai_proxy::clock::now_ms;
use http::StatusCode;
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::harness::{PASSWORD, Portal};

const COMMON: &str = "Password is one of the 3,000 commonest passwords; choose another, for example \
                      four words that have nothing to do with each other.";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_takes_over_what_the_command_line_made() {
    let portal = Portal::start().await;
    let local = owner::local(&portal.app.db, "local", now_ms()).await.unwrap();
    let link = portal.app.identity.first_link().await.unwrap().unwrap();
    let path = link.url("");

    let visitor = portal.visitor();
    let page = visitor.get(&path).await;
    assert_eq!(page.text("h1"), "Welcome");
    let fields = [("name", "Ada"), ("password", PASSWORD), ("again", PASSWORD)];
    let home = visitor.post_and_follow(&path, &fields).await;
    assert_eq!(home.text(".who"), "Ada");

    let ada = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap();
    assert_eq!((&ada.id, ada.role), (&local.id, Role::Administrator));
    assert_eq!(owner::find(&portal.app.db, "local").await.unwrap().unwrap().id, ada.id);
    assert!(portal.app.identity.first_link().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_takes_nothing_over_of_whoever_signs_in_as_local() {
    let portal = Portal::start().await;
    let db = &portal.app.db;
    let local = owner::local(db, "local", now_ms()).await.unwrap();
    let link = owner::link::reset(db, "local", now_ms()).await.unwrap();
    let account = owner::entra::Account { tenant: Uuid::from_u128(1), object: Uuid::from_u128(2) };
    let token = link.token.expose_secret();
    owner::entra::redeem(db, token, account, now_ms()).await.unwrap().unwrap();

    portal.administrator("Ada").await;
    let ada = owner::find(db, "Ada").await.unwrap().unwrap();
    assert_ne!(ada.id, local.id, "who signs in with that account must not be an administrator");
    let theirs = owner::entra::owner_of(db, account).await.unwrap().unwrap();
    assert_eq!((theirs.id, theirs.role), (local.id, Role::Owner));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_works_once_and_voids_the_others_of_its_kind() {
    let portal = Portal::start().await;
    let (used, other) = (portal.first_link().await, portal.first_link().await);
    let fields = [("name", "Ada"), ("password", PASSWORD), ("again", PASSWORD)];
    portal.visitor().post(&used, &fields).await.redirects_to("/admin");
    for path in [&*used, &*other, "/admin/setup/0000"] {
        let visitor = portal.visitor();
        assert_eq!(visitor.get(path).await.status, StatusCode::GONE);
        let again = visitor.post(path, &fields).await;
        assert_eq!(again.status, StatusCode::GONE);
        assert_eq!(again.text("h1"), "This link is over");
        assert_eq!(visitor.session(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_beside_the_field_and_the_link_stays_good() {
    let portal = Portal::start().await;
    portal.owner("Bob").await;
    let (path, visitor) = (portal.first_link().await, portal.visitor());
    for (name, password, again, field, problem) in [
        ("Ada", "short", "short", "password", "Password must have at least 12 characters."),
        ("Ada", "aaaaaaaaaaaaaa", "aaaaaaaaaaaaaa", "password", "Password is too easy to guess."),
        ("Ada", PASSWORD, "another one", "again", "Password once more is not the same."),
        ("Ada", "Password1234", "Password1234", "password", COMMON),
        (" ", PASSWORD, PASSWORD, "name", "Name is required."),
        ("Bob", PASSWORD, PASSWORD, "name", "Name is another owner's."),
    ] {
        let fields = [("name", name), ("password", password), ("again", again)];
        let page = visitor.post(&path, &fields).await;
        assert_eq!(page.problem(field), problem);
        assert_eq!(page.attribute("#name", "value").as_deref(), Some(name));
        assert!(!page.body.contains(PASSWORD));
    }
    let fields = [("name", "Ada"), ("password", PASSWORD), ("again", PASSWORD)];
    visitor.post(&path, &fields).await.redirects_to("/admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_sets_another_password_and_ends_what_was_signed_in() {
    let portal = Portal::start().await;
    let before = portal.owner("Bob").await;
    let link = owner::link::reset(&portal.app.db, "Bob", now_ms()).await.unwrap();
    let path = link.url("");
    let visitor = portal.visitor();
    assert_eq!(visitor.get(&path).await.text("h1"), "Welcome, Bob");
    let page = visitor.post(&path, &[("password", "qwerty123456"), ("again", "")]).await;
    assert_eq!(page.problem("password"), COMMON);
    let new = "another dozen of kites";
    visitor.post(&path, &[("password", new), ("again", new)]).await.redirects_to("/admin");
    before.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
    assert_eq!(before.sign_in("Bob", PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    before.sign_in("Bob", new).await.redirects_to("/admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_common_password_of_before_still_signs_in() {
    let portal = Portal::start().await;
    let token = portal.first_link().await.rsplit('/').next().unwrap().to_owned();
    let identity = &portal.app.identity;
    identity.redeem(&token.into(), "Ada", &"password1234".into()).await.unwrap().unwrap();
    portal.visitor().sign_in("Ada", "password1234").await.redirects_to("/admin");
}
