//! People who show at `/authorize` who they are by an account that somebody else has checked.

use http::StatusCode;
use http::header::ORIGIN;

use super::authorize::{address, decide, follow, sent_to};
use super::harness::{CALLBACK, Client, tokens};
use crate::gateway::{TRUSTED, static_web_apps};
use crate::harness::{Page, Portal, Visitor};
use crate::octocat::Site;
use crate::workshop::Workshop;

/// Sends the form of the ways to sign in with the event alone.
async fn choose(visitor: &Visitor, address: &str, way: &str, event: &str) -> Page {
    visitor.post(address, &[("decision", way), ("event", event), ("code", ""), ("name", "")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn github_leads_back_to_what_the_client_asked() {
    let site = Site::start().await;
    let event = site.event().await;
    site.workshop().await.is_in_force(&event).await;
    let (client, visitor) = (Client::register(&site.portal).await, site.portal.visitor());
    let address = address(&client.id, &[]);
    assert!(visitor.get(&address).await.all("button").contains(&"Sign in with GitHub".to_owned()));

    let away = choose(&visitor, &address, "github", &event).await;
    let back = visitor.choose_at_github(&away, "Cancel").await;
    let page = visitor.get(&back).await;
    assert_eq!((page.status, &*page.text("h1")), (StatusCode::FORBIDDEN, "Not signed in"));
    let again = page.attribute("a.button", "href").unwrap();
    assert!(again.starts_with(&address), "{again}");
    assert_eq!(visitor.get(&again).await.text("h1"), "Sign in to your event");

    let away = choose(&visitor, &again, "github", &event).await;
    let back = visitor.choose_at_github(&away, "octocat").await;
    let page = follow(&visitor, &visitor.get(&back).await).await;
    assert_eq!(page.text("h1"), "Allow Editor?");
    assert!(page.text("main").contains("as The Octocat"), "{}", page.body);
    let (place, parameters) = sent_to(&decide(&visitor, &page, "allow").await);
    assert_eq!(place, CALLBACK);
    tokens(&client.redeem(&parameters["code"], &[]).await);
    // The same attendee as on the page of the event.
    site.portal.visitor().sign_in_with_github(&event, "octocat").await;
    assert_eq!(site.attendees().await, 1);
    // Somebody else at the same computer is asked as themselves.
    let away = choose(&visitor, &address, "github", &event).await;
    let back = visitor.choose_at_github(&away, "grace").await;
    let page = follow(&visitor, &visitor.get(&back).await).await;
    assert!(page.text("main").contains("as grace"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn github_says_at_the_event_why_it_cannot_be_used() {
    let site = Site::start().await;
    let (workshop, event) = (site.workshop().await, site.event().await);
    let ended = workshop.event(&[], |draft| draft.end = "2021-01-01T00:00".into()).await;
    let closed = workshop.event(&[], |_| {}).await;
    let (client, visitor) = (Client::register(&site.portal).await, site.portal.visitor());
    let short = address(&client.id, &[]);
    for (id, reason) in
        [("0000-0000", "not known here"), ("?", "a1b2-c3d4"), (&*ended, "has ended")]
    {
        let page = choose(&visitor, &short, "github", id).await;
        assert!(page.problem("event").contains(reason), "{id}: {}", page.body);
        assert_eq!(page.attribute("#event", "value").as_deref(), Some(id));
    }
    let long = "x".repeat(2500);
    let page = choose(&visitor, &address(&client.id, &[("state", &long)]), "github", &event).await;
    assert!(page.problem("event").contains("on the event's page"), "{}", page.body);

    let away = choose(&visitor, &short, "github", &closed).await;
    let back = visitor.choose_at_github(&away, "octocat").await;
    let page = visitor.get(&back).await;
    assert_eq!(page.text("h1"), "Registration is closed");
    let other = page.attribute("a.button", "href").unwrap();
    assert!(other.starts_with(&short), "{}", page.body);
    assert_eq!(site.attendees().await, 0);
    // Whoever is in another event is not taken for one of this.
    visitor.sign_in_with_github(&event, "octocat").await;
    let page = visitor.get(&other).await;
    assert_eq!(page.text("h1"), "Sign in to your event");
    assert_eq!(page.attribute("#event", "value"), Some(closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_neither_the_page_offers_neither() {
    let portal = Portal::with(TRUSTED).await;
    portal.administrator("Ada").await;
    let event = Workshop::of(&portal, "Ada").await.event(&[], |_| {}).await;
    let (client, visitor) = (Client::register(&portal).await, portal.visitor());
    let address = address(&client.id, &[]);
    let page = visitor.get(&address).await;
    assert_eq!(page.all("button"), ["Continue", "Join", "Cancel"]);
    // Forged forms.
    let page = choose(&visitor, &address, "github", &event).await;
    assert!(page.problem("event").contains("GitHub"), "{}", page.body);
    let page = follow(&visitor, &choose(&visitor, &address, "gateway", &event).await).await;
    assert_eq!(page.text("h1"), "Sign in to your event");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_at_the_gateway_signs_in() {
    let portal = Portal::with(TRUSTED).await;
    portal.administrator("Ada").await;
    let event = Workshop::of(&portal, "Ada").await.event(&[], |_| {}).await;
    let (client, visitor) = (Client::register(&portal).await, portal.visitor());
    let address = address(&client.id, &[]);
    let principal = static_web_apps("1", "octocat");
    let through = async |request: reqwest::RequestBuilder| {
        let request = request.header(ORIGIN, &visitor.url);
        let request = request.header("x-ms-client-principal", &principal);
        Page::read(request.send().await.unwrap()).await
    };
    let url = |path: &str| format!("{}{path}", visitor.url);
    let page = through(visitor.client.get(url(&address))).await;
    assert!(page.all("button").contains(&"Continue as octocat".to_owned()), "{}", page.body);
    let fields = [("decision", "gateway"), ("event", &*event), ("code", ""), ("name", "")];
    let answer = through(visitor.client.post(url(&address)).form(&fields)).await;
    let next = answer.headers["location"].to_str().unwrap().to_owned();
    let page = through(visitor.client.get(url(&next))).await;
    assert_eq!(page.text("h1"), "Allow Editor?");
    assert!(page.text("main").contains("as octocat"), "{}", page.body);
}
