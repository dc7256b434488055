//! What an organiser reads of what came of an event.

use std::time::Duration;

use ai_proxy::catalog::usage::{self, Batch, Figures, UsageKey};
use ai_proxy::clock;
use ai_proxy::clock::now_ms;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use crate::harness::Portal;
use crate::workshop::Workshop;

const MINUTE: i64 = 60_000;

/// 09:00 in Berlin.
const NINE: i64 = 1_763_798_400_000;

const TABLES: [&str; 4] = ["over-time", "resources", "operations", "attendees"];

fn path(event: &str) -> String {
    format!("/admin/events/{event}/metrics")
}

/// Writes calls that took so many milliseconds as the proxy does; those of odd
/// times failed.
async fn called(portal: &Portal, key: UsageKey, times_ms: &[u64]) {
    let mut figures = Figures { prompt_tokens: 70, completion_tokens: 9, ..Figures::default() };
    for ms in times_ms {
        figures.add_call(Duration::from_millis(*ms), ms % 2 == 1);
    }
    let mut batch = Batch::new();
    batch.usage = [(key, figures)].into();
    usage::flush(&portal.app.db, &batch, now_ms()).await.unwrap();
}

fn key(event: &str, attendee: &str, resource: &str, name: &str, minute: i64) -> UsageKey {
    UsageKey {
        event_id: event.into(),
        attendee_id: attendee.into(),
        resource_id: resource.into(),
        operation: "tools/call".into(),
        name: name.into(),
        minute,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_stand_in_tables_and_files_by_the_clocks_of_the_event() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let demo = workshop.resource("demo", "http://127.0.0.1:1/mcp", &"key".into()).await;
    let event = workshop.event(&[&demo], |draft| draft.time_zone = "Europe/Berlin".into()).await;
    let bob = workshop.attendee(&event).await.attendee_id;
    called(&portal, key(&event, &bob, &demo, "echo", NINE), &[40, 40, 40, 41]).await;
    called(&portal, key(&event, &bob, &demo, "=cmd()", NINE + MINUTE), &[2_000]).await;
    called(&portal, key(&event, "gone", "gone", "add", NINE + 61 * MINUTE), &[4]).await;

    let page = ada.get(&path(&event)).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert_eq!(page.text("nav.tabs [aria-current=page]"), "Metrics");
    assert!(page.body.contains("2025-11-22, up to the last day with calls"), "{}", page.body);
    assert!(page.body.contains("Europe/Berlin") && page.body.contains("a second or two"));
    assert_eq!(page.all("#over-time tbody tr"), ["10:01 1 0 1", "09:01 1 0 1", "09:00 4 1 1"]);
    assert_eq!(
        page.all("#by-resource tbody tr"),
        ["demo 5 1 44 ms 2.5 s 140 18", "(deleted) 1 0 5 ms 5 ms 70 9"]
    );
    assert_eq!(
        page.all("#by-operation tbody th"),
        ["echo tools/call", "=cmd() tools/call", "add tools/call"]
    );
    let people = page.all("#by-attendee tbody tr");
    assert!(people[0].ends_with("5 1 140 18"), "{people:?}");
    assert_eq!(people[1], "(not known) 1 0 70 9");
    let hours = ada.get(&format!("{}?by=hour", path(&event))).await;
    assert_eq!(
        hours.all("#over-time tbody tr"),
        ["2025-11-22 10:00 1 0 1", "2025-11-22 09:00 5 1 1"]
    );
    let days = ada.get(&format!("{}?by=day", path(&event))).await;
    assert_eq!(days.all("#over-time tbody tr"), ["2025-11-22 6 1 2"]);
    assert_eq!(days.text(".pager [aria-current]"), "Three months by day");

    // Every file that the page leads to.
    let files = page.attributes("a[download]", "href");
    assert_eq!(files.len(), TABLES.len());
    for file in &files {
        let file = ada.get(file).await;
        assert_eq!(file.status, StatusCode::OK);
        assert!(file.headers[CONTENT_TYPE].to_str().unwrap().starts_with("text/csv"));
        let name = file.headers[CONTENT_DISPOSITION].to_str().unwrap();
        assert!(name.contains(&format!("{event}-2025-11-22-")), "{name}");
    }
    let over_time = ada.get(&format!("{}/over-time.csv?by=minute", path(&event))).await;
    assert_eq!(
        over_time.table(),
        "start (UTC),Europe/Berlin,requests,errors,active\r\n\
         2025-11-22T08:00:00Z,09:00,4,1,1\r\n\
         2025-11-22T08:01:00Z,09:01,1,0,1\r\n\
         2025-11-22T09:01:00Z,10:01,1,0,1\r\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_hold_no_formulas() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    for name in ["=cmd()", "+1", "-1", "@sum"] {
        called(&portal, key(&event, "gone", "gone", name, NINE), &[2]).await;
    }
    let file = ada.get(&format!("{}/operations.csv", path(&event))).await;
    let mut lines = file.table().lines();
    assert_eq!(
        lines.next().unwrap(),
        "resource,operation,tool or prompt,requests,errors,p50 (ms),p95 (ms),tokens in,tokens out"
    );
    let rest: Vec<_> = lines.collect();
    assert_eq!(rest.len(), 4);
    for line in rest {
        assert!(line.starts_with("(deleted),tools/call,'"), "{line}");
        assert!(line.ends_with(",1,0,5,5,70,9"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_calls_the_page_says_so_and_files_are_headings() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let event = Workshop::of(&portal, "Ada").await.event(&[], |_| {}).await;
    let page = ada.get(&path(&event)).await;
    assert!(page.text(".empty").starts_with("Nobody has called yet"));
    assert!(page.all("main table, main figure").is_empty());
    assert_eq!(page.all(".figures dd"), ["0"; 7]);
    for table in TABLES {
        let file = ada.get(&format!("{}/{table}.csv", path(&event))).await;
        assert_eq!((file.status, file.body.lines().count()), (StatusCode::OK, 1), "{table}");
    }
    let nothing = ada.get(&format!("{}/nothing.csv", path(&event))).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    let odd = ada.get(&format!("{}?by=year", path(&event))).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_from_a_backup_have_neither_people_nor_times() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let event = Workshop::of(&portal, "Ada").await.event(&[], |_| {}).await;
    let mut batch = Batch::new();
    let restored = UsageKey { operation: "restored".into(), ..key(&event, "", "gone", "", NINE) };
    batch.usage = [(restored, Figures { requests: 120, ..Figures::default() })].into();
    usage::flush(&portal.app.db, &batch, now_ms()).await.unwrap();
    let page = ada.get(&path(&event)).await;
    assert_eq!(page.all("#by-resource tbody tr"), ["(deleted) 120 0 – – 0 0"]);
    assert_eq!(page.all("#over-time tbody td:last-child"), ["0"]);
    assert_eq!(page.all("#by-attendee tbody tr"), ["(not known) 120 0 0 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_day_is_drawn_whole_on_a_small_page() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let event = Workshop::of(&portal, "Ada").await.event(&[], |_| {}).await;
    let midnight = i64::from(clock::day_of(NINE)) * 86_400_000;
    let mut batch = Batch::new();
    for minute in 0..1_440_i64 {
        for n in 0..3_i64 {
            let (attendee, name) =
                (format!("attendee-{}", minute % 40), format!("tool-{n}-{}", minute % 50));
            let figures = Figures {
                requests: (minute * 7_919 % 97 + 1).unsigned_abs(),
                errors: (minute * 31 % 5).unsigned_abs(),
                ..Figures::default()
            };
            let key = key(&event, &attendee, "gone", &name, midnight + minute * MINUTE);
            batch.usage.insert(key, figures);
        }
    }
    usage::flush(&portal.app.db, &batch, now_ms()).await.unwrap();
    let page = ada.get(&path(&event)).await;
    assert!(page.body.len() < 50_000, "{} bytes", page.body.len());
    assert_eq!(page.attribute("#metrics", "data-live").as_deref(), Some("10"));
    assert_eq!(page.all("figure svg[role=img] title"), ["Requests", "Active attendees"]);
    assert_eq!(page.attribute("figure svg", "viewBox").as_deref(), Some("0 0 1440 100"));
    assert_eq!(page.all("figure:first-of-type .axis span"), ["00:00", "12:00", "23:59"]);
    assert!(page.body.contains("The last 48 of 1440"));
    for inline in ["style=", "<script>"] {
        assert!(!page.body.contains(inline));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_owners_figures_are_not_there() {
    let portal = Portal::start().await;
    portal.administrator("Ada").await;
    let bob = portal.owner("Bob").await;
    let event = Workshop::of(&portal, "Ada").await.event(&[], |_| {}).await;
    called(&portal, key(&event, "gone", "gone", "echo", NINE), &[2]).await;
    assert_eq!(bob.get(&path(&event)).await.status, StatusCode::NOT_FOUND);
    for table in TABLES {
        let path = format!("{}/{table}.csv", path(&event));
        assert_eq!(bob.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(portal.visitor().get(&path).await.status, StatusCode::SEE_OTHER, "{path}");
    }
}
