//! The calculator of what a room full of people needs.

use http::StatusCode;

use crate::harness::{Page, Portal};

const CAPACITY: &str = "/admin/capacity";

/// A row of the table: what is needed, and what to do.
#[track_caller]
fn row(page: &Page, name: &str) -> (String, String) {
    let names = page.all("#plan tbody th");
    let at = names.iter().position(|found| found == name).unwrap_or_else(|| panic!("{names:?}"));
    let cells = page.all("#plan tbody td");
    (cells[2 * at].clone(), cells[2 * at + 1].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_is_multiplied_and_says_what_to_set() {
    let portal = Portal::start().await;
    let ada = portal.owner("Ada").await;
    assert!(ada.get("/admin").await.attributes("a", "href").iter().any(|to| to == CAPACITY));
    let home = ada.get(CAPACITY).await;
    assert_eq!(home.status, StatusCode::OK);
    assert_eq!(home.attributes("form[action='/admin/capacity']", "method"), ["get"]);
    assert_eq!(row(&home, "Tokens a minute").0, "150,000");

    let query = "attendees=100&prompts=2&tokens=1500&requests=3&hours=6";
    let page = ada.get(&format!("{CAPACITY}?{query}")).await;
    assert_eq!(row(&page, "Tokens a minute").0, "300,000");
    assert_eq!(row(&page, "Requests a minute").0, "600");
    let (cap, advice) = row(&page, "Daily request cap");
    assert!(cap == "2,700" && advice.contains("More than a new event has"), "{cap}: {advice}");
    let (rate, advice) = row(&page, "Requests a minute of one attendee");
    assert!(rate == "12" && advice.contains("new event’s setting is enough"), "{rate}: {advice}");
    assert_eq!(row(&page, "Venue’s bandwidth").0, "12.7 Mbit/s");
    assert_eq!(row(&page, "Connections through the venue’s NAT").0, "1,000");
    assert_eq!(page.attribute("#attendees", "value").as_deref(), Some("100"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_setting_takes_is_said() {
    let portal = Portal::with(&["--max-connections", "500"]).await;
    let ada = portal.owner("Ada").await;
    let query = "attendees=60&prompts=100&tokens=1&requests=600&hours=24";
    let page = ada.get(&format!("{CAPACITY}?{query}")).await;
    let advice = |name| row(&page, name).1;
    assert!(advice("Daily request cap").contains("More than a cap can be (100,000)"));
    assert!(advice("Requests a minute of one attendee").contains("can be (100,000)"));
    let connections = advice("Connections through the venue’s NAT");
    assert!(connections.contains("More than this proxy takes (500)"), "{connections}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_number_is_marked_and_kept() {
    let portal = Portal::start().await;
    let ada = portal.owner("Ada").await;
    for (field, typed, problem) in [
        ("attendees", "0", "Attendees must be a whole number from 1 to 100,000."),
        ("attendees", "many", "Attendees must be a whole number from 1 to 100,000."),
        (
            "prompts",
            "0.01",
            "Prompts a minute must be a number from 0.1 to 100, with two decimals at most.",
        ),
        ("tokens", "", "Tokens per prompt must be a whole number from 1 to 1,000,000."),
        ("requests", "1.5", "Requests per prompt must be a whole number from 1 to 1,000."),
        ("hours", "25", "Hours a day must be a whole number from 1 to 24."),
    ] {
        let page = ada.get(&format!("{CAPACITY}?{field}={typed}")).await;
        assert_eq!(page.problem(field), problem);
        assert_eq!(page.attribute(&format!("#{field}"), "value").as_deref(), Some(typed));
        assert_eq!(page.text("#plan"), "Correct what is marked above.");
    }
    portal.visitor().get(CAPACITY).await.redirects_to("/admin/sign-in?next=%2Fadmin%2Fcapacity");
}
