//! What is kept of who signed in and who tried, and who sees it.

use ai_proxy::catalog::owner::sign_in::{self, Key, Outcome, Source, Times};
use ai_proxy::catalog::owner::{self, manage};
use http::StatusCode;
use http::header::ORIGIN;

use crate::harness::{PASSWORD, Page, Portal, Visitor};
use crate::microsoft::provider::{CLIENT_SECRET, TENANT};
use crate::microsoft::{self, BEGIN, Site};

const SIGN_INS: &str = "/admin/audit/sign-ins";
const HOUR_MS: i64 = 3_600_000;

/// The rows of the table without their times: an administrator's have the account.
fn rows(page: &Page) -> Vec<String> {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let cells = page.all("#sign-ins tbody td");
    let width = page.all("#sign-ins thead th").len();
    cells.chunks(width).map(|row| row[1..].join(" | ")).collect()
}

/// At the beginning of an hour, behind a proxy that says where a visitor is.
async fn start() -> Portal {
    let portal = Portal::with(&["--trusted-proxies", "127.0.0.1"]).await;
    turn_to_the_hour(&portal);
    portal
}

/// What is done within minutes is then in one hour.
fn turn_to_the_hour(portal: &Portal) {
    portal.pass(HOUR_MS - portal.app.clock.now_ms() % HOUR_MS);
}

async fn sign_in_from(visitor: &Visitor, source: &str, name: &str, password: &str) -> StatusCode {
    let request = visitor.client.post(format!("{}/admin/sign-in", visitor.url));
    let request = request.header(ORIGIN, &visitor.url).header("x-forwarded-for", source);
    request.form(&[("name", name), ("password", password)]).send().await.unwrap().status()
}

