//! What somebody with a card sees, and somebody who guesses.

use http::StatusCode;
use http::header::{CACHE_CONTROL, HOST, ORIGIN, RETRY_AFTER};

use crate::harness::{Page, Portal, Visitor};
use crate::mcp::Server;
use crate::workshop::Workshop;

pub(crate) async fn card(visitor: &Visitor, event: &str) -> String {
    let path = format!("/admin/events/{event}/attendees/cards");
    visitor.post(&path, &[("whom", "new")]).await.text(".claim-code")
}

async fn claim(visitor: &Visitor, code: &str) -> Page {
    visitor.post("/claim", &[("code", code)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_opens_its_persons_page_until_the_event_ends() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &"backend-key".into()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    let issued = workshop.attendee(&event).await.api_key;
    let code = card(&ada, &event).await;
    let guest = portal.visitor();
    assert_eq!(guest.get("/claim").await.text("h1"), "Your card");

    let answer = claim(&guest, &code.to_lowercase()).await;
    answer.redirects_to(&format!("/event/{event}"));
    let page = guest.get(&format!("/event/{event}")).await;
    assert_eq!(page.headers[CACHE_CONTROL], "no-store");
    let key = page.text("#key");
    assert!(key.starts_with("aik_"), "{key}");
    assert_eq!(page.text("#url-1"), format!("{}/api/v1/mcp/demo/mcp", portal.url));
    assert!(page.all("pre").iter().all(|snippet| snippet.contains(&portal.url)));
    workshop.comes_to(&key.as_str().into(), "demo", "ok").await;
    workshop.comes_to(&issued, "demo", "invalid_api_key").await;

    for visitor in [&guest, &portal.visitor()] {
        let page = visitor.post_and_follow("/claim", &[("code", &code)]).await;
        assert_eq!(page.text("#key"), key, "the same, wherever the card is used");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_works_once_says_that_it_was_used() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |draft| draft.cards_work_once = true).await;
    workshop.attendee(&event).await;
    let code = card(&ada, &event).await;
    let guest = portal.visitor();
    guest.get("/claim").await;
    let page = guest.post_and_follow("/claim", &[("code", &code)]).await;
    let key = page.text("#key");
    let reloaded = guest.get(&format!("/event/{event}")).await;
    assert_eq!(reloaded.text("#key"), key);
    // As if the answer had been lost on its way.
    let again = guest.post_and_follow("/claim", &[("code", &code)]).await;
    assert_eq!(again.text("#key"), key);

    let other = portal.visitor();
    other.get("/claim").await;
    let again = claim(&other, &code).await;
    assert_eq!((again.status, again.text("h1")), (StatusCode::GONE, "This card was used".into()));
    assert!(again.body.contains("ada@example.org") && again.all("#key").is_empty());
    portal.pass(11 * 60_000);
    let late = claim(&guest, &code).await;
    assert_eq!((late.status, late.text("h1")), (StatusCode::GONE, "This card was used".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_of_an_event_that_has_ended_says_so() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |draft| draft.end = "2021-01-01T09:00".into()).await;
    workshop.attendee(&event).await;
    let page = claim(&portal.visitor(), &card(&ada, &event).await).await;
    assert_eq!((page.status, page.text("h1")), (StatusCode::GONE, "The event has ended".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_waits_and_who_has_a_card_does_not() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    workshop.attendee(&event).await;
    let code = card(&ada, &event).await;
    let guest = portal.visitor();
    for (path, field) in [("/claim", "code"), ("/", "given")] {
        let page = guest.post(path, &[(field, "0000-0000-0000")]).await;
        let problem = page.problem(field);
        assert!(problem.contains("is not one that we recognise"), "{problem}");
        let id = format!("#{field}");
        assert_eq!(page.attribute(&id, "value").as_deref(), Some("0000-0000-0000"));
    }
    // More than thirty in one minute, even if a minute ends in between.
    let mut refused = 0;
    for _ in 0..61 {
        let page = claim(&guest, "0000-0000-0000").await;
        if page.status == StatusCode::TOO_MANY_REQUESTS {
            refused += 1;
            assert!(page.headers.contains_key(RETRY_AFTER));
            assert!(page.text(".problem").contains("The right one still works at once"));
            assert_eq!(page.attribute("#code", "value").as_deref(), Some("0000-0000-0000"));
        }
    }
    assert!(refused > 0);
    assert_eq!(claim(&guest, &code).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_claims_nothing() {
    let portal = Portal::start().await;
    let guest = portal.visitor();
    let request = guest.client.post(format!("{}/claim", guest.url));
    let request = request.header(ORIGIN, "https://elsewhere.example");
    let page = Page::read(request.form(&[("code", "0000-0000-0000")]).send().await.unwrap()).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_read_in_every_form_in_which_it_is_pasted() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let event = workshop.event(&[], |_| {}).await;
    for dress in [
        |code: &str| code.replace('-', "–"),
        |code: &str| format!("https://proxy.example/claim#{code} (Anna)"),
        |code: &str| code.replace('-', "\u{a0}\u{2014} "),
    ] {
        workshop.attendee(&event).await;
        let code = dress(&card(&ada, &event).await);
        for (path, field) in [("/claim", "code"), ("/", "given")] {
            let page = portal.visitor().post(path, &[(field, &code)]).await;
            assert_eq!(page.status, StatusCode::SEE_OTHER, "{code}: {}", page.body);
        }
    }
}

/// A form or a page, asked for at another host than the portal's.
async fn at_host(visitor: &Visitor, host: &str, path: &str, fields: &[(&str, &str)]) -> Page {
    let url = format!("{}{path}", visitor.url);
    let request = match fields {
        [] => visitor.client.get(url),
        fields => visitor.client.post(url).header("sec-fetch-site", "same-origin").form(fields),
    };
    Page::read(request.header(HOST, host).send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_beside_no_address_that_somebody_elses_name_gives() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let server = Server::start().await;
    let demo = workshop.resource("demo", &server.url(), &"backend-key".into()).await;
    let event = workshop.event(&[&demo], |_| {}).await;
    for (host, is_ours) in [
        ("laptop.local:8910", true),
        ("laptop:8910", true),
        ("192.0.2.5:8910", true),
        ("evil.example:8910", false),
        ("localhost.evil.example", false),
    ] {
        workshop.attendee(&event).await;
        let cards = format!("/admin/events/{event}/attendees/cards");
        let sheet = at_host(&ada, host, &cards, &[("whom", "new")]).await;
        let guest = portal.visitor();
        let claimed =
            at_host(&guest, host, "/claim", &[("code", &sheet.text(".claim-code"))]).await;
        assert_eq!(claimed.status, StatusCode::SEE_OTHER, "{}", claimed.body);
        let page = at_host(&guest, host, &format!("/event/{event}"), &[]).await;
        let phone = at_host(&guest, host, &format!("/event/{event}/continue"), &[("", "")]).await;
        let invited = at_host(&ada, host, "/admin/owners", &[("name", host)]).await;
        assert_eq!(invited.status, StatusCode::SEE_OTHER, "{}", invited.body);
        let owners = ada.get("/admin/owners").await;
        let secret = owners.text("#flash-secret");
        let home = at_host(&ada, host, "/admin", &[]).await;
        for told in [&sheet, &page, &phone, &home] {
            assert_eq!(told.all("#unconfirmed").is_empty(), is_ours, "{host}: {}", told.body);
            assert!(!told.body.contains("evil.example"), "{host}: {}", told.body);
        }
        assert!(!secret.contains("evil.example"), "{secret}");
        assert_eq!(owners.flash().contains("--public-url"), !is_ours, "{}", owners.body);
        if is_ours {
            assert_eq!(page.text("#url-1"), format!("http://{host}/api/v1/mcp/demo/mcp"));
            assert!(secret.starts_with(&format!("http://{host}/admin/setup/")), "{secret}");
        }
    }
}
