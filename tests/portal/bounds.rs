//! Bodies and requests are bounded: whoever sends without an end, or not at all, keeps
//! nobody else out.

use std::time::{Duration, Instant};

use ai_proxy::catalog::owner::{self, api_token};
use ai_proxy::clock::now_ms;
use futures_util::future::join_all;
use http::StatusCode;
use reqwest::RequestBuilder;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{Page, Portal, Visitor};

/// Longer than any body is waited for here, also where a machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

const FORM: &str = "content-type: application/x-www-form-urlencoded";

/// Where a visitor's forms go to.
const FORMS: [&str; 3] = ["/claim", "/admin/sign-in", "/admin/setup/0000"];

/// A POST of which only the beginning is sent.
#[derive(Clone)]
struct Beginning {
    address: String,
    head: String,
}

impl Beginning {
    fn new(portal: &Portal, path: &str, headers: &[&str]) -> Self {
        let address = portal.url.strip_prefix("http://").unwrap().to_owned();
        let headers = headers.join("\r\n");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1000\r\n{headers}\r\n\r\n\
             code="
        );
        Self { address, head }
    }

    async fn send(&self) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(self.head.as_bytes()).await.unwrap();
        stream
    }
}

async fn begin(portal: &Portal, path: &str, headers: &[&str]) -> TcpStream {
    Beginning::new(portal, path, headers).send().await
}

/// As many senders of a beginning, each of whom begins again when it was answered, until this is
/// dropped: however long the rest takes, as many stall.
async fn stalling(count: usize, portal: &Portal, path: &str, headers: &[&str]) -> JoinSet<()> {
    let beginning = Beginning::new(portal, path, headers);
    let mut senders = JoinSet::new();
    for mut stream in join_all((0..count).map(|_| beginning.send())).await {
        let beginning = beginning.clone();
        senders.spawn(async move {
            loop {
                drop(stream.read_to_end(&mut Vec::new()).await);
                stream = beginning.send().await;
            }
        });
    }
    senders
}

/// All that comes back until the other side closes the connection.
async fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A connection that is closed with bytes unread may be reset after its answer.
    drop(read.expect("an answer, and the end"));
    String::from_utf8(answer).unwrap()
}