/// Every column of every row of the table, as text.
async fn stored(portal: &Portal) -> Vec<(String, String, String, i64)> {
    let query = "select owner_id, source, outcome, times from sign_in order by id";
    sqlx::query_as(query).fetch_all(portal.app.db.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_sees_who_tried_from_where_and_whether_it_worked() {
    let portal = start().await;
    let (ada, _) = (portal.administrator("Ada").await, portal.owner("Bob").await);
    turn_to_the_hour(&portal);
    let guesser = portal.visitor();
    for _ in 0..12 {
        sign_in_from(&guesser, "203.0.113.7", "Bob", "not the password").await;
    }
    portal.pass(11 * 60_000);
    let status = sign_in_from(&guesser, "203.0.113.7", "Bob", PASSWORD).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    sign_in_from(&guesser, "2001:db8::5:1", "Nobody here", "not the password").await;

    let mut all = rows(&ada.get(SIGN_INS).await);
    all.sort();
    assert_eq!(
        all,
        [
            "Ada | 127.0.0.1 | signed in with a link for administrators | 1",
            "Bob | 127.0.0.1 | signed in with a one-time link | 1",
            "Bob | 203.0.113.7 | not compared: too many attempts | 2",
            "Bob | 203.0.113.7 | signed in with a password; \
             12 attempts from there failed in the same hour | 1",
            "Bob | 203.0.113.7 | wrong password | 10",
            "not an owner’s name | 2001:db8::/64 | wrong password | 1",
        ]
    );
    let page = ada.get(&format!("{SIGN_INS}?who=nobody&only=failed")).await;
    assert_eq!(rows(&page), ["not an owner’s name | 2001:db8::/64 | wrong password | 1"]);
    let bob = owner::find(&portal.app.db, "Bob").await.unwrap().unwrap();
    let page = ada.get(&format!("{SIGN_INS}?who={}&only=worked", bob.id)).await;
    assert_eq!(rows(&page).len(), 2, "{}", page.body);
    let page = ada.get(&format!("{SIGN_INS}?who=x&only=x&before=x")).await;
    assert_eq!(page.text(".empty"), "There is nothing older.");
    let page = ada.get(&format!("{SIGN_INS}?who=x")).await;
    assert_eq!(page.text(".empty"), "No sign-in of this kind was recorded in the last 90 days.");
    // The changes are not among them.
    assert!(!ada.get("/admin/audit").await.body.contains("wrong password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sees_their_own_account_alone() {
    let portal = start().await;
    let (ada, bob) = (portal.administrator("Ada").await, portal.owner("Bob").await);
    for (name, times) in [("Ada", 2), ("Bob", 3), ("Nobody here", 1)] {
        for _ in 0..times {
            portal.visitor().sign_in(name, "not the password").await;
        }
    }
    let ada_id = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap().id;
    let mut seen = Vec::new();
    for query in ["", "?who=nobody", "?who=", &format!("?who={ada_id}")] {
        let page = bob.get(&format!("{SIGN_INS}{query}")).await;
        assert!(!page.body.contains("Ada") && page.all("#who").is_empty(), "{}", page.body);
        let mut own = rows(&page);
        own.sort();
        seen.push(own);
    }
    seen.dedup();
    let own = [
        "127.0.0.1 | signed in with a one-time link; \
         3 attempts from there failed in the same hour | 1",
        "127.0.0.1 | wrong password | 3",
    ];
    assert_eq!(seen, [own]);

    let account = bob.get("/admin/account").await.text("#sign-ins");
    assert!(account.contains("from 127.0.0.1 (signed in with a one-time link)"), "{account}");
    let failed = "3 attempts to sign in as you failed in the last 30 days.";
    assert!(account.contains(failed), "{account}");
    portal.pass(31 * 24 * HOUR_MS);
    ada.sign_in("Ada", PASSWORD).await.redirects_to("/admin");
    let account = ada.get("/admin/account").await.text("#sign-ins");
    assert!(account.contains("Nobody failed to sign in as you in the last 30 days."), "{account}");
    assert!(account.contains("(signed in with a password)"), "{account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_failures_from_everywhere_make_few_rows_and_push_nobody_out() {
    let portal = start().await;
    let ada = portal.administrator("Ada").await;
    portal.owner("Bob").await;
    let guesser = portal.visitor();
    // From a place that no guess has used up.
    sign_in_from(&guesser, "192.0.2.1", "Bob", "not the password").await;
    for n in 0..500 {
        let source = format!("198.51.{}.{}", n / 250, n % 250);
        sign_in_from(&guesser, &source, "Ada", "not the password").await;
        sign_in_from(&guesser, &source, "Nobody here", "not the password").await;
    }
    ada.get(SIGN_INS).await;
    let stored = stored(&portal).await;
    // Of each 16 sources and all others, 2 outcomes at most; 3 other rows.
    assert!(stored.len() <= 2 * 2 * 17 + 3, "{} rows", stored.len());
    let ada_id = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap().id;
    for whose in ["", &*ada_id] {
        let failed = stored
            .iter()
            .filter(|(owner, _, outcome, _)| owner == whose && !outcome.starts_with("signed in"));
        assert_eq!(failed.map(|(.., times)| times).sum::<i64>(), 500, "{whose}");
    }
    assert!(stored.iter().any(|(_, source, ..)| source == "192.0.2.1"), "{stored:?}");
    let page = ada.get(&format!("{SIGN_INS}?only=failed")).await;
    assert!(rows(&page).iter().any(|row| row.contains("other addresses")), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn older_sign_ins_are_on_further_pages_each_once_and_of_the_same_filter() {
    let portal = start().await;
    let ada = portal.administrator("Ada").await;
    for n in 0..60 {
        let source = Source::of([192, 0, 2, n].into());
        let key = Key { hour: 0, owner_id: None, source, outcome: Outcome::WrongPassword };
        sign_in::count(&portal.app.db, &[(key, Times::once(0))].into()).await.unwrap();
    }
    let first = ada.get(&format!("{SIGN_INS}?only=failed")).await;
    let links = first.attributes(".pager a", "href");
    let [older] = &links[..] else { panic!("{links:?}") };
    let second = ada.get(older).await;
    assert_eq!(second.attributes("option[selected]", "value"), ["failed"]);
    let newest = second.attributes(".pager a", "href");
    assert_eq!(newest, [format!("{SIGN_INS}?who=&only=failed")]);
    assert_eq!((rows(&first).len(), rows(&second).len()), (50, 10));
    assert_eq!(rows(&first)[0], "not an owner’s name | 192.0.2.59 | wrong password | 1");
    assert_eq!(rows(&second)[0], "not an owner’s name | 192.0.2.9 | wrong password | 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_owners_name_is_kept_nowhere() {
    let portal = start().await;
    let ada = portal.administrator("Ada").await;
    for typed in ["hunter2 in the wrong field", "ADA hunter2"] {
        portal.visitor().sign_in(typed, "hunter2 as well").await;
    }
    let page = ada.get(SIGN_INS).await;
    assert!(rows(&page)[0].starts_with("not an owner’s name"), "{}", page.body);
    assert!(!page.body.contains("hunter2"), "{}", page.body);
    assert!(!format!("{:?}", stored(&portal).await).contains("hunter2"));
    let ids: Vec<String> = sqlx::query_scalar("select id || ' ' || owner_id from sign_in")
        .fetch_all(portal.app.db.pool())
        .await
        .unwrap();
    assert!(!ids.concat().contains("hunter2"), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_deactivated_and_tries_is_seen_and_told_no_more_than_others() {
    let portal = start().await;
    let ada = portal.administrator("Ada").await;
    portal.owner("Bob").await;
    let bob = owner::find(&portal.app.db, "Bob").await.unwrap().unwrap();
    let by = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap();
    let by = by.actor(portal.app.clock.now_ms());
    manage::set_active(&portal.app.db, &by, &bob, false).await.unwrap();
    let right = portal.visitor().sign_in("Bob", PASSWORD).await;
    let nobody = portal.visitor().sign_in("Nobody here", PASSWORD).await;
    assert_eq!((right.status, right.text(".flash")), (nobody.status, nobody.text(".flash")));
    let page = ada.get(&format!("{SIGN_INS}?who={}&only=failed", bob.id)).await;
    assert_eq!(rows(&page), ["Bob | 127.0.0.1 | wrong password | 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_where_it_is_asked_for_again_is_counted_too() {
    let portal = start().await;
    let ada = portal.administrator("Ada").await;
    let new = "another dozen of kites";
    let fields = [("current", "not the password"), ("password", new), ("again", new)];
    ada.post("/admin/account/password", &fields).await.problem("current");
    portal.pass(11 * 60_000);
    let page = ada.post("/admin/owners", &[("name", "Bob")]).await;
    let held = page.attribute("[name=held]", "value").unwrap();
    let fields = [("held", &*held), ("password", "not the password")];
    let page = ada.post("/admin/owners", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = ada.get(&format!("{SIGN_INS}?only=failed")).await;
    let counted: i64 = rows(&page)
        .iter()
        .map(|row| {
            let (what, times) = row.rsplit_once(" | ").unwrap();
            assert_eq!(what, "Ada | 127.0.0.1 | wrong password where it is asked for again");
            times.parse::<i64>().unwrap()
        })
        .sum();
    assert_eq!(counted, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn microsoft_lets_in_or_not() {
    let site = Site::of(microsoft::eve()).await;
    let portal = &site.portal;
    turn_to_the_hour(portal);
    let grace = portal.administrator("Grace").await;
    assert_eq!(portal.visitor().sign_in_with_microsoft(BEGIN).await.status, StatusCode::FORBIDDEN);
    site.now_is(microsoft::ada());
    portal.visitor().sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    let ada = owner::find(&portal.app.db, "Ada Lovelace").await.unwrap().unwrap();
    let by = owner::find(&portal.app.db, "Grace").await.unwrap().unwrap();
    let by = by.actor(portal.app.clock.now_ms());
    manage::set_active(&portal.app.db, &by, &ada, false).await.unwrap();
    portal.visitor().sign_in_with_microsoft(BEGIN).await;
    let says = |error| site.entra.script.lock().error = Some((error, ""));
    says("interaction_required");
    assert_eq!(portal.visitor().sign_in_with_microsoft(BEGIN).await.status, StatusCode::FORBIDDEN);
    // Who changes their mind has not tried to get in, nor who comes back from nowhere.
    says("access_denied");
    portal.visitor().sign_in_with_microsoft(BEGIN).await;
    portal.visitor().get("/admin/sign-in/entra/callback?state=a&code=b").await;
    let mut all = rows(&grace.get(SIGN_INS).await);
    all.sort();
    assert_eq!(
        all,
        [
            "Ada Lovelace | 127.0.0.1 | Microsoft account of a deactivated owner | 1",
            "Ada Lovelace | 127.0.0.1 | signed in with Microsoft; \
             1 attempt from there failed in the same hour | 1",
            "Grace | 127.0.0.1 | signed in with a link for administrators | 1",
            "not an owner’s name | 127.0.0.1 | Microsoft account of nobody here | 1",
            "not an owner’s name | 127.0.0.1 | refused by Microsoft | 1",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_where_passwords_are_switched_off_is_counted_and_not_compared() {
    let settings = ["--password-sign-in", "false"];
    let site = Site::with(microsoft::ada(), TENANT, CLIENT_SECRET, &settings).await;
    let grace = site.portal.administrator("Grace").await;
    site.portal.visitor().sign_in("Grace", PASSWORD).await;
    let page = grace.get(&format!("{SIGN_INS}?only=failed")).await;
    let row = "Grace | 127.0.0.1 | not compared: passwords are switched off | 1";
    assert_eq!(rows(&page), [row]);
}
