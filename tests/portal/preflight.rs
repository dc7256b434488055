//! The pre-flight of an event: what it tries, what it says, and that nobody else notices.

use std::time::{Duration, Instant};

use ai_proxy::demo::backend::Backend;
use http::StatusCode;
use secrecy::SecretString;

use crate::harness::{Page, Portal, Visitor};
use crate::mcp::{self, Server};
use crate::workshop::Workshop;

const PATIENCE: Duration = Duration::from_secs(20);

/// Servers are asked by nobody but a pre-flight, so that what they are asked can be counted.
const UNWATCHED: &[&str] = &["--health-interval", "0"];

fn path(event: &str) -> String {
    format!("/admin/events/{event}/preflight")
}

/// Runs it and waits for its end.
async fn run(visitor: &Visitor, event: &str, fields: &[(&str, &str)]) -> Page {
    let page = visitor.post_and_follow(&path(event), fields).await;
    assert_eq!(page.flash(), "The pre-flight is running.");
    settled(visitor, event).await
}

async fn settled(visitor: &Visitor, event: &str) -> Page {
    let started = Instant::now();
    loop {
        let page = visitor.get(&path(event)).await;
        assert_eq!(page.status, StatusCode::OK);
        if page.all("#board:not([data-live])").len() == 1 {
            return page;
        }
        assert!(started.elapsed() < PATIENCE, "{}", page.text("#board"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The result of a step of the n-th table, and what was found.
#[track_caller]
fn step(page: &Page, table: usize, what: &str) -> (String, String) {
    let rows = page.all(&format!("#board .scroll:nth-of-type({table}) tbody tr"));
    let row = rows.iter().find(|row| row.starts_with(what));
    let row = row.unwrap_or_else(|| panic!("{what} in {rows:?}"));
    let rest = row[what.len()..].trim().to_owned();
    let marks = ["good", "look at this", "failed", "skipped", "waiting", "running"];
    let mark = marks.iter().find(|mark| rest.starts_with(**mark)).expect("a mark");
    let said = rest[mark.len()..].trim();
    let said = said.split_once(" ms ").map_or(said, |(_, said)| said);
    ((*mark).to_owned(), said.to_owned())
}

fn good(said: &str) -> (String, String) {
    ("good".into(), said.into())
}

fn failed(said: impl Into<String>) -> (String, String) {
    ("failed".into(), said.into())
}

fn any_key() -> SecretString {
    "backend-key".into()
}

/// The port of this run taken out.
fn without_port(said: (String, String), url: &str) -> (String, String) {
    let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap();
    (said.0, said.1.replace(host, "HOST"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_server_is_opened_listed_called_and_left_before_the_event() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let backend = Backend::start().await.unwrap();
    let demo = workshop.resource("demo", &backend.endpoint, &backend.key).await;
    let event = workshop
        .event(&[&demo], |draft| {
            draft.active = false;
            draft.start = "2098-01-01T09:00".into();
        })
        .await;
    let key = workshop.attendee(&event).await.api_key;

    let page = ada.get(&path(&event)).await;
    assert_eq!(page.text("nav.tabs [aria-current=page]"), "Pre-flight");
    assert!(page.body.contains("Not run yet"), "{}", page.body);
    let fields =
        [("resource", &*demo), ("tool", "echo"), ("arguments", r#"{"message": "hello <b>"}"#)];
    let page = run(&ada, &event, &fields).await;
    let (mark, said) = step(&page, 2, "Open");
    assert_eq!(mark, "good");
    assert!(said.starts_with("Demo MCP Server "), "{said}");
    assert_eq!(step(&page, 2, "List the tools"), good("2 tools"));
    assert_eq!(step(&page, 2, "Call echo"), good("\u{201c}hello <b>\u{201d}"));
    assert_eq!(step(&page, 2, "Leave"), good("its session is ended"));
    assert_eq!(page.attribute("#tool-1", "value").as_deref(), Some("echo"), "kept for next time");
    assert_eq!(page.attributes("datalist option", "value").len(), 2);
    let (mark, said) = step(&page, 1, "Open at its start");
    assert_eq!(mark, "look at this");
    assert!(said.contains("switched off") && said.contains("at 2098-01-01 09:00 (UTC)"), "{said}");
    assert_eq!(step(&page, 1, "Resources"), good("1 of 1 can be called"));
    assert_eq!(step(&page, 1, "Attendees"), good("1 person has a key"));
    assert_eq!(step(&page, 1, "Caps").0, "good");
    let (mark, said) = step(&page, 1, "Public address");
    assert_eq!(mark, "look at this");
    assert!(said.starts_with("no --public-url is set"), "{said}");
    assert_eq!(page.all("#outcome .badge"), ["2 to look at"]);
    assert!(page.body.len() < 50_000);

    // It opened the event to nobody, and nobody was counted for it.
    workshop.comes_to(&key, "demo", "event_inactive").await;
    assert_eq!(workshop.trail().await, "ran the pre-flight of: Room, calling echo of demo");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_calls_are_an_attendees_to_the_backend_and_in_no_figures() {
    let portal = Portal::with(UNWATCHED).await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let little = workshop.resource("little", &server.url(), &any_key()).await;
    let event = workshop.event(&[&little], |draft| draft.daily_request_cap = 1).await;
    let key = workshop.attendee(&event).await.api_key;
    let fields = [("resource", &*little), ("tool", "echo"), ("arguments", "")];
    for _ in 0..2 {
        let page = run(&ada, &event, &fields).await;
        assert_eq!(step(&page, 2, "Call echo"), good("\u{201c}echoed\u{201d}"));
        assert_eq!(step(&page, 2, "Leave"), good("the server ends sessions by itself (405)"));
    }
    let asked = server.asked.lock().clone();
    let rpcs: Vec<_> = asked.iter().take(5).map(|asked| asked.rpc.as_str()).collect();
    assert_eq!(
        rpcs,
        ["initialize", "notifications/initialized", "tools/list", "tools/call", "initialize"],
        "{asked:?}"
    );
    // A second session was opened to compare, and both were to be ended.
    assert_eq!([&asked[5].method, &asked[6].method], [http::Method::DELETE; 2]);
    for asked in &asked {
        let header = |name| asked.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("api-key"), Some("backend-key"));
        assert!(header("x-request-id").unwrap().starts_with("preflight-"), "{asked:?}");
        assert!(header("user-agent").unwrap().contains("(pre-flight)"));
    }
    assert_eq!(workshop.number("select count(*) from mcp_session").await, 0, "nobody's");

    // What is counted once a second is only the attendee's own call.
    workshop.comes_to(&key, "little", "ok").await;
    assert_eq!(workshop.call(&key, "little").await, "daily_cap_reached", "a cap of one");
    let started = Instant::now();
    while workshop.number("select count(*) from usage").await == 0 {
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(workshop.number("select cast(sum(requests) as bigint) from usage").await, 1);
    assert_eq!(workshop.number("select count(*) from quota").await, 1);
    assert_eq!(workshop.number("select count(*) from attendee").await, 1);
}

/// A session that a server gives everybody is never ended, whoever asks, and its page says so
/// for as long as its endpoint stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_everybody_has_is_never_ended_and_the_resource_says_so() {
    const SAID: &str = "This server gives everybody one session.";
    for by_test in [true, false] {
        let portal = Portal::with(UNWATCHED).await;
        let ada = portal.administrator("Ada").await;
        let workshop = Workshop::of(&portal, "Ada").await;
        let server = Server::with_one_session().await;
        let little = workshop.resource("little", &server.url(), &any_key()).await;
        let resource = format!("/admin/resources/{little}");
        assert!(!ada.get(&resource).await.body.contains(SAID));
        let mut fields = vec![
            ("id", &*little),
            ("name", "little"),
            ("deployment", "little"),
            ("kind", "mcp-server"),
            ("auth", "api-key"),
            ("key", ""),
            ("region", ""),
        ];
        let (url, moved) = (server.url(), server.url() + "?moved=1");
        if by_test {
            fields.push(("endpoint", &url));
            let page = ada.post("/admin/resources/test", &fields).await;
            assert!(page.body.contains(SAID), "{}", page.body);
        } else {
            let event = workshop.event(&[&little], |_| {}).await;
            let page = run(&ada, &event, &[]).await;
            let said = "this server gives everybody one session, so it is not ended";
            assert_eq!(step(&page, 2, "Leave"), good(said));
        }
        assert!(ada.get(&resource).await.body.contains(SAID));
        assert!(!server.asked.lock().iter().any(|asked| asked.method == http::Method::DELETE));

        fields.retain(|(name, _)| *name != "endpoint");
        fields.push(("endpoint", &moved));
        ada.post_and_follow(&resource, &fields).await;
        assert!(!ada.get(&resource).await.body.contains(SAID), "it was another endpoint");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_in_trouble_are_told_apart_with_exact_reasons() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let backend = Backend::start().await.unwrap();
    let wrong = backend.endpoint.replace("/mcp", "/wrong");
    let refused = mcp::nowhere().await;
    let redirect =
        mcp::saying("HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n", "")
            .await;
    let mut resources = Vec::new();
    for (name, endpoint, key) in [
        ("unauthorized", &backend.endpoint, &any_key()),
        ("refused", &refused, &any_key()),
        ("wrong-path", &wrong, &backend.key),
        ("redirect", &redirect, &any_key()),
    ] {
        resources.push(workshop.resource(name, endpoint, key).await);
    }
    let linked: Vec<&str> = resources.iter().map(String::as_str).collect();
    let event = workshop.event(&linked, |_| {}).await;
    let page = run(&ada, &event, &[]).await;
    assert_eq!(
        step(&page, 2, "Open"),
        failed(
            "401 from backend: it does not accept the key registered for this resource, which was \
             sent in the header api-key"
        )
    );
    assert_eq!(
        without_port(step(&page, 3, "Open"), &refused),
        failed(
            "HOST refused the connection: is the MCP server running, and on this port? \
             (attendees get 503 backend_unreachable)"
        )
    );
    assert_eq!(
        step(&page, 4, "Open"),
        failed(
            "wrong path: nothing speaks MCP at /wrong/mcp, but /mcp does; put /mcp into the \
             endpoint URL"
        )
    );
    assert_eq!(
        step(&page, 5, "Open"),
        failed(
            "302 from backend: it redirects to /login; register the URL that it leads to \
             (attendees get 502 backend_redirect)"
        )
    );
    for table in 2..=5 {
        for what in ["List the tools", "Leave"] {
            assert_eq!(step(&page, table, what).0, "skipped");
        }
    }
    assert_eq!(page.all("#outcome .badge")[0], "4 failed");
    assert!(!page.body.contains("backend-key"), "no key is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_that_works_is_found_by_way_of_a_server_that_is_busy() {
    let portal = Portal::with(UNWATCHED).await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let wrong = server.url().replace("/mcp", "/wrong");
    let wrong = workshop.resource("wrong", &wrong, &any_key()).await;
    let event = workshop.event(&[&wrong], |_| {}).await;
    let page = run(&ada, &event, &[]).await;
    assert_eq!(
        step(&page, 2, "Open"),
        failed(
            "wrong path: nothing speaks MCP at /wrong/mcp, but /mcp does; put /mcp into the \
             endpoint URL"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let portal = Portal::with(&["--backend-timeout", "1"]).await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let slow = workshop.resource("slow", &mcp::saying("", "").await, &any_key()).await;
    let event = workshop.event(&[&slow], |_| {}).await;
    let page = run(&ada, &event, &[]).await;
    assert_eq!(
        step(&page, 2, "Open"),
        failed("the answer took longer than 1 s (attendees get 503 backend_timeout)")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_come_to_an_end_is_not_read_to_it() {
    let portal = Portal::with(UNWATCHED).await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let endless = mcp::saying(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ",
        &"and so on and so on, for ever and ever, without an end of the line ".repeat(1_000),
    )
    .await;
    let endless = workshop.resource("endless", &endless, &any_key()).await;
    let event = workshop.event(&[&endless], |_| {}).await;
    let page = run(&ada, &event, &[]).await;
    assert_eq!(
        step(&page, 2, "Open"),
        failed("not an MCP endpoint: it answered 200 with a very large event")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_fails_or_is_not_there_is_said() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let one = workshop.resource("one", &server.url(), &any_key()).await;
    let two = workshop.resource("two", &server.url(), &any_key()).await;
    let event = workshop.event(&[&one, &two], |_| {}).await;
    let fields = [
        ("resource", &*one),
        ("tool", "break"),
        ("arguments", "{}"),
        ("resource", &*two),
        ("tool", "missing"),
        ("arguments", ""),
    ];
    let page = run(&ada, &event, &fields).await;
    assert_eq!(step(&page, 2, "Call break"), failed("the tool says that it failed: out of order"));
    assert_eq!(step(&page, 3, "Call missing"), failed("the server has no tool named missing"));
    assert_eq!(step(&page, 3, "Leave").0, "good");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_cannot_be_sent_are_refused_beside_their_field() {
    let portal = Portal::with(UNWATCHED).await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &any_key()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    for (tool, arguments, field, problem) in [
        ("echo", "{", "arguments", "Arguments are not JSON: line 1, column 1."),
        (
            "echo",
            "[1]",
            "arguments",
            "Arguments must be one JSON object, as {\"message\": \"hello\"}.",
        ),
        ("", "{}", "tool", "Tool is needed where there are arguments."),
    ] {
        let fields = [("resource", &*demo), ("tool", tool), ("arguments", arguments)];
        let page = ada.post(&path(&event), &fields).await;
        assert_eq!(page.problem(field), problem);
        assert_eq!(page.text("#arguments-1"), arguments, "it is kept");
    }
    let torn = ada.post(&path(&event), &[("resource", &*demo), ("tool", "x")]).await;
    assert_eq!(torn.status, StatusCode::BAD_REQUEST);
    assert!(server.asked.lock().is_empty());
    assert!(portal.app.preflights.last(&workshop.by.owner_id, &event).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_at_a_time_and_its_progress_is_shown() {
    let portal = Portal::with(&["--backend-timeout", "2"]).await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let slow = workshop.resource("slow", &mcp::saying("", "").await, &any_key()).await;
    let off = workshop.resource("off", &mcp::nowhere().await, &any_key()).await;
    let event = workshop.event(&[&slow, &off], |_| {}).await;
    let app = &portal.app;
    ai_proxy::catalog::resource::set_active(&app.db, &workshop.by, &off, false).await.unwrap();
    ada.post_and_follow(&path(&event), &[]).await;
    let page = ada.post_and_follow(&path(&event), &[]).await;
    assert_eq!(page.flash(), "Nothing was started: a pre-flight of this event is running already.");
    assert_eq!(page.attribute("#board", "data-live").as_deref(), Some("1"));
    assert_eq!(step(&page, 2, "Open").0, "running");
    assert_eq!(page.all("#board a.button"), ["Look again"], "for those without JavaScript");
    let page = settled(&ada, &event).await;
    let (mark, said) = step(&page, 3, "Switched on");
    assert_eq!(mark, "look at this");
    assert!(said.contains("404 deployment_off"), "{said}");
    assert_eq!(step(&page, 1, "Resources"), ("look at this".into(), "switched off: off".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_goes_with_its_event() {
    let portal = Portal::with(UNWATCHED).await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    run(&ada, &event, &[]).await;
    let last = || portal.app.preflights.last(&workshop.by.owner_id, &event);
    assert!(last().is_some());
    ada.post_and_follow(&format!("/admin/events/{event}/delete"), &[]).await;
    assert!(last().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_url_is_asked_and_known_again() {
    let away = mcp::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "").await;
    let away = away.strip_suffix("/mcp").unwrap();
    let portal = Portal::with(&["--public-url", away]).await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    let page = run(&ada, &event, &[]).await;
    let (mark, said) = without_port(step(&page, 1, "Public address"), away);
    assert_eq!(mark, "failed");
    assert_eq!(said, "something answers at http://HOST/ (200), but it is not this proxy");
    assert_eq!(
        step(&page, 1, "Resources"),
        failed("none is linked, so there is nothing to call. Link some")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_url_that_leads_here_is_known_by_its_answer() {
    let front = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let public = format!("http://{}", front.local_addr().unwrap());
    let portal = Portal::with(&["--public-url", &public]).await;
    let behind = portal.url.strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = front.accept().await {
            let mut server = tokio::net::TcpStream::connect(&behind).await.unwrap();
            tokio::spawn(
                async move { tokio::io::copy_bidirectional(&mut client, &mut server).await },
            );
        }
    });
    let ada = portal.administrator("Ada").await;
    let event = Workshop::of(&portal, "Ada").await.event(&[], |_| {}).await;
    let page = run(&ada, &event, &[]).await;
    let (mark, said) = without_port(step(&page, 1, "Public address"), &public);
    assert_eq!(mark, "look at this", "it is of this machine alone");
    assert!(said.starts_with("http://HOST/ leads here, asked from this machine, but"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_code_that_lets_nobody_in_is_said() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop
        .event(&[], |draft| {
            draft.shared_code = Some("welcome1".to_owned().into());
            draft.registration = "closed".into();
        })
        .await;
    let shut = "the shared code lets nobody new in, because registration is closed in the event's \
                settings";
    let page = run(&ada, &event, &[]).await;
    let (mark, said) = step(&page, 1, "Attendees");
    assert_eq!((&*mark, &*said), ("failed", &*format!("nobody has a key yet; {shut}")));
    workshop.attendee(&event).await;
    let page = run(&ada, &event, &[]).await;
    let (mark, said) = step(&page, 1, "Attendees");
    assert_eq!((&*mark, &*said), ("look at this", &*format!("1 person has a key; {shut}")));

    let by_github = workshop.event(&[], |draft| draft.registration = "github".into()).await;
    let page = run(&ada, &by_github, &[]).await;
    let (mark, said) = step(&page, 1, "Attendees");
    let not_set_up = "nobody has a key yet; people cannot join with GitHub, because it is not set up on \
                      this proxy. Set --github-client-id, or untick GitHub in the event's settings";
    assert_eq!((&*mark, &*said), ("failed", not_set_up));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_owners_pre_flight_is_not_there() {
    let portal = Portal::with(UNWATCHED).await;
    let ada = portal.administrator("Ada").await;
    let bob = portal.owner("Bob").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &any_key()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    run(&ada, &event, &[]).await;
    let asked = server.asked.lock().len();
    assert_eq!(bob.get(&path(&event)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bob.post(&path(&event), &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ada.get(&path("0000-0000")).await.status, StatusCode::NOT_FOUND);
    portal.visitor().post(&path(&event), &[]).await.says_signed_out();
    assert_eq!(server.asked.lock().len(), asked);
}