fn cookie(visitor: &Visitor) -> String {
    format!("cookie: ai-proxy-session={}", visitor.session().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitors_form_is_small_and_not_repeated_at_length() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let visitor = portal.visitor();
    let (large, long) = ("x".repeat(9000), "x".repeat(7000));
    for path in FORMS {
        let page = visitor.post(path, &[("code", &*large)]).await;
        assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert_eq!(page.text("h1"), "Too large");
        assert!(!page.body.contains("xxxx"));
    }
    let link = portal.first_link().await;
    for (path, fields) in [
        ("/claim", vec![("code", &*long)]),
        ("/admin/sign-in", vec![("name", &*long), ("password", "no"), ("next", "/admin")]),
        (&*link, vec![("name", &*long), ("password", "no"), ("again", "no")]),
    ] {
        let page = visitor.post(path, &fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", page.body);
        assert!(!page.body.contains(&"x".repeat(101)), "{path}");
    }
    let page = visitor.get(&format!("/admin/sign-in?next=/admin/{long}")).await;
    assert_eq!(page.attribute("[name=next]", "value").as_deref(), Some("/admin"));
    // The longest password of all, in letters that are longer still in a form.
    let long = format!("abcd{}", "€".repeat(1020 / 3));
    let fields = [("name", "Eve"), ("password", &*long), ("again", &*long)];
    visitor.post(&portal.first_link().await, &fields).await.redirects_to("/admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let me = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap();
    let token =
        api_token::create(&portal.app.db, &me.actor(now_ms()), "CI", Some(1)).await.unwrap();
    let token = format!("authorization: Bearer {}", token.expose_secret());
    let (json, file) =
        ("content-type: application/json", "content-type: multipart/form-data; boundary=mark");
    let link = portal.first_link().await;
    let mut asked = Vec::new();
    for path in ["/claim", "/admin/sign-in", &link] {
        asked.push(begin(&portal, path, &[FORM]).await);
    }
    asked.push(begin(&portal, "/admin/events/new", &[FORM, &cookie(&ada)]).await);
    asked.push(begin(&portal, "/admin/backup/restore", &[file, &cookie(&ada)]).await);
    asked.push(begin(&portal, "/api/admin/v1/events", &[json, &token]).await);
    let answers = join_all(asked.into_iter().map(answer)).await;
    for answer in &answers {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("did not arrive in time"), "{answer}");
    }
    assert!(answers[5].contains("\"code\":\"body_timeout\""), "{}", answers[5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_not_told_at_length_what_it_sent() {
    let portal = Portal::start().await;
    let ada = owner::local(&portal.app.db, "Ada", now_ms()).await.unwrap();
    let token =
        api_token::create(&portal.app.db, &ada.actor(now_ms()), "CI", Some(1)).await.unwrap();
    let long = "x".repeat(9000);
    let event = |field: &str, value: serde_json::Value| {
        let mut event = json!({
            "name": "A", "description": "A", "organizer_name": "A", "organizer_email": "a@b.c",
            "start": "2030-01-01T09:00", "end": "2030-01-01T10:00",
        });
        event[field] = value;
        event
    };
    for (noun, field, body) in [
        ("events", &long[..100], event(&long, json!(1))),
        ("events", "time_zone", event("time_zone", json!(long))),
        ("events", "resources", event("resources", json!([long]))),
        ("events", "resources", event("resources", json!(vec!["x"; 1001]))),
        ("resources", "auth", json!({"deployment": "a", "auth": format!("header:{long}é")})),
    ] {
        let url = format!("{}/api/admin/v1/{noun}", portal.url);
        let request = portal.visitor().client.post(url).bearer_auth(token.expose_secret());
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer["error"]["field"], field);
        assert!(answer.to_string().len() < 2000, "{answer}");
    }
}

/// Asks until the answer is this one.
async fn until(request: impl Fn() -> RequestBuilder, status: StatusCode) -> Page {
    let started = Instant::now();
    loop {
        let page = Page::read(request().send().await.unwrap()).await;
        if page.status == status {
            return page;
        }
        assert!(started.elapsed() < PATIENCE, "{}: {}", page.status, page.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_who_stall_keep_out_their_own_network_only_and_no_owner() {
    let portal = Portal::with(&["--trusted-proxies", "127.0.0.1"]).await;
    let ada = portal.administrator("Ada").await;
    let bob = portal.owner("Bob").await;
    let visitor = portal.visitor();
    let from = |address: &str| {
        let request = visitor.client.post(format!("{}/admin/setup/0000", visitor.url));
        request.header("x-forwarded-for", address).form(&[("password", "x"), ("again", "x")])
    };
    let look = || {
        let request = visitor.client.get(format!("{}/claim", visitor.url));
        request.header("x-forwarded-for", "192.0.2.1")
    };
    let stalled = stalling(256, &portal, "/claim", &[FORM, "x-forwarded-for: 192.0.2.1"]).await;
    let page = until(|| from("192.0.2.1"), StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(page.text("h1"), "Too busy right now");
    assert_eq!(page.headers["retry-after"], "5");

    // Answered at the first try: nobody waits for those who stall.
    let at_once = async |request: RequestBuilder| request.send().await.unwrap().status();
    for address in ["192.0.2.2", "2001:db8::1"] {
        assert_eq!(at_once(from(address)).await, StatusCode::GONE);
    }
    // Whoever sends nothing is answered there as well: those who stall have no turn.
    assert_eq!(at_once(look()).await, StatusCode::OK);
    // From there as well.
    let mine = || {
        let request = ada.client.get(format!("{}/admin", ada.url));
        request.header("x-forwarded-for", "192.0.2.1")
    };
    assert_eq!(at_once(mine()).await, StatusCode::OK);
    drop(stalled);
    until(|| from("192.0.2.1"), StatusCode::GONE).await;

    // An owner who stalls keeps out only themselves, on the same network as well.
    let headers = [FORM, &cookie(&ada), "x-forwarded-for: 192.0.2.1"];
    let stalled = stalling(32, &portal, "/admin/events/new", &headers).await;
    until(mine, StatusCode::SERVICE_UNAVAILABLE).await;
    let bobs = bob.client.get(format!("{}/admin", bob.url)).header("x-forwarded-for", "192.0.2.1");
    assert_eq!(at_once(bobs).await, StatusCode::OK);
    drop(stalled);
    until(mine, StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_of_an_address_or_a_form_is_a_page() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    for path in [
        "/admin/events?sort=x",
        "/admin/events?page=x",
        "/admin/resources?sort=x",
        "/admin/audit?page=x",
        "/admin/audit?before=x",
        "/admin/audit/sign-ins?only=x&before=x",
        "/admin/reports?from=x",
        "/admin/capacity?people=x",
        "/admin/sign-in?next=a&next=b",
        "/admin/events/%ff",
        "/admin/events/%ff/attendees?sort=x",
        "/assets/%ff",
        "/admin/setup/%ff",
    ] {
        let page = ada.get(path).await;
        assert!(page.body.starts_with("<!doctype html>"), "{path}: {}", page.body);
        assert!(!page.status.is_server_error(), "{path}: {}", page.status);
    }
    // A file's form, sent as another one.
    for path in ["/admin/backup/restore", "/admin/events/1a2b-0001/attendees"] {
        let page = ada.post(path, &[("count", "1")]).await;
        assert!(page.body.starts_with("<!doctype html>"), "{path}: {}", page.body);
        assert!(page.status.is_client_error(), "{path}: {}", page.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_that_is_too_large_says_how_much_is_read() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    for bytes in [1_100_000, 2_200_000, 3_000_000] {
        let large = "x".repeat(bytes);
        for path in ["/admin/events/new", "/admin/events/preview", "/admin/resources/new"] {
            let page = ada.post(path, &[("description", &*large)]).await;
            assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}, {bytes}");
            assert!(page.body.contains("1 MB") && page.body.contains("Go back"), "{}", page.body);
        }
    }
    let page = portal.visitor().post("/claim", &[("code", &*"x".repeat(9000))]).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(page.body.contains("8 KB"), "{}", page.body);
}
