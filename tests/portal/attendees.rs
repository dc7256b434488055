//! What an organiser does with the attendees of an event.

use http::StatusCode;

use crate::harness::{Page, Portal, Visitor};
use crate::mcp::Server;
use crate::workshop::Workshop;

fn path(event: &str) -> String {
    format!("/admin/events/{event}/attendees")
}

/// Adds attendees as the form does, without a file, and opens the page that follows.
async fn add(visitor: &Visitor, event: &str, count: &str, names: &str) -> Page {
    let answer = visitor.upload(&path(event), &[("count", count), ("names", names)], b"").await;
    answer.redirects_to(&path(event));
    visitor.get(&path(event)).await
}

async fn one(visitor: &Visitor, event: &str) -> String {
    let list = visitor.get(&path(event)).await;
    list.attribute("tbody th a", "href").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_become_attendees_who_are_listed_searched_and_paged() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    assert!(ada.get(&path(&event)).await.text("p.empty").starts_with("Nobody yet."));
    let names = "Grace Hopper\r\n\r\n =cmd()\r\n";
    let page = add(&ada, &event, "60", names).await;
    assert!(page.flash().starts_with("60 attendees are added: issued:1 to issued:60."));
    assert_eq!(page.text("nav.tabs [aria-current=page]"), "Attendees");
    assert_eq!(page.all("tbody tr").len(), 50);
    assert!(page.body.len() < 50_000, "{}", page.body.len());
    let more = ada.get(&page.attribute("nav.pager a", "href").unwrap()).await;
    assert_eq!(more.all("tbody tr").len(), 10);
    let found = ada.get(&format!("{}?q=hopper", path(&event))).await;
    assert_eq!(found.all("tbody th"), ["Grace Hopper issued:1"]);
    add(&ada, &event, "", "Zoë ÖZDEMIR").await;
    let found = ada.get(&format!("{}?q=%C3%B6zdemir", path(&event))).await;
    assert_eq!(found.all("tbody th"), ["Zoë ÖZDEMIR issued:61"]);
    assert!(ada.get(&format!("{}?q=nobody", path(&event))).await.body.contains("Nobody here."));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_issued_is_told_beside_its_field_and_nothing_is_done() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    let many = "x\n".repeat(5_001);
    let long = format!("Ada\n{}", "x".repeat(129));
    for (count, names, field) in [
        ("", "", "count"),
        ("0", "", "count"),
        ("5001", "", "count"),
        ("-1", "", "count"),
        ("many", "", "count"),
        ("1", "Ada\nBob", "count"),
        ("", &many, "names"),
        ("", &long, "names"),
    ] {
        let page = ada.upload(&path(&event), &[("count", count), ("names", names)], b"").await;
        assert!(!page.problem(field).is_empty());
        assert_eq!(page.attribute("#count", "value").as_deref(), Some(count));
    }
    assert_eq!(workshop.number("select count(*) from attendee").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spreadsheets_file_adds_those_of_its_first_column() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    let list = path(&event);
    let pasted = [("count", ""), ("names", "Grace Hopper\r\n")];
    let file = "\u{feff}Name;Mail\r\nZoë Özdemir;z@example.org\r\nJürgen;\r\n";
    ada.upload(&list, &pasted, file.as_bytes()).await.redirects_to(&list);
    let page = ada.get(&list).await;
    assert!(page.flash().starts_with("3 attendees are added: issued:1 to issued:3."));
    let names = ["Grace Hopper issued:1", "Zoë Özdemir issued:2", "Jürgen issued:3"];
    assert_eq!(page.all("tbody th"), names);

    let ansi = ada.upload(&list, &pasted, b"Name;Mail\r\nM\xfcller;\r\n").await;
    assert!(ansi.problem("file").starts_with("The file is not text in UTF-8"));
    assert_eq!(ansi.text("#names"), "Grace Hopper", "what was typed is kept");
    let empty = ada.upload(&list, &pasted, b"Name\r\n").await;
    assert_eq!(empty.problem("file"), "The file holds no names in its first column.");
    let long = format!("Name\nAda\n{}\n", "x".repeat(129));
    let long = ada.upload(&list, &[("count", ""), ("names", "")], long.as_bytes()).await;
    let reason = "Names cannot be taken: number 2 has more than 128 characters.";
    assert_eq!(long.problem("names"), reason);
    assert!(long.text("#names").starts_with("Ada xxx"), "to be mended there");
    let large = ada.upload(&list, &pasted, &vec![b'x'; 3 << 20]).await;
    assert!(large.problem("file").starts_with("The file is larger than 2 MB"));
    assert_eq!(workshop.number("select count(*) from attendee").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_and_new_cards_are_asked_about_first() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    workshop.attendee(&event).await;
    let (who, list) = (one(&ada, &event).await, format!("/admin/events/{event}/attendees"));
    let trail = workshop.trail().await;
    ada.get(&format!("{list}/cards")).await.redirects_to(&list);

    let page = ada.get(&who).await;
    let actions = page.attributes("form", "action");
    assert!(!actions.iter().any(|action| action.ends_with("/key")), "{actions:?}");
    let page = ada.get(&format!("{who}/key")).await;
    assert!(page.text(".ask").contains("stops at once"), "{}", page.body);
    assert_eq!(workshop.trail().await, trail, "asking does nothing");

    ada.post(&format!("{list}/cards"), &[("whom", "new")]).await;
    let page = ada.get(&list).await;
    assert!(page.attributes("button", "value").iter().all(|whom| whom != "unclaimed"));
    let page = ada.get(&format!("{list}/cards")).await;
    assert!(page.text(".ask").contains("One unclaimed card stops working"), "{}", page.body);
    assert_eq!(page.attribute(".ask button", "value").as_deref(), Some("unclaimed"));
    let id = who.rsplit('/').next().unwrap();
    let page = ada.get(&format!("{list}/cards?whom={id}")).await;
    assert!(page.text(".ask").contains("stops working at once"), "{}", page.body);
    assert_eq!(page.attribute(".ask button", "value").as_deref(), Some(id));
    let nobody = ada.get(&format!("{list}/cards?whom=nobody")).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deactivated_is_refused_and_a_new_key_stops_the_old() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &"backend-key".into()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    let key = workshop.attendee(&event).await.api_key;
    workshop.comes_to(&key, "demo", "ok").await;
    let who = one(&ada, &event).await;

    let page = ada.post_and_follow(&format!("{who}/activity"), &[("to", "off")]).await;
    assert!(page.flash().contains("is deactivated"), "{}", page.flash());
    workshop.comes_to(&key, "demo", "attendee_disabled").await;
    ada.post_and_follow(&format!("{who}/activity"), &[("to", "on")]).await;
    workshop.comes_to(&key, "demo", "ok").await;

    let page = ada.press(&format!("{who}/key"), "/key", &[]).await;
    let fresh = page.text("#flash-secret").into();
    workshop.comes_to(&key, "demo", "invalid_api_key").await;
    workshop.comes_to(&fresh, "demo", "ok").await;
    assert!(ada.get(&who).await.all("#flash-secret").is_empty(), "it is shown once");

    let bad = ada.post(&format!("{who}/cap"), &[("cap", "0")]).await;
    assert_eq!(bad.problem("cap"), "Their own cap must be a whole number from 1 to 100000.");
    let page = ada.press(&who, "/cap", &[("cap", "7")]).await;
    assert!(page.flash().contains("7 requests a day"), "{}", page.flash());
    let page = ada.press(&who, "/cap", &[("cap", "")]).await;
    assert!(page.flash().contains("the event's daily request cap"), "{}", page.flash());

    let ask = ada.get(&format!("{who}/delete")).await;
    assert_eq!(ask.text("form.ask h2"), "Delete issued:1?");
    ada.press(&format!("{who}/delete"), "/delete", &[]).await;
    workshop.comes_to(&fresh, "demo", "invalid_api_key").await;
    assert_eq!(ada.get(&who).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_carry_codes_and_no_key_and_their_table_holds_no_formula() {
    let portal = Portal::with(&["--public-url", "https://proxy.example/"]).await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    add(&ada, &event, "", "=1+1\nBob").await;
    let sheet = ada.post(&format!("{}/cards", path(&event)), &[("whom", "new")]).await;
    assert_eq!(sheet.all(".claim-name"), ["=1+1", "Bob"]);
    assert_eq!(sheet.all(".claim-cards svg").len(), 2);
    let codes = sheet.all(".claim-code");
    assert!(codes.iter().all(|code| code.len() == 14), "{codes:?}");
    assert!(sheet.attributes("svg, svg *", "style").is_empty());

    let cards = sheet.attributes("[name=card]", "value");
    let fields: Vec<_> = cards.iter().map(|card| ("card", card.as_str())).collect();
    let table = ada.post(&format!("{}/cards.csv", path(&event)), &fields).await;
    let line = format!("issued:1,'=1+1,{0},https://proxy.example/claim#{0}\r\n", codes[0]);
    assert!(table.body.contains(&line), "{}", table.body);
    assert!(table.headers["content-disposition"].to_str().unwrap().contains("attachment"));

    let none = ada.post(&format!("{}/cards", path(&event)), &[("whom", "new")]).await;
    assert_eq!(none.status, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_printed_again_and_the_trail_says_so() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |draft| draft.cards_work_once = true).await;
    let again = format!("{}/cards/again", path(&event));
    ada.post(&again, &[("part", "1")]).await.redirects_to(&path(&event));
    add(&ada, &event, "", "Ada\nBob\nGrace").await;
    let sheet = ada.post(&format!("{}/cards", path(&event)), &[("whom", "new")]).await;
    let (codes, ids) = (sheet.all(".claim-code"), sheet.attributes("[name=card]", "value"));
    assert!(!ada.get(&path(&event)).await.body.contains(&codes[0]), "only where it is asked for");

    let page = ada.get(&path(&event)).await;
    assert_eq!(page.all("[name=part]"), ["Print 3 cards again"]);
    let printed = ada.post(&again, &[("part", "1")]).await;
    assert_eq!((printed.all(".claim-code"), printed.all(".claim-name").len()), (codes.clone(), 3));
    assert_eq!(workshop.trail().await, "printed cards again: 3 cards");
    let person = format!("{}/{}", path(&event), ids[1]);
    assert!(ada.get(&person).await.body.contains("Print card again"));
    let one = ada.post(&again, &[("whom", &ids[1])]).await;
    assert_eq!(one.all(".claim-code"), [codes[1].as_str()]);
    assert_eq!(workshop.trail().await, "printed cards again: ");

    // Used up, and made before codes were stored.
    portal.visitor().post("/claim", &[("code", &codes[1])]).await;
    assert_eq!(ada.post(&again, &[("whom", &ids[1])]).await.status, StatusCode::CONFLICT);
    assert!(!ada.get(&person).await.body.contains("Print card again"));
    let before = sqlx::query("update claim_code set code_sealed = null where attendee_id = $1");
    before.bind(&ids[2]).execute(portal.app.db.writer()).await.unwrap();
    let page = ada.get(&path(&event)).await;
    assert_eq!(page.all("[name=part]"), ["Print 1 card again"]);
    assert!(page.body.contains("1 card was created before codes were stored"), "{}", page.body);
    assert_eq!(ada.post(&again, &[("whom", &ids[2])]).await.status, StatusCode::CONFLICT);
    assert_eq!(ada.post(&again, &[("whom", "nobody")]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_owners_attendees_are_not_there() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let bob = portal.owner("Bob").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    workshop.attendee(&event).await;
    let who = one(&ada, &event).await;
    let own = Workshop::of(&portal, "Bob").await.event(&[], |_| {}).await;
    let before = workshop.number("select value from revision where name = 'catalog'").await;
    let foreign = who.replace(&event, &own);
    let list = path(&event);
    for page in [list.clone(), who.clone(), format!("{who}/delete"), foreign.clone()] {
        assert_eq!(bob.get(&page).await.status, StatusCode::NOT_FOUND, "{page}");
    }
    let id = who.rsplit_once('/').unwrap().1;
    let fields = [("to", "off"), ("cap", "1"), ("whom", id), ("count", "1"), ("names", "")];
    let writes = ["activity", "key", "cap", "delete"];
    let writes =
        writes.iter().flat_map(|write| [format!("{who}/{write}"), format!("{foreign}/{write}")]);
    let sheets = ["/cards", "/cards.csv"].map(|sheet| format!("{list}{sheet}"));
    assert_eq!(bob.upload(&list, &fields, b"").await.status, StatusCode::NOT_FOUND);
    portal.visitor().upload(&list, &fields, b"").await.says_signed_out();
    for write in writes.chain(sheets).chain([format!("{}/cards", path(&own))]) {
        assert_eq!(bob.post(&write, &fields).await.status, StatusCode::NOT_FOUND, "{write}");
        portal.visitor().post(&write, &fields).await.says_signed_out();
    }
    let after = workshop.number("select value from revision where name = 'catalog'").await;
    assert_eq!(after, before, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_by_the_shared_code_is_offered_only_what_works_for_them() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &"backend-key".into()).await;
    let event = workshop
        .event(&[&demo], |draft| draft.shared_code = Some("welcome1".to_owned().into()))
        .await;
    let key = format!("{event}@welcome1/Grace Hopper").into();
    workshop.comes_to(&key, "demo", "ok").await;
    let who = one(&ada, &event).await;
    let page = ada.get(&who).await;
    assert!(page.body.contains("joined with the shared code"), "{}", page.body);
    assert!(!page.body.contains("New key") && !page.body.contains("New card"));
    assert_eq!(ada.post(&format!("{who}/key"), &[]).await.status, StatusCode::CONFLICT);
    let id = who.rsplit_once('/').unwrap().1;
    let card = ada.post(&format!("{}/cards", path(&event)), &[("whom", id)]).await;
    assert_eq!(card.status, StatusCode::CONFLICT);

    let list = path(&event);
    assert!(ada.get(&list).await.all("#deleted").is_empty());
    let ask = ada.get(&format!("{who}/delete")).await;
    assert!(ask.text("form.ask").contains("You can let them in again"), "{}", ask.body);
    let page = ada.press(&format!("{who}/delete"), "/delete", &[]).await;
    assert!(page.flash().contains("calls under this name are refused"), "{}", page.flash());
    assert_eq!(page.text("#deleted summary"), "Deleted (1)");
    assert!(!page.text("#deleted").contains("Grace"), "the name is not kept");
    workshop.comes_to(&key, "demo", "attendee_disabled").await;

    let user_id = page.attribute("#deleted [name=user_id]", "value").unwrap();
    let bob = portal.owner("Bob").await;
    let let_in = format!("{list}/deleted");
    let foreign = bob.post(&let_in, &[("user_id", user_id.as_str())]).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    portal.visitor().post(&let_in, &[("user_id", user_id.as_str())]).await.says_signed_out();
    let page = ada.post_and_follow(&let_in, &[("user_id", user_id.as_str())]).await;
    assert!(page.flash().starts_with("They can join again"), "{}", page.flash());
    assert!(page.all("#deleted").is_empty());
    workshop.comes_to(&key, "demo", "ok").await;
    assert!(ada.get(&list).await.text("tbody th").contains("Grace Hopper"), "they said it again");
    assert!(workshop.trail().await.starts_with("let in again: shared:"));
}
