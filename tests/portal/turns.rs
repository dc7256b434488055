//! One owner's servers that never answer, and uploads that never end, hold up no other owner.

use std::time::{Duration, Instant};

use ai_proxy::catalog::owner::{self, api_token};
use ai_proxy::clock::now_ms;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::StatusCode;
use http::header::ORIGIN;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Page, Portal, Visitor};
use crate::mcp::{self, Server};
use crate::workshop::Workshop;

/// Less than a server that does not answer is waited for.
const SOON: Duration = Duration::from_secs(10);

fn key() -> SecretString {
    "backend-key".into()
}

/// A place that takes connections and never says a word.
async fn black_hole() -> String {
    mcp::saying("", "").await
}

async fn test(visitor: &Visitor, endpoint: &str) -> Page {
    let fields = [
        ("name", ""),
        ("deployment", ""),
        ("kind", "mcp-server"),
        ("endpoint", endpoint),
        ("auth", "none"),
        ("key", ""),
        ("region", ""),
    ];
    visitor.post("/admin/resources/test", &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_of_connections_take_turns() {
    let portal = Portal::with(&["--health-interval", "0"]).await;
    let ada = portal.administrator("Ada").await;
    let bob = portal.owner("Bob").await;
    let (hole, server) = (black_hole().await, Server::start().await);
    // As many as are under way or wait: whichever comes one too many is told at once.
    let mut tests: FuturesUnordered<_> = (0..11).map(|_| test(&ada, &hole)).collect();
    let started = Instant::now();
    let refused = tests.next().await.unwrap();
    assert!(refused.text("#outcome").contains("not tested: too many tests are under way"));

    // The same for programs.
    let me = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap();
    let token =
        api_token::create(&portal.app.db, &me.actor(now_ms()), "CI", Some(1)).await.unwrap();
    let workshop = Workshop::of(&portal, "Ada").await;
    let demo = workshop.resource("demo", &server.url(), &key()).await;
    let url = format!("{}/api/admin/v1/resources/{demo}/test", portal.url);
    let asked = ada.client.post(url).bearer_auth(token.expose_secret()).send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::SERVICE_UNAVAILABLE);
    let answer: Value = asked.json().await.unwrap();
    assert_eq!(answer["error"]["code"], "busy");

    let page = test(&bob, &server.url()).await;
    assert_eq!(page.text("#outcome h2"), "The connection works");
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn pre_flights_take_turns() {
    let portal = Portal::with(&["--health-interval", "0"]).await;
    let ada = portal.administrator("Ada").await;
    let bob = portal.owner("Bob").await;
    let (adas, bobs) = (Workshop::of(&portal, "Ada").await, Workshop::of(&portal, "Bob").await);
    let hole = black_hole().await;
    let mut holes = Vec::new();
    for n in 0..8 {
        holes.push(adas.resource(&format!("hole-{n}"), &hole, &key()).await);
    }
    let holes: Vec<&str> = holes.iter().map(String::as_str).collect();
    let path = |event: &str| format!("/admin/events/{event}/preflight");
    let started = Instant::now();
    for _ in 0..4 {
        let event = adas.event(&holes, |_| {}).await;
        let page = ada.post_and_follow(&path(&event), &[]).await;
        assert_eq!(page.flash(), "The pre-flight is running.");
    }
    let event = adas.event(&holes, |_| {}).await;
    let page = ada.post_and_follow(&path(&event), &[]).await;
    assert!(page.flash().contains("too many pre-flights are running"), "{}", page.flash());

    let server = Server::start().await;
    let demo = bobs.resource("demo", &server.url(), &key()).await;
    let event = bobs.event(&[&demo], |_| {}).await;
    bob.post_and_follow(&path(&event), &[]).await;
    loop {
        let page = bob.get(&path(&event)).await;
        if page.all("#board:not([data-live])").len() == 1 {
            assert!(page.text("#board").contains("Little 1, MCP 2025-11-25"), "{}", page.body);
            break;
        }
        assert!(started.elapsed() < SOON, "{}", page.text("#board"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_in_the_background_take_turns() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let bob = portal.owner("Bob").await;
    let (adas, bobs) = (Workshop::of(&portal, "Ada").await, Workshop::of(&portal, "Bob").await);
    let (hole, server) = (black_hole().await, Server::start().await);
    let mut holes = Vec::new();
    for n in 0..8 {
        holes.push(adas.resource(&format!("hole-{n}"), &hole, &key()).await);
    }
    let holes: Vec<&str> = holes.iter().map(String::as_str).collect();
    adas.event(&holes, |_| {}).await;
    // They are being asked.
    let started = Instant::now();
    while portal.app.plane.snapshot.load().events.is_empty() {
        assert!(started.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let demo = bobs.resource("demo", &server.url(), &key()).await;
    bobs.event(&[&demo], |_| {}).await;
    while !bob.get("/admin/resources").await.text("[data-label=Health]").starts_with("works") {
        assert!(started.elapsed() < SOON, "Bob's server is not checked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The head of an upload and as much of the file as says nothing yet.
async fn begin_upload(visitor: &Visitor, path: &str, bytes: usize) -> TcpStream {
    let address = visitor.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {bytes}\r\n\
         cookie: ai-proxy-session={}\r\ncontent-type: multipart/form-data; boundary=mark\r\n\r\n\
         --mark\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nAIPROXYB",
        visitor.session().unwrap()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Begins so many uploads at once; the one too many is told so.
async fn one_is_refused(visitor: &Visitor, path: &str, count: usize) {
    let mut begun: Vec<_> =
        join_all((0..count).map(|_| begin_upload(visitor, path, 40_000_000))).await;
    let mut answers: FuturesUnordered<_> = begun
        .iter_mut()
        .map(async |stream| {
            let mut answer = vec![0; 16 * 1024];
            let length = stream.read(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer[..length]).into_owned()
        })
        .collect();
    let refused = tokio::time::timeout(SOON, answers.next()).await.unwrap().unwrap();
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_take_their_turn_before_they_are_read() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let bob = portal.owner("Bob").await;
    let started = Instant::now();
    // One is read and two wait: the fourth is told at once.
    one_is_refused(&ada, "/admin/backup/restore", 4).await;

    let path = "/admin/backup/restore";
    let page = bob.upload(path, &[("file_passphrase", "a dozen purple kites")], b"no backup").await;
    assert!(page.problem("file").contains("is no backup"), "{}", page.body);
    assert!(started.elapsed() < SOON);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_names_take_their_turn_before_they_are_read() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let bob = portal.owner("Bob").await;
    let (adas, bobs) = (Workshop::of(&portal, "Ada").await, Workshop::of(&portal, "Bob").await);
    let event = adas.event(&[], |_| {}).await;
    let path = |event: &str| format!("/admin/events/{event}/attendees");
    // Two are read and four wait.
    one_is_refused(&ada, &path(&event), 7).await;
    let event = bobs.event(&[], |_| {}).await;
    let page = bob.upload(&path(&event), &[("count", ""), ("names", "")], b"Name\nGrace\n").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_nobody_reads_is_the_owners_only_one() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    // Larger than what sockets hold.
    for _ in 0..600 {
        workshop.event(&[], |draft| draft.description = "🦀".repeat(8192)).await;
    }
    let ask = || {
        let url = format!("{}/admin/backup/file", ada.url);
        let passphrase = "a dozen purple kites";
        let fields = [("passphrase", passphrase), ("again", passphrase)];
        ada.client.post(url).header(ORIGIN, &ada.url).form(&fields).send()
    };
    let unread = ask().await.unwrap();
    assert_eq!(unread.status(), StatusCode::OK);
    let second = ask().await.unwrap();
    assert_eq!(second.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(second.text().await.unwrap().contains("another backup is being made or read"));
    let file = unread.bytes().await.unwrap();
    assert!(file.len() > 19_000_000, "{}", file.len());
    assert_eq!(ask().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_tools_that_does_not_end_is_not_read_to_it() {
    let portal = Portal::with(&["--health-interval", "0"]).await;
    let ada = portal.administrator("Ada").await;
    // A megabyte a page.
    let server = Server::with_pages_of(1 << 20).await;
    let page = test(&ada, &server.url()).await;
    let said = page.text("#outcome");
    assert!(said.contains("answers to tools/list are larger than 4 MiB in all"), "{said}");
    let asked = server.asked.lock();
    assert_eq!(asked.iter().filter(|one| one.rpc == "tools/list").count(), 4);
}
