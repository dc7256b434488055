//! What owners do with events: every rule of the form, time zones, copies, and
//! deleting that asks for the name.

use ai_proxy::catalog::event::{self, Event};
use ai_proxy::catalog::owner;
use futures_util::future::join_all;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Page, Portal, Visitor};
use crate::workshop::Workshop;

const EVENTS: &str = "/admin/events";
const NEW: &str = "/admin/events/new";
const PREVIEW: &str = "/admin/events/preview";
const SERVER: &str = "http://127.0.0.1:9/mcp";

/// What a form would send, with some fields changed or added. An unticked box is
/// not sent.
fn fields<'a>(changed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("id", ""),
        ("copy_of", ""),
        ("name", "Open Day"),
        ("description", "# Welcome\r\n\r\nBring a laptop."),
        ("organizer_name", "Ada"),
        ("organizer_email", "ada@example.org"),
        ("start", "2099-06-01T09:00"),
        ("end", "2099-06-02T17:00"),
        ("time_zone", "Europe/Berlin"),
        ("max_token_cap", "4096"),
        ("daily_request_cap", "1024"),
        ("requests_per_minute", "600"),
        ("shared_code", ""),
        ("shared_code_limit", "500"),
        ("registration", "shared-code"),
    ];
    fields.retain(|(field, _)| changed.iter().all(|(name, _)| name != field));
    fields.extend(changed);
    fields
}

async fn all_of(portal: &Portal, name: &str) -> Vec<Event> {
    let owner = owner::find(&portal.app.db, name).await.unwrap().unwrap();
    event::list(&portal.app.db, &portal.app.vault, &owner.id).await.unwrap()
}

