//! Signing in and out, and what slows guessing down.

use http::StatusCode;
use http::header::{ORIGIN, RETRY_AFTER};

use crate::harness::{PASSWORD, Portal};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_signs_in_where_they_wanted_to_go_and_out_again() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let visitor = portal.visitor();
    visitor
        .get("/admin/account?tab=1")
        .await
        .redirects_to("/admin/sign-in?next=%2Fadmin%2Faccount%3Ftab%3D1");
    let page = visitor.get("/admin/sign-in?next=%2Fadmin%2Faccount%3Ftab%3D1").await;
    let next = page.attribute("[name=next]", "value").unwrap();
    let fields = [("name", " Ada "), ("password", PASSWORD), ("next", &next)];
    visitor.post("/admin/sign-in", &fields).await.redirects_to("/admin/account?tab=1");
    assert_eq!(visitor.get("/admin/account").await.text("h1"), "Account");
    visitor.get("/admin/sign-in").await.redirects_to("/admin");

    let session = visitor.session().unwrap();
    let out = visitor.post_and_follow("/admin/sign-out", &[]).await;
    assert_eq!(out.text(".flash"), "You are signed out.");
    assert_eq!(visitor.session(), None);
    // The row is gone, not only the cookie.
    visitor
        .jar
        .add_cookie_str(&format!("ai-proxy-session={session}"), &visitor.url.parse().unwrap());
    visitor.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_says_no_more_than_that() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let mut said = Vec::new();
    for name in ["Ada", "Nobody"] {
        let page = portal.visitor().sign_in(name, "not the password").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(page.attribute("#name", "value").as_deref(), Some(name));
        said.push(page.text(".flash"));
    }
    assert_eq!(said[0], said[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_waits_and_the_owners_own_browser_does_not() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let stranger = portal.visitor();
    for _ in 0..10 {
        let page = stranger.sign_in("ada", "not the password").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let page = stranger.sign_in("Ada", PASSWORD).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.text(".flash").contains("too many wrong attempts"), "{}", page.body);
    let wait: u64 = page.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=600).contains(&wait));
    assert_eq!(stranger.session(), None);

    ada.post("/admin/sign-out", &[]).await;
    ada.sign_in("Ada", PASSWORD).await.redirects_to("/admin");
    // Others of the room sign in to their accounts.
    portal.owner("Bob").await;
    portal.visitor().sign_in("Bob", PASSWORD).await.redirects_to("/admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_rotates_the_session() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let first = ada.session().unwrap();
    ada.sign_in("Ada", PASSWORD).await.redirects_to("/admin");
    assert_ne!(ada.session().unwrap(), first);
    ada.jar.add_cookie_str(&format!("ai-proxy-session={first}"), &ada.url.parse().unwrap());
    ada.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_is_refused() {
    let portal = Portal::with(&["--public-url", "https://proxy.example/"]).await;
    let ada = portal.administrator("Ada").await;
    let url = format!("{}/admin/sign-out", ada.url);
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let answer = ada.client.post(&url).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
        assert!(answer.text().await.unwrap().contains("sent from another site"));
    }
    assert_eq!(ada.get("/admin").await.status, StatusCode::OK);
    let answer = ada.client.post(&url).header(ORIGIN, "https://proxy.example").send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_for_this_site_alone_and_for_https_where_there_is() {
    let portal = Portal::with(&["--trusted-proxies", "127.0.0.1"]).await;
    let path = portal.first_link().await;
    let fields = [("name", "Ada"), ("password", PASSWORD), ("again", PASSWORD)];
    portal.visitor().post(&path, &fields).await.redirects_to("/admin");
    for (scheme, name) in [("http", "ai-proxy-session="), ("https", "__Host-ai-proxy-session=")] {
        let answer = portal
            .visitor()
            .client
            .post(format!("{}/admin/sign-in", portal.url))
            .header("x-forwarded-proto", scheme)
            .form(&[("name", "Ada"), ("password", PASSWORD)])
            .send()
            .await
            .unwrap();
        let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
        let session = cookies
            .iter()
            .find_map(|value| value.to_str().ok().filter(|cookie| cookie.starts_with(name)));
        let session = session.unwrap_or_else(|| panic!("{cookies:?}"));
        for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=604800"] {
            assert!(session.contains(part), "{session}");
        }
        assert_eq!(session.contains("Secure"), scheme == "https", "{session}");
    }
}
