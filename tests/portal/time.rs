//! What ends or begins by itself: sign-ins, links, tokens, waits and windows, on a clock
//! that the tests move.

use std::time::Duration;

use ai_proxy::catalog::owner;
use http::StatusCode;
use http::header::RETRY_AFTER;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{PASSWORD, Portal, Visitor};
use crate::workshop::Workshop;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

const SIGN_IN: &str = "/admin/sign-in?next=%2Fadmin";

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_ends_after_eight_hours_without_a_request() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    portal.pass(8 * HOUR - MINUTE);
    assert_eq!(ada.get("/admin").await.status, StatusCode::OK);
    portal.pass(8 * HOUR - MINUTE);
    assert_eq!(ada.get("/admin").await.status, StatusCode::OK, "the last request counts");
    portal.pass(8 * HOUR + 1);
    ada.get("/admin").await.redirects_to(SIGN_IN);
    ada.sign_in("Ada", PASSWORD).await.redirects_to("/admin");
    assert_eq!(ada.get("/admin").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_a_script_refreshes_keeps_no_sign_in_alive() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let refresh = async || {
        let request = ada.client.get(format!("{}/admin", portal.url)).header("x-part", "open");
        request.send().await.unwrap().status()
    };
    for _ in 0..4 {
        portal.pass(2 * 3_600_000 - 60_000);
        assert_eq!(refresh().await, StatusCode::OK);
    }
    portal.pass(10 * 60_000);
    ada.get("/admin").await.redirects_to("/admin/sign-in?next=%2Fadmin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_ends_after_seven_days_however_much_it_is_used() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    // 24 times 7 hours are seven days.
    for hours in (7..7 * 24).step_by(7) {
        portal.pass(7 * HOUR);
        assert_eq!(ada.get("/admin").await.status, StatusCode::OK, "{hours} hours");
    }
    portal.pass(7 * HOUR + 1);
    ada.get("/admin").await.redirects_to(SIGN_IN);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_have_ended_are_not_counted_as_other_browsers() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let other = portal.visitor();
    other.sign_in("Ada", PASSWORD).await.redirects_to("/admin");
    portal.pass(4 * HOUR);
    let account = ada.get("/admin/account").await.text("main");
    assert!(account.contains("in one other browser"), "{account}");
    portal.pass(5 * HOUR);
    let account = ada.get("/admin/account").await.text("main");
    assert!(account.contains("You are signed in nowhere else."), "{account}");
    other.get("/admin").await.redirects_to(SIGN_IN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_good_for_an_hour() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let now = || portal.app.clock.now_ms();
    owner::local(&portal.app.db, "Bob", now()).await.unwrap();
    let link = owner::link::reset(&portal.app.db, "Bob", now()).await.unwrap().url("");
    portal.pass(HOUR - MINUTE);
    let bob = portal.visitor();
    assert_eq!(bob.get(&link).await.text("h1"), "Welcome, Bob");
    portal.pass(MINUTE);
    assert_eq!(bob.get(&link).await.status, StatusCode::GONE);
    let fields = [("password", PASSWORD), ("again", PASSWORD)];
    assert_eq!(bob.post(&link, &fields).await.status, StatusCode::GONE);
    assert_eq!(bob.session(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guessed_passwords_may_try_again_after_ten_minutes() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let stranger = portal.visitor();
    for _ in 0..10 {
        stranger.sign_in("Ada", "not the password").await;
    }
    portal.pass(9 * MINUTE);
    let page = stranger.sign_in("Ada", PASSWORD).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = page.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    portal.pass(MINUTE);
    stranger.sign_in("Ada", PASSWORD).await.redirects_to("/admin");
}

/// A form whose head has come, and which the proxy waits for; with when that was.
async fn half_sent(portal: &Portal, visitor: &Visitor, path: &str, body: &str) -> (i64, TcpStream) {
    portal.pass(2 * MINUTE);
    let begun = portal.app.clock.now_ms();
    let host = portal.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         cookie: ai-proxy-session={}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n",
        visitor.session().unwrap(),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let seen = "select count(*) from owner_session where last_seen_at >= $1";
    let seen = || sqlx::query_scalar::<_, i64>(seen).bind(begun).fetch_one(portal.app.db.pool());
    let is_seen = async {
        while seen().await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_seen).await.expect("the request was taken in");
    (begun, stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_their_role_while_their_form_arrives_has_it_no_more() {
    let portal = Portal::start().await;
    let (ada, bob) = (portal.administrator("Ada").await, portal.owner("Bob").await);
    let id = owner::find(&portal.app.db, "Bob").await.unwrap().unwrap().id;
    let role = format!("/admin/owners/{id}/role");
    ada.post(&role, &[("role", "administrator")]).await.redirects_to("/admin/owners");
    let body = "role=administrator";
    let (_, mut stream) = half_sent(&portal, &bob, &role, body).await;
    ada.post(&role, &[("role", "owner")]).await.redirects_to("/admin/owners");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let bob = owner::find(&portal.app.db, "Bob").await.unwrap().unwrap();
    assert_eq!(bob.role, owner::Role::Owner);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_bears_the_time_at_which_its_body_had_come() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let (path, body) = ("/admin/tokens", "name=CI&days=90");
    let (begun, mut stream) = half_sent(&portal, &ada, path, body).await;
    portal.pass(20 * MINUTE);
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    let owner = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap();
    let [token] = &owner::api_token::list(&portal.app.db, &owner.id).await.unwrap()[..] else {
        panic!("one token was made")
    };
    assert!(token.created_at >= begun + 20 * MINUTE, "{} ms", token.created_at - begun);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_an_event_follow_its_window() {
    let portal = Portal::start().await;
    let start = "2031-05-04T09:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
    portal.app.clock.set(start - MINUTE);
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop
        .event(&[], |draft| {
            draft.time_zone = "UTC".into();
            draft.start = "2031-05-04T09:00".into();
            draft.end = "2031-05-04T11:00".into();
        })
        .await;
    for (at, in_list, in_room, until) in [
        (start - MINUTE, "next", "not started", "from 2031-05-04 09:00 to 2031-05-04 11:00 (UTC)"),
        (start, "live", "open", "until 2031-05-04 11:00 (UTC)"),
        (start + 2 * HOUR - MINUTE, "live", "open", "until 2031-05-04 11:00 (UTC)"),
        (start + 2 * HOUR + 1, "ended", "ended", "ended 2031-05-04 11:00 (UTC)"),
    ] {
        portal.app.clock.set(at);
        let list = ada.get("/admin/events").await;
        assert_eq!(list.text("td[data-label=Time]"), in_list, "{until}");
        let room = ada.get(&format!("/admin/events/{event}/room")).await;
        assert_eq!(room.text(".state .badge"), in_room, "{until}");
        assert!(room.text(".state").contains(until), "{}", room.text(".state"));
        let home = ada.get("/admin").await;
        assert_eq!(home.all("#live article").len(), usize::from(in_list == "live"), "{until}");
    }
}