/// The owner's only event.
async fn only(portal: &Portal, name: &str) -> Event {
    let mut all = all_of(portal, name).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn value(page: &Page, field: &str) -> String {
    page.attribute(&format!("#{field}"), "value").unwrap_or_default()
}

/// Makes an event of these fields.
async fn make(portal: &Portal, ada: &Visitor, changed: &[(&str, &str)]) -> Event {
    ada.post_and_follow(NEW, &fields(changed)).await;
    only(portal, "Ada").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_event_begins_with_what_most_need() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let empty = ada.get(EVENTS).await;
    assert_eq!(empty.text(".empty h2"), "No events yet");
    assert_eq!(empty.attribute(".empty a[data-zone]", "href").as_deref(), Some(NEW));

    let form = ada.get(NEW).await;
    for (field, expected) in [
        ("name", ""),
        ("organizer_name", "Ada"),
        ("time_zone", "UTC"),
        ("max_token_cap", "4096"),
        ("daily_request_cap", "1024"),
        ("requests_per_minute", "600"),
        ("shared_code", ""),
        ("shared_code_limit", "500"),
    ] {
        assert_eq!(value(&form, field), expected, "{field}");
    }
    assert!(form.attribute("#active", "checked").is_none());
    assert!(form.text("#active-hint").contains("every key is refused"));
    assert!(value(&form, "start").ends_with(":00"));
    assert_eq!(form.attributes("[name=registration][checked]", "value"), ["shared-code"]);
    assert_eq!(form.attributes("[name=registration][disabled]", "value"), ["github"]);
    assert!(form.text("#registration-github-hint").contains("Not set up on this proxy"));
    assert!(form.attributes("#zones option", "value").contains(&"Asia/Tokyo".to_owned()));
    assert!(form.body.contains("/admin/capacity"));
    assert!(form.body.len() < 50_000, "{} bytes", form.body.len());

    assert_eq!(
        value(&ada.get("/admin/events/new?zone=asia/tokyo").await, "time_zone"),
        "Asia/Tokyo"
    );
    assert_eq!(value(&ada.get("/admin/events/new?zone=Nowhere").await, "time_zone"), "UTC");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_made_listed_found_and_changed() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let shop = Workshop::of(&portal, "Ada").await;
    let key = SecretString::from("backend-key");
    let (one, two) =
        (shop.resource("one", SERVER, &key).await, shop.resource("two", SERVER, &key).await);
    let list = ada
        .post_and_follow(
            NEW,
            &fields(&[
                ("shared_code", "room4242"),
                ("listed", &one),
                ("position", "2"),
                ("listed", &two),
                ("position", "1"),
                ("resources", &one),
                ("resources", &two),
            ]),
        )
        .await;
    let opens = "opens 2099-06-01T07:00:00Z, closes 2099-06-02T15:00:00Z";
    assert_eq!(
        list.flash(),
        format!(
            "Open Day is made: {opens}. It is off, so every key is refused until you switch it on."
        )
    );
    let made = only(&portal, "Ada").await;
    assert_eq!(made.description, "# Welcome\n\nBring a laptop.");
    assert_eq!(made.shared_code.as_ref().unwrap().expose_secret(), "room4242");
    let linked: Vec<_> = made.resources.iter().map(|resource| resource.id.clone()).collect();
    assert_eq!(linked, [two.clone(), one.clone()], "by their numbers");
    assert!(!made.active);
    assert_eq!(list.text("tbody th a"), "Open Day");
    assert_eq!(list.text("tbody th small"), "two, one");
    assert_eq!(list.all("tbody .badge"), ["next", "inactive"]);
    let room = format!("{EVENTS}/{}/room", made.id);
    assert!(list.attributes("tbody a", "href").contains(&room));

    assert_eq!(ada.get("/admin/events?q=OPEN+d").await.all("tbody th a"), ["Open Day"]);
    assert_eq!(ada.get("/admin/events?q=two").await.all("tbody th a"), ["Open Day"]);
    let none = ada.get("/admin/events?q=%3Cb%3E").await;
    assert!(none.text(".empty").contains("No event has “<b>”"));

    let path = format!("{EVENTS}/{}", made.id);
    let edit = ada.get(&path).await;
    assert_eq!(edit.text(".tabs a[aria-current]"), "Event");
    assert_eq!(edit.attributes("[name=position]", "value"), ["1", "2"]);
    let same = fields(&[("shared_code", "room4242"), ("resources", &two), ("resources", &one)]);
    let unchanged = ada.post_and_follow(&path, &same).await;
    assert_eq!(unchanged.flash(), "Open Day was so already; nothing is changed.");
    let on = fields(&[("active", "on"), ("daily_request_cap", "7")]);
    let changed = ada.post_and_follow(&path, &on).await;
    assert_eq!(changed.flash(), format!("Open Day is changed: {opens}."));
    let stored = only(&portal, "Ada").await;
    assert_eq!((stored.active, stored.daily_request_cap, stored.resources.len()), (true, 7, 0));
    assert!(stored.shared_code.is_none());
    assert!(ada.get(&path).await.all("#active-hint").is_empty(), "nothing to warn of");
    assert!(!ada.get("/admin/audit").await.body.contains("room4242"));
}

#[tokio::test(flavor = "multi_thread")]
async fn active_events_come_first_and_then_the_next_to_end() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let shop = Workshop::of(&portal, "Ada").await;
    for (name, end, active) in [
        ("late", "2099-12-31T00:00", true),
        ("off", "2090-01-01T00:00", false),
        ("soon", "2095-01-01T00:00", true),
        ("past", "2021-01-01T00:00", true),
    ] {
        let set = |draft: &mut event::Draft| {
            (draft.name, draft.end, draft.active) = (name.into(), end.into(), active);
        };
        let id = shop.event(&[], set).await;
        if name == "soon" {
            shop.attendee(&id).await;
            shop.attendee(&id).await;
        }
    }
    let list = ada.get(EVENTS).await;
    assert_eq!(list.all("tbody th a"), ["past", "soon", "late", "off"]);
    assert_eq!(list.all("tbody td.num"), ["0", "2", "0", "0"]);
    assert_eq!(list.all("td[data-label=Time]"), ["ended", "live", "live", "live"]);
    assert_eq!(list.all("td[data-label=Time] .good").len(), 2, "what is off is live for nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_told_beside_its_field_and_what_was_typed_is_kept() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let (long, number) = ("a".repeat(129), "must be a whole number from 1 to 100000.");
    let code = "Shared code must be empty, or 8 to 64 letters and digits.";
    for (field, typed, problem) in [
        ("name", " ", "Event name is required."),
        ("name", &long[..65], "Event name has more than 64 characters."),
        ("description", "", "Description is required."),
        ("description", &"é".repeat(8193), "Description has more than 8192 characters."),
        ("organizer_name", "", "Organiser's name is required."),
        ("organizer_name", &long, "Organiser's name has more than 128 characters."),
        ("organizer_email", "ada", "Organiser's e-mail address is not an e-mail address."),
        ("organizer_email", &long, "Organiser's e-mail address has more than 128 characters."),
        ("start", "", "Start is required."),
        ("start", "tomorrow", "Start must be a wall clock such as 2026-11-22T09:00."),
        ("end", "2099-06-01T09:00", "End must be later than the start."),
        ("time_zone", "Mars/Base", "Time zone \"Mars/Base\" is not an IANA time zone."),
        ("max_token_cap", "many", &format!("Max token cap {number}")),
        ("max_token_cap", "0", "Max token cap must be from 1 to 100000."),
        ("daily_request_cap", "-1", &format!("Daily request cap {number}")),
        ("requests_per_minute", "100001", "Requests a minute must be from 1 to 100000."),
        ("shared_code", "seven77", code),
        ("shared_code", "abcd", code),
        ("shared_code", "with space", code),
        ("shared_code_limit", "0", "Most people who may use it must be from 1 to 100000."),
        (
            "registration",
            "open",
            "Registration must be shared-code, github, both with a comma between them, or closed.",
        ),
    ] {
        let page = ada.post(NEW, &fields(&[(field, typed)])).await;
        assert_eq!(page.problem(field), problem);
        let kept = match field {
            "registration" => continue,
            "description" => page.text("#description"),
            _ => value(&page, field),
        };
        assert_eq!(kept, typed, "{field}");
    }
    let page = ada.post(NEW, &fields(&[("name", ""), ("end", ""), ("max_token_cap", "x")])).await;
    assert_eq!(page.text(".flash.failed"), "Nothing was saved: 3 fields need another look.");
    assert_eq!(page.all(".problem").len(), 3);
    assert!(all_of(&portal, "Ada").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_resources_is_typed_and_kept() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let shop = Workshop::of(&portal, "Ada").await;
    let one = shop.resource("one", SERVER, &SecretString::from("backend-key")).await;
    let ticked = [("listed", &*one), ("position", "first"), ("resources", &*one)];
    let page = ada.post(NEW, &fields(&ticked)).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text("#resources-problem").starts_with("Resources are put in order by whole"));
    assert_eq!(page.attribute("[name=position]", "value").as_deref(), Some("first"));
    assert!(page.attribute("[name=resources]", "checked").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn summer_time_moves_the_instants_of_an_event() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let dates = [("start", "2026-03-28T09:00"), ("end", "2026-03-29T09:00")];
    let event = make(&portal, &ada, &dates).await;
    let page = ada.get(&format!("{EVENTS}/{}", event.id)).await;
    assert_eq!(
        page.text("#window"),
        "Opens 2026-03-28T08:00:00Z and closes 2026-03-29T07:00:00Z (UTC)."
    );
    let shown = async |start, end| {
        ada.post(PREVIEW, &fields(&[("start", start), ("end", end)])).await.text("#window")
    };
    assert_eq!(
        shown("2026-03-29T02:30", "2026-03-29T09:00").await,
        "Opens 2026-03-29T01:30:00Z and closes 2026-03-29T07:00:00Z (UTC). The clocks go forward \
         over the start, 2026-03-29 02:30: 2026-03-29 03:30 is meant."
    );
    assert_eq!(
        shown("2026-10-25T02:30", "2026-10-25T02:30").await,
        "Opens 2026-10-25T00:30:00Z and closes 2026-10-25T01:30:00Z (UTC). The start, 2026-10-25 \
         02:30, occurs twice: the first is meant. The end, 2026-10-25 02:30, occurs twice: the \
         second is meant."
    );
    assert!(shown("", "").await.contains("once the dates and the zone are right"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_the_description_and_saves_nothing() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let hostile =
        "# Hi\n\n<script>alert(1)</script>\n\n![plan](https://x.test/a.png)\n\n</textarea>";
    let page = ada.post(PREVIEW, &fields(&[("name", ""), ("description", hostile)])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.text("#preview h2"), "Hi");
    assert_eq!(page.attribute("#preview a", "href").as_deref(), Some("https://x.test/a.png"));
    assert!(page.all("#preview script, #preview img, main img").is_empty());
    assert_eq!(page.all("script").len(), 1, "the frame's own");
    assert!(page.text("#description").contains("</textarea>"), "kept as it was typed");
    assert_eq!(page.attribute("form.card", "action").as_deref(), Some(NEW));
    assert!(page.all(".problem").is_empty());
    assert!(all_of(&portal, "Ada").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_off_later_and_without_a_way_in() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let shop = Workshop::of(&portal, "Ada").await;
    let one = shop.resource("one", SERVER, &SecretString::from("backend-key")).await;
    let id = shop
        .event(&[&one], |draft| {
            (draft.start, draft.end) = ("2020-01-01T09:00".into(), "2020-01-03T10:30".into());
            (draft.burst, draft.max_open_requests, draft.daily_request_cap) = (61, 301, 77);
            draft.shared_code = Some("room4242".into());
        })
        .await;
    shop.attendee(&id).await;

    let form = ada.get(&format!("{EVENTS}/{id}/duplicate")).await;
    assert_eq!(value(&form, "name"), "Room (copy)");
    assert_eq!((value(&form, "id"), value(&form, "shared_code")), (String::new(), String::new()));
    assert!(form.text("p.flash").contains("none of its attendees and no shared code"));
    assert!(form.attribute("#active", "checked").is_none());
    assert!(form.attribute("[name=resources]", "checked").is_some());
    let (start, end) = (value(&form, "start"), value(&form, "end"));
    let span = |from: &str, to: &str| {
        let at = |text: &str| text.parse::<jiff::civil::DateTime>().unwrap();
        at(to).duration_since(at(from)).as_mins()
    };
    assert_eq!(span(&start, &end), 49 * 60 + 30);
    assert!(start.ends_with(":00") && &*start > "2020-01-03", "{start}");

    let copy = [("copy_of", &*id), ("name", "Room (copy)"), ("resources", &one)];
    ada.post_and_follow(NEW, &fields(&copy)).await;
    let all = all_of(&portal, "Ada").await;
    let copied = all.iter().find(|event| event.name == "Room (copy)").unwrap();
    assert_ne!(copied.id, id);
    assert_eq!((copied.burst, copied.max_open_requests), (61, 301), "what the form does not show");
    assert_eq!(shop.number("select count(*) from attendee").await, 1, "none came along");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_what_people_were_in_asks_for_its_name() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let shop = Workshop::of(&portal, "Ada").await;
    let (empty, used) = (shop.event(&[], |_| ()).await, shop.event(&[], |_| ()).await);
    shop.attendee(&used).await;
    let path = |id: &str| format!("{EVENTS}/{id}/delete");
    assert!(ada.get(EVENTS).await.attributes("a[data-dialog]", "href").contains(&path(&used)));

    assert!(ada.get(&path(&empty)).await.all("form.ask input").is_empty());
    assert_eq!(ada.press(&path(&empty), "/delete", &[]).await.flash(), "Room is deleted.");

    assert_eq!(ada.get(&path(&used)).await.all("form.ask input").len(), 1);
    for typed in ["", "room", "Rooms"] {
        let refused = ada.post(&path(&used), &[("name", typed)]).await;
        assert_eq!(
            refused.problem("name"),
            "Name of the event is not that of the event; nothing was deleted."
        );
        assert_eq!(value(&refused, "name"), typed);
    }
    let done = ada.press(&path(&used), "/delete", &[("name", " Room ")]).await;
    assert_eq!(done.flash(), "Room is deleted, with its attendee and all figures.");
    assert!(all_of(&portal, "Ada").await.is_empty());
    let later = ai_proxy::clock::now_ms() + 60_000;
    while event::purge::step(&portal.app.db, later).await.unwrap() {}
    assert_eq!(shop.number("select count(*) from attendee").await, 0);
    assert_eq!(shop.trail().await, "deleted: Room");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_owners_events_and_resources_are_not_there() {
    let portal = Portal::start().await;
    let (ada, bob) = (portal.administrator("Ada").await, portal.owner("Bob").await);
    let (shop, other) = (Workshop::of(&portal, "Ada").await, Workshop::of(&portal, "Bob").await);
    let id = shop.event(&[], |draft| draft.description = "A secret plan".into()).await;
    shop.attendee(&id).await;
    let key = SecretString::from("backend-key");
    let foreign = shop.resource("foreign", SERVER, &key).await;
    let own = other.resource("own", SERVER, &key).await;

    for path in ["", "/duplicate", "/delete"] {
        let page = bob.get(&format!("{EVENTS}/{id}{path}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    let name = [("name", "Room")];
    for (path, typed) in [
        (format!("{EVENTS}/{id}"), fields(&[])),
        (format!("{EVENTS}/{id}/delete"), name.to_vec()),
        (NEW.to_owned(), fields(&[("copy_of", &id)])),
        (PREVIEW.to_owned(), fields(&[("id", &id)])),
        (PREVIEW.to_owned(), fields(&[("copy_of", &id)])),
    ] {
        assert_eq!(bob.post(&path, &typed).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(only(&portal, "Ada").await.description, "A secret plan");

    let page = bob.post(NEW, &fields(&[("resources", &foreign), ("resources", &own)])).await;
    assert_eq!(
        page.text("#resources-problem"),
        "Resources hold one that is not there any more: look at the list again."
    );
    assert_eq!(page.attributes("[name=listed]", "value"), [own]);
    assert!(all_of(&portal, "Bob").await.is_empty());
    assert_eq!(bob.get(EVENTS).await.text(".empty h2"), "No events yet");
    let stranger = portal.visitor();
    for path in [EVENTS, NEW] {
        assert_eq!(stranger.get(path).await.status, StatusCode::SEE_OTHER, "{path}");
    }
    assert_eq!(ada.get(EVENTS).await.all("tbody th a"), ["Room"]);
}

/// What the page's form would send, its base included, with some fields typed.
async fn save_over(ada: &Visitor, page: &Page, event: &Event, typed: &[(&str, &str)]) -> Page {
    let path = format!("{EVENTS}/{}", event.id);
    let base = page.attribute("input[name=base]", "value").unwrap();
    let mut sent = vec![("base", base.as_str()), ("active", "on")];
    sent.extend(typed);
    ada.post(&path, &fields(&sent)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_form_changes_only_what_was_typed() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let event = make(&portal, &ada, &[("active", "on")]).await;
    let path = format!("{EVENTS}/{}", event.id);
    let morning = ada.get(&path).await;

    let room = format!("{path}/room");
    ada.post_and_follow(&format!("{room}/activity"), &[("to", "off")]).await;
    let ends_at = event.ends_at.to_string();
    ada.post_and_follow(&format!("{room}/end"), &[("from", &ends_at)]).await;
    ada.post_and_follow(&format!("{room}/cap"), &[("from", "1024"), ("percent", "100")]).await;

    let answer = save_over(&ada, &morning, &event, &[("name", "Open Days")]).await;
    answer.redirects_to(EVENTS);
    let now = only(&portal, "Ada").await;
    assert_eq!((now.name.as_str(), now.active), ("Open Days", false));
    assert_eq!((now.end_local.as_str(), now.daily_request_cap), ("2099-06-02T17:30", 2048));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_sides_changed_is_shown_and_saving_again_decides() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let event = make(&portal, &ada, &[("active", "on")]).await;
    let path = format!("{EVENTS}/{}", event.id);
    let morning = ada.get(&path).await;
    let room = format!("{path}/room");
    ada.post_and_follow(&format!("{room}/activity"), &[("to", "off")]).await;
    ada.post_and_follow(&format!("{room}/cap"), &[("from", "1024"), ("percent", "100")]).await;

    let typed = [("daily_request_cap", "1500"), ("name", "Open Days")];
    let refused = save_over(&ada, &morning, &event, &typed).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.all("#conflicts q"), ["2048", "1500"]);
    assert_eq!(value(&refused, "daily_request_cap"), "1500", "what was typed is kept");
    assert_eq!(value(&refused, "name"), "Open Days");
    assert!(refused.attribute("#active", "checked").is_none(), "as stored, for nobody typed it");
    assert_eq!(only(&portal, "Ada").await.name, "Open Day", "nothing was saved");

    // As that page is: switched off. Kept, and then replaced.
    let send = async |page: &Page, more: &[(&str, &str)]| {
        let base = page.attribute("input[name=base]", "value").unwrap();
        let mut sent = vec![("base", base.as_str())];
        sent.extend(typed);
        sent.extend(more);
        ada.post(&path, &fields(&sent)).await.redirects_to(EVENTS);
        only(&portal, "Ada").await
    };
    let kept = send(&refused, &[("keep", "daily_request_cap")]).await;
    assert_eq!((kept.name.as_str(), kept.daily_request_cap), ("Open Days", 2048));
    let replaced = send(&ada.get(&path).await, &[]).await;
    assert_eq!((replaced.daily_request_cap, replaced.active), (1500, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_at_once_of_different_fields_are_all_kept() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let event = make(&portal, &ada, &[("active", "on")]).await;
    let form = ada.get(&format!("{EVENTS}/{}", event.id)).await;
    let typed = [
        ("name", "Open Night"),
        ("organizer_name", "Grace"),
        ("organizer_email", "grace@example.org"),
        ("description", "# Bring a lamp"),
        ("max_token_cap", "4001"),
        ("daily_request_cap", "1001"),
        ("requests_per_minute", "601"),
        ("shared_code_limit", "501"),
        ("terms", "Be kind."),
        ("forget_after_days", "30"),
        ("cards_work_once", "on"),
    ];
    for saved in join_all(
        typed.iter().map(|field| save_over(&ada, &form, &event, std::slice::from_ref(field))),
    )
    .await
    {
        saved.redirects_to(EVENTS);
    }
    let now = only(&portal, "Ada").await;
    let stored = [
        ("name", now.name),
        ("organizer_name", now.organizer_name),
        ("organizer_email", now.organizer_email),
        ("description", now.description),
        ("max_token_cap", now.max_token_cap.to_string()),
        ("daily_request_cap", now.daily_request_cap.to_string()),
        ("requests_per_minute", now.requests_per_minute.to_string()),
        ("shared_code_limit", now.shared_code_limit.to_string()),
        ("terms", now.terms),
        ("forget_after_days", now.forget_after_days.unwrap_or_default().to_string()),
        ("cards_work_once", if now.cards_work_once { "on" } else { "off" }.to_owned()),
    ];
    assert_eq!(stored.each_ref().map(|(field, value)| (*field, value.as_str())), typed);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_saves_at_once_keep_both_changes_or_one_is_asked() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let event = make(&portal, &ada, &[("active", "on")]).await;
    let path = format!("{EVENTS}/{}", event.id);
    for round in 1..=5 {
        let form = ada.get(&path).await;
        let (name, cap) = (format!("Open Day {round}"), (1000 + round).to_string());
        let stored = only(&portal, "Ada").await;
        let (old_name, old_cap) = (stored.name.as_str(), stored.daily_request_cap.to_string());
        let save = async |name: &str, cap: &str| {
            save_over(&ada, &form, &event, &[("name", name), ("daily_request_cap", cap)]).await
        };
        let (by_name, by_cap) = tokio::join!(save(&name, &old_cap), save(old_name, &cap));
        by_name.redirects_to(EVENTS);
        by_cap.redirects_to(EVENTS);
        let now = only(&portal, "Ada").await;
        assert_eq!((now.name, now.daily_request_cap.to_string()), (name, cap.clone()));

        let form = ada.get(&path).await;
        let names = [format!("Morning {round}"), format!("Evening {round}")];
        let save = async |name: &str| {
            save_over(&ada, &form, &event, &[("name", name), ("daily_request_cap", &cap)]).await
        };
        let (morning, evening) = tokio::join!(save(&names[0]), save(&names[1]));
        let (saved, refused, won, lost) = if morning.status == StatusCode::CONFLICT {
            (evening, morning, &names[1], &names[0])
        } else {
            (morning, evening, &names[0], &names[1])
        };
        saved.redirects_to(EVENTS);
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert_eq!(refused.all("#conflicts q"), [won.as_str(), lost.as_str()]);
        assert_eq!(only(&portal, "Ada").await.name, *won);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ways_to_join_are_ticked_each_by_itself() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let ways = [("registration", "github"), ("registration", "shared-code")];
    let event = make(&portal, &ada, &ways).await;
    let path = format!("/admin/events/{}", event.id);
    let ticked = async || {
        let form = ada.get(&path).await;
        form.attributes("[name=registration][checked]", "value")
    };
    assert_eq!(event.registration.as_str(), "shared-code,github");
    assert_eq!(ticked().await, ["shared-code", "github"], "although it is not offered");
    let save = async |ways: &[(&str, &str)]| {
        let mut all = fields(ways);
        if ways.is_empty() {
            all.retain(|(field, _)| *field != "registration");
        }
        ada.post(&path, &all).await.redirects_to("/admin/events");
        only(&portal, "Ada").await.registration.as_str()
    };
    assert_eq!(save(&[("registration", "github")]).await, "github");
    assert_eq!(ticked().await, ["github"]);
    assert_eq!(save(&[]).await, "closed");
    assert!(ticked().await.is_empty());
}
