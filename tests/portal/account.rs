//! An owner's password and browsers.

use crate::harness::{PASSWORD, Portal};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_signs_other_browsers_out() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let elsewhere = portal.visitor();
    elsewhere.sign_in("Ada", PASSWORD).await.redirects_to("/admin");
    assert!(ada.get("/admin/account").await.body.contains("one other browser"));

    let new = "another dozen of kites";
    let fields = |current, password, again| {
        [("current", current), ("password", password), ("again", again), ("others", "on")]
    };
    let path = "/admin/account/password";
    let page = ada.post(path, &fields("wrong", new, new)).await;
    assert_eq!(page.problem("current"), "Current password is not right.");
    let page = ada.post(path, &fields(PASSWORD, "short", "short")).await;
    assert_eq!(page.problem("password"), "New password must have at least 12 characters.");
    let page = ada.post(path, &fields(PASSWORD, "Administrator", "Administrator")).await;
    assert!(page.problem("password").contains("3,000 commonest passwords"), "{}", page.body);
    let page = ada.post(path, &fields(PASSWORD, new, "else")).await;
    assert_eq!(page.problem("again"), "New password once more is not the same.");
    assert_eq!(elsewhere.get("/admin").await.status, 200);

    let page = ada.post_and_follow(path, &fields(PASSWORD, new, new)).await;
    assert_eq!(page.flash(), "Your password is changed. One other browser is signed out.");
    assert!(ada.get("/admin/account").await.all(".flash").is_empty(), "it is said once");
    elsewhere.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
    elsewhere.sign_in("Ada", new).await.redirects_to("/admin");

    let page = ada.post_and_follow("/admin/account/sessions", &[]).await;
    assert_eq!(page.flash(), "One other browser is signed out.");
    elsewhere.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
}
