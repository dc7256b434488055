//! What all of an owner's events came to, and who sees whose.

use ai_proxy::catalog::usage::{self, Batch, Figures, UsageKey};
use ai_proxy::clock::now_ms;
use http::StatusCode;
use http::header::CONTENT_DISPOSITION;

use crate::harness::{Page, Portal};
use crate::workshop::Workshop;

const NINE: i64 = 1_763_798_400_000;

/// An event of one attendee who called so many times, of which one failed.
async fn event(portal: &Portal, owner: &str, name: &str, start: &str, requests: u64) -> String {
    let workshop = Workshop::of(portal, owner).await;
    let set = |draft: &mut ai_proxy::catalog::event::Draft| {
        (draft.name, draft.start) = (name.into(), start.into());
    };
    let event = workshop.event(&[], set).await;
    let attendee = workshop.attendee(&event).await.attendee_id;
    let key = UsageKey {
        event_id: event.as_str().into(),
        attendee_id: attendee.as_str().into(),
        resource_id: "gone".into(),
        operation: "tools/list".into(),
        name: "".into(),
        minute: NINE,
    };
    let figures = Figures {
        requests,
        errors: 1,
        prompt_tokens: 70,
        completion_tokens: 9,
        ..Figures::default()
    };
    let mut batch = Batch::new();
    batch.usage = [(key, figures)].into();
    batch.seen = [(attendee.as_str().into(), NINE)].into();
    usage::flush(&portal.app.db, &batch, now_ms()).await.unwrap();
    event
}

/// The events of a page, in its order, without their ids.
fn names(page: &Page) -> Vec<String> {
    let events = page.all("#reports tbody th");
    events.iter().map(|event| event.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_sorted_searched_and_added_up() {
    let portal = Portal::start().await;
    portal.administrator("Root").await;
    let ada = portal.owner("Ada").await;
    event(&portal, "Ada", "alpha", "2020-01-01T09:00", 30).await;
    event(&portal, "Ada", "Beta", "2020-03-01T09:00", 10).await;
    event(&portal, "Ada", "Gamma & co", "2020-02-01T09:00", 20).await;

    let page = ada.get("/admin/reports").await;
    assert_eq!(names(&page), ["Beta", "Gamma & co", "alpha"], "the latest first");
    assert_eq!(page.all("#reports tfoot th"), ["All 3 events"]);
    assert_eq!(page.all("#reports tfoot td"), ["3 3 connected", "60", "3", "237"]);
    let sorted = |page: &Page| page.all("[aria-sort]:not([aria-sort=none])");
    assert_eq!(sorted(&page), ["Start"]);

    for (order, column, expected) in [
        ("event", "Event", ["alpha", "Beta", "Gamma & co"]),
        ("-event", "Event", ["Gamma & co", "Beta", "alpha"]),
        ("start", "Start", ["alpha", "Gamma & co", "Beta"]),
        ("-requests", "Requests", ["alpha", "Gamma & co", "Beta"]),
        ("requests", "Requests", ["Beta", "Gamma & co", "alpha"]),
    ] {
        let page = ada.get(&format!("/admin/reports?sort={order}")).await;
        assert_eq!(names(&page), expected, "{order}");
        assert_eq!(sorted(&page), [column]);
        let order_said = if order.starts_with('-') { "descending" } else { "ascending" };
        let said = page.attributes("[aria-sort]:not([aria-sort=none])", "aria-sort");
        assert_eq!(said, [order_said]);
    }
    let links = ada.get("/admin/reports?sort=-requests&q=A").await.attributes("thead a", "href");
    assert!(links.contains(&"?q=A&sort=requests".to_owned()), "{links:?}");
    assert!(links.contains(&"?q=A&sort=event".to_owned()), "{links:?}");
    let unknown = ada.get("/admin/reports?sort=colour").await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);

    let found = ada.get("/admin/reports?q=+MMA+%26").await;
    assert_eq!(names(&found), ["Gamma & co"]);
    assert_eq!(found.all("#reports tfoot td"), ["1 1 connected", "20", "1", "79"]);
    let nothing = ada.get("/admin/reports?q=%3Cb%3E").await;
    assert!(nothing.text(".empty").contains("contains “<b>”"));
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_see_their_own_and_administrators_all() {
    let portal = Portal::start().await;
    let root = portal.administrator("Root").await;
    let (ada, eve) = (portal.owner("Ada").await, portal.owner("Eve").await);
    let of_root = event(&portal, "Root", "Of Root", "2020-01-01T09:00", 5).await;
    let of_ada = event(&portal, "Ada", "Of Ada", "2020-01-02T09:00", 7).await;

    let page = ada.get("/admin/reports").await;
    assert_eq!(names(&page), ["Of Ada"]);
    assert!(!page.all("thead th").contains(&"Owner".to_owned()));
    assert!(names(&ada.get("/admin/reports?q=Root").await).is_empty());
    let file = ada.get("/admin/reports/events.csv?q=Of").await.body;
    assert!(file.contains(&of_ada) && !file.contains(&of_root), "{file}");

    let all = root.get("/admin/reports?sort=owner").await;
    assert_eq!(names(&all), ["Of Ada", "Of Root"]);
    assert_eq!(all.all("#reports tbody td[data-label=Owner]"), ["Ada", "Root"]);
    // Only pages that they may open.
    let links = all.attributes("#reports tbody a", "href");
    assert_eq!(links, [format!("/admin/events/{of_root}/metrics")]);
    assert_eq!(names(&root.get("/admin/reports?q=ada").await), ["Of Ada"]);

    let empty = eve.get("/admin/reports").await;
    assert!(empty.text(".empty").starts_with("There are no events yet"));
    assert_eq!(eve.get("/admin/reports/events.csv").await.body.lines().count(), 1);
    for path in ["/admin/reports", "/admin/reports/events.csv"] {
        assert_eq!(portal.visitor().get(path).await.status, StatusCode::SEE_OTHER, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_in_the_pages_order_and_holds_no_formulas() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let formula = event(&portal, "Ada", "=cmd()", "2020-01-02T09:00", 5).await;
    let plain = event(&portal, "Ada", "Plain", "2020-01-01T09:00", 7).await;
    let file = ada.get("/admin/reports/events.csv?sort=-requests").await;
    let name = file.headers[CONTENT_DISPOSITION].to_str().unwrap();
    assert!(name.starts_with("attachment; filename=\"events-20"), "{name}");
    let end = "2099-12-31T18:00,UTC,1,1";
    assert_eq!(
        file.table(),
        format!(
            "event,id,owner,start (UTC),start,end,time zone,attendees,connected,requests,errors,\
             tokens in,tokens out\r\n\
             Plain,{plain},Ada,2020-01-01T09:00:00Z,2020-01-01T09:00,{end},7,1,70,9\r\n\
             '=cmd(),{formula},Ada,2020-01-02T09:00:00Z,2020-01-02T09:00,{end},5,1,70,9\r\n"
        )
    );
}
