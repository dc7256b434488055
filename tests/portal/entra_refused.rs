//! Who is not signed in with Microsoft, and what they are told.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ai_proxy::catalog::owner::{self, manage};
use ai_proxy::clock::now_ms;
use aws_lc_rs::hmac;
use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Page, Portal};
use crate::microsoft::provider::{CLIENT_SECRET, Key, TENANT, encode, unsigned};
use crate::microsoft::{BEGIN, Site, ada, eve};

const CALLBACK: &str = "/admin/sign-in/entra/callback";

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_told_whom_to_ask_and_what_to_hand_over() {
    let site = Site::of(eve()).await;
    site.portal.administrator("Grace").await;
    let visitor = site.portal.visitor();
    let page = visitor.sign_in_with_microsoft(BEGIN).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(page.text("h1"), "You are not an owner here");
    assert_eq!(page.text("strong"), "Grace");
    assert_eq!(page.text("#account"), format!("{TENANT}/{}", eve().object));
    assert_eq!(visitor.session(), None);
    assert_eq!(site.owners().await, 1, "nobody was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_owner_is_refused_until_reactivated() {
    let site = Site::of(ada()).await;
    let (grace, visitor) = (site.portal.administrator("Grace").await, site.portal.visitor());
    visitor.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    let db = &site.portal.app.db;
    let ada = owner::find(db, "Ada Lovelace").await.unwrap().unwrap();
    let by = owner::find(db, "Grace").await.unwrap().unwrap().actor(now_ms());
    manage::set_active(db, &by, &ada, false).await.unwrap();

    let page = visitor.sign_in_with_microsoft(BEGIN).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(page.text("h1"), "Your account is deactivated");
    visitor.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
    grace.press("/admin/owners", "/reactivate", &[]).await;
    visitor.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
}

#[track_caller]
fn is_stale(page: &Page) {
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", page.body);
    assert_eq!(page.text("h1"), "Start again");
    assert!(page.all("a[href='/admin/sign-in/entra']").len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_is_good_once_and_in_the_browser_that_left() {
    let site = Site::of(ada()).await;
    let visitor = site.portal.visitor();
    for nothing in ["", "?", "?state=a&code=b", "?state=a&state=b", "?error=access_denied"] {
        is_stale(&visitor.get(&format!("{CALLBACK}{nothing}")).await);
    }
    let back = visitor.go_to_microsoft(BEGIN).await;
    // What somebody else is sent to would sign them in as Ada.
    is_stale(&site.portal.visitor().get(&back).await);
    let victim = site.portal.visitor();
    victim.get(BEGIN).await;
    is_stale(&victim.get(&back).await);
    // Another state, with the ticket at hand.
    let (path, state) = back.split_once("state=").unwrap();
    is_stale(&visitor.get(&format!("{path}state=x{}", &state[1..])).await);

    let ticket = {
        use reqwest::cookie::CookieStore;
        visitor.jar.cookies(&visitor.url.parse().unwrap()).unwrap()
    };
    visitor.get(&back).await.redirects_to("/admin");
    is_stale(&visitor.get(&back).await);
    // Even where the browser has kept its ticket.
    let replay = site.portal.visitor();
    for cookie in ticket.to_str().unwrap().split("; ") {
        replay.jar.add_cookie_str(cookie, &replay.url.parse().unwrap());
    }
    is_stale(&replay.get(&back).await);
    assert_eq!(replay.session(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_another_browser_asked_for_is_worth_nothing() {
    let site = Site::of(ada()).await;
    let (ada, thief) = (site.portal.visitor(), site.portal.visitor());
    let (theirs, own) = (ada.go_to_microsoft(BEGIN).await, thief.go_to_microsoft(BEGIN).await);
    let code = theirs.split_once("code=").unwrap().1.split('&').next().unwrap();
    let state = own.split_once("state=").unwrap().1.split('&').next().unwrap();
    let page = thief.get(&format!("{CALLBACK}?code={code}&state={state}")).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert_eq!(thief.session(), None);
}

/// Nobody is signed in, and the page does not say how to do better.
async fn is_refused(site: &Site, what: &str) {
    let visitor = site.portal.visitor();
    let page = visitor.sign_in_with_microsoft(BEGIN).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY, "{what}: {}", page.body);
    assert_eq!(page.text("h1"), "Microsoft sign-in does not work");
    assert_eq!(visitor.session(), None, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_are_not_for_us_now_are_refused() {
    let site = Site::of(ada()).await;
    let now = jiff::Timestamp::now().as_second();
    for (claim, value) in [
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("aud", json!("00000003-0000-0000-c000-000000000000")),
        ("aud", json!(["6731de76-0000-4000-8000-45c2a3c1e5b0", "another"])),
        ("exp", json!(now - 120)),
        ("exp", Value::Null),
        ("nbf", json!(now + 120)),
        ("iss", json!("https://login.example/v2.0")),
        ("iss", Value::Null),
        ("tid", json!("aaaaaaaa-0000-4000-8000-00000000000a")),
        ("tid", json!("{tenantid}")),
        ("oid", Value::Null),
        ("oid", json!("ada@example.org")),
    ] {
        let what = format!("{claim}: {value}");
        site.entra.script.lock().alter = Box::new(move |claims| claims[claim] = value.clone());
        is_refused(&site, &what).await;
    }
    // Clocks differ a little.
    site.entra.script.lock().alter = Box::new(move |claims| claims["exp"] = json!(now - 5));
    site.portal.visitor().sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    assert_eq!(site.owners().await, 1);
}

fn hs256(secret: &[u8], kid: &str, claims: &Value) -> String {
    let text = unsigned(&json!({"typ": "JWT", "alg": "HS256", "kid": kid}), claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{text}.{}", encode(hmac::sign(&key, text.as_bytes()).as_ref()))
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_entra_did_not_sign_are_refused() {
    type Forge = fn(&Key, &Value) -> String;
    let forgeries: [(&str, Forge); 7] = [
        ("no signature", |key, claims| {
            format!("{}.", unsigned(&json!({"alg": "none", "kid": key.id}), claims))
        }),
        ("the modulus as a secret", |key, claims| hs256(key.modulus().as_bytes(), &key.id, claims)),
        ("the client secret as a key", |key, claims| {
            hs256(CLIENT_SECRET.as_bytes(), &key.id, claims)
        }),
        ("another key under its name", |key, claims| Key::new(&key.id).sign(claims)),
        ("other claims", |key, claims| {
            let (token, mut other) = (key.sign(claims), claims.clone());
            other["name"] = json!("Somebody");
            let signature = token.rsplit('.').next().unwrap();
            let header = token.split('.').next().unwrap();
            format!("{header}.{}.{signature}", encode(other.to_string().as_bytes()))
        }),
        ("no key named", |_, claims| {
            format!("{}.AAAA", unsigned(&json!({"alg": "RS256"}), claims))
        }),
        ("no token", |_, _| "not a token".to_owned()),
    ];
    let site = Site::of(ada()).await;
    for (what, forge) in forgeries {
        site.entra.script.lock().sign = Box::new(forge);
        is_refused(&site, what).await;
    }
    assert_eq!(site.owners().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_entra_refuses_is_said_without_its_text() {
    let site = Site::of(ada()).await;
    let says = |error, text| site.entra.script.lock().error = Some((error, text));
    says("access_denied", "the user denied <b>it</b>");
    let page = site.portal.visitor().sign_in_with_microsoft(BEGIN).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.body.contains("was cancelled"), "{}", page.body);
    says("interaction_required", "AADSTS50105: ada@example.org is not assigned to a role");
    let page = site.portal.visitor().sign_in_with_microsoft(BEGIN).await;
    assert!(page.body.contains("did not let you through (AADSTS50105)"), "{}", page.body);
    assert!(!page.body.contains("ada@example.org"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_signs_nobody_in() {
    let site = Site::with(ada(), TENANT, "another secret", &[]).await;
    is_refused(&site, "the secret").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_microsoft_is_away_people_are_told_and_passwords_work() {
    let Site { portal, entra, _secret } = Site::of(ada()).await;
    let visitor = portal.visitor();
    let back = visitor.go_to_microsoft(BEGIN).await;
    drop(entra);
    let page = visitor.get(&back).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert_eq!(page.text(".hint a"), "sign in with a password");
    portal.administrator("Grace").await;
    portal.visitor().sign_in("Grace", crate::harness::PASSWORD).await.redirects_to("/admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_microsoft_never_answered_nobody_is_sent_there() {
    let Site { portal, entra, _secret } = Site::of(ada()).await;
    drop(entra);
    let page = portal.visitor().get(BEGIN).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert_eq!(page.text("h1"), "Microsoft sign-in does not work");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_just_failed_is_not_asked_by_everybody() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"a secret").unwrap();
    let portal = Portal::with(&[
        "--entra-tenants",
        TENANT,
        "--entra-client-id",
        TENANT,
        "--entra-client-secret-file",
        secret.path().to_str().unwrap(),
        "--entra-authority",
        &authority,
    ])
    .await;
    for _ in 0..3 {
        assert_eq!(portal.visitor().get(BEGIN).await.status, StatusCode::BAD_GATEWAY);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_sign_ins_from_one_address_are_slowed_down() {
    let site = Site::of(eve()).await;
    let visitor = site.portal.visitor();
    for _ in 0..60 {
        assert_eq!(visitor.sign_in_with_microsoft(BEGIN).await.status, StatusCode::FORBIDDEN);
    }
    let page = visitor.sign_in_with_microsoft(BEGIN).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.headers.contains_key(http::header::RETRY_AFTER));
}
