//! What organisers see of personal data that is removed: before, after, and where a backup would
//! bring it back.

use std::time::Duration;

use ai_proxy::catalog::event::forget;
use ai_proxy::clock::now_ms;
use http::header::LOCATION;

use crate::backup::{download, upload};
use crate::harness::Portal;
use crate::workshop::Workshop;

const DAY_MS: i64 = 86_400_000;

fn wall_clock(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    at.strftime("%Y-%m-%dT%H:%M").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_announced_and_said_and_a_backup_that_brings_names_back_says_so() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let set = |draft: &mut ai_proxy::catalog::event::Draft| {
        draft.end = wall_clock(now_ms() - 3 * DAY_MS);
        draft.forget_after_days = Some(11);
    };
    let event = workshop.event(&[], set).await;
    let path = format!("/admin/events/{event}");
    let list = format!("{path}/attendees");
    ada.upload(&list, &[("count", ""), ("names", "Grace Hopper")], b"").await;
    assert!(ada.get(&list).await.all("#forgets").is_empty(), "eight days before");
    let sooner = sqlx::query("update event set forget_after_days = 5");
    sooner.execute(portal.app.db.writer()).await.unwrap();
    for page in ["", "/attendees", "/preflight", "/room", "/metrics"] {
        let page = ada.get(&format!("{path}{page}")).await;
        assert!(page.text("#forgets").contains("are removed on"), "{}", page.body);
    }
    let before = download(&ada).await;

    let app = &portal.app;
    let due = now_ms() + 3 * DAY_MS;
    forget::run(&app.db, &app.vault, due, Duration::from_secs(60)).await.unwrap();
    assert_eq!(workshop.trail().await, "forgot: Room: personal data of 1 attendees");
    let page = ada.get(&list).await;
    assert!(page.text("#forgotten").contains("Personal data was removed on"), "{}", page.body);
    assert!(page.all("#forgets").is_empty() && !page.body.contains("Grace"), "{}", page.body);

    let after = download(&ada).await;
    for (file, brings_back) in [(before, true), (after, false)] {
        let answer = upload(&ada, &file, "a dozen purple kites").await;
        let preview = ada.get(answer.headers[LOCATION].to_str().unwrap()).await;
        assert_eq!(!preview.all("#names-heading").is_empty(), brings_back, "{}", preview.body);
    }
}
