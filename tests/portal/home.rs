//! What the first page says about an owner's events.

use ai_proxy::catalog::owner::{self, Owner};
use ai_proxy::catalog::quota;
use ai_proxy::catalog::resource::KeyChange;
use ai_proxy::catalog::usage::{self, Batch, Figures, UsageKey};
use ai_proxy::catalog::{event, resource};
use ai_proxy::clock;
use ai_proxy::clock::now_ms;

use crate::harness::Portal;
use crate::workshop::Workshop;

fn event(name: &str, start: &str, resources: &[String]) -> event::Draft {
    event::Draft {
        name: name.into(),
        description: "# Welcome".into(),
        organizer_name: "Ada".into(),
        organizer_email: "ada@example.org".into(),
        start: start.into(),
        end: "2099-12-31T18:00".into(),
        active: true,
        resources: resources.to_vec(),
        ..Default::default()
    }
}

async fn find(portal: &Portal, name: &str) -> Owner {
    owner::find(&portal.app.db, name).await.unwrap().unwrap()
}

async fn save(portal: &Portal, owner: &Owner, draft: &event::Draft) {
    event::save(&portal.app.db, &portal.app.vault, &owner.actor(now_ms()), draft).await.unwrap();
}

async fn resource(portal: &Portal, owner: &Owner, deployment: &str, active: bool) -> String {
    let draft = resource::Draft {
        deployment: deployment.into(),
        endpoint: "http://127.0.0.1:8000/mcp".into(),
        key: KeyChange::Set("backend-key".into()),
        active,
        ..Default::default()
    };
    resource::save(&portal.app.db, &portal.app.vault, &owner.actor(now_ms()), &draft)
        .await
        .unwrap()
        .id
}

#[tokio::test(flavor = "multi_thread")]
async fn without_events_it_leads_to_making_one() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await.get("/admin").await;
    assert_eq!(ada.text(".empty h2"), "No events yet");
    let link = ada.attribute(".empty a.button", "href");
    assert_eq!(link.as_deref(), Some("/admin/events/new"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_live_comes_next_and_needs_attention_is_the_owners_own() {
    let portal = Portal::start().await;
    let visitor = portal.administrator("Ada").await;
    let ada = find(&portal, "Ada").await;
    let (on, off) = (
        resource(&portal, &ada, "good", true).await,
        resource(&portal, &ada, "broken", false).await,
    );
    save(&portal, &ada, &event("Open", "2020-01-01T09:00", std::slice::from_ref(&on))).await;
    save(&portal, &ada, &event("Later", "2098-02-01T09:00", &[off])).await;
    save(&portal, &ada, &event("Sooner", "2098-01-01T09:00", &[])).await;
    let forgotten = event::Draft { active: false, ..event("Forgotten", "2020-01-01T09:00", &[on]) };
    save(&portal, &ada, &forgotten).await;
    let past = event("Past", "2020-01-01T09:00", &[]);
    save(&portal, &ada, &event::Draft { end: "2020-01-02T09:00".into(), ..past }).await;
    let stranger = portal.owner("Bob").await;
    save(&portal, &find(&portal, "Bob").await, &event("Bob's", "2020-01-01T09:00", &[])).await;

    let page = visitor.get("/admin").await;
    assert_eq!(page.all("article h3"), ["Open", "Sooner", "Later"]);
    assert_eq!(page.all("article:has(.badge) h3"), ["Open"]);
    let mut concerns = page.all(".attention li");
    concerns.sort();
    assert_eq!(
        concerns,
        [
            "Forgotten is switched off, although it would be open now.",
            "Later links the resource broken, which is switched off.",
            "Sooner has no resources, so there is nothing to call.",
        ]
    );
    assert_eq!(stranger.get("/admin").await.all("article h3"), ["Bob's"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_events_say_how_they_stand_and_when_many_have_used_up_their_day() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |draft| draft.daily_request_cap = 2).await;
    let now = clock::now_ms();
    let mut batch = Batch::new();
    for (spent, errors) in [(2, 0), (2, 2), (1, 0)] {
        let attendee = workshop.attendee(&event).await.attendee_id;
        let day = clock::day_of(now);
        quota::lease(&portal.app.db, &attendee, day, 2, 2).await.unwrap().unwrap();
        let key = UsageKey {
            event_id: event.as_str().into(),
            attendee_id: attendee.as_str().into(),
            resource_id: "gone".into(),
            operation: "tools/list".into(),
            name: "".into(),
            minute: now - now.rem_euclid(60_000),
        };
        batch.usage.insert(key, Figures { requests: spent, errors, ..Figures::default() });
        batch.spent.insert((attendee.as_str().into(), day), spent.cast_signed());
        batch.seen.insert(attendee.as_str().into(), now);
    }
    workshop.attendee(&event).await;
    usage::flush(&portal.app.db, &batch, now_ms()).await.unwrap();

    let page = ada.get("/admin").await;
    let figures = page.text("#live article .now");
    assert!(figures.starts_with("3 active now · "), "{figures}");
    assert!(figures.ends_with(" · 3 of 4 connected · 1 stuck"), "{figures}");
    let many = "has 2 attendees, of 3 who called today, with no requests left until midnight UTC.";
    // The concern of its missing resources comes first.
    assert_eq!(page.all(".attention li")[1..], [format!("Room {many}")]);
}
