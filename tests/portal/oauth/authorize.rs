//! The page on which a person allows a client: who they are, what they are shown, and where the browser
//! goes.

use std::collections::HashMap;

use ai_proxy::catalog::attendee::claim::{self, For};
use ai_proxy::catalog::event::{self, Draft};
use http::StatusCode;
use http::header::{LOCATION, ORIGIN};
use secrecy::ExposeSecret;
use url::{Url, form_urlencoded};

use super::harness::{CALLBACK, CHALLENGE, Client, Room, refused, tokens};
use crate::harness::{Page, Portal, Visitor};

/// The address to which a client sends its person; `set` changes parameters, and an empty value leaves
/// one out.
pub(super) fn address(client: &str, set: &[(&str, &str)]) -> String {
    let all = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "a state & more"),
        ("scope", "mcp offline_access"),
    ];
    let kept = all.iter().filter(|(name, _)| !set.iter().any(|(other, _)| other == name));
    let set = set.iter().filter(|(_, value)| !value.is_empty());
    let query =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(kept.chain(set)).finish();
    format!("/authorize?{query}")
}

/// The URL to which an answer sends the browser, and the parameters in it.
#[track_caller]
pub(super) fn sent_to(answer: &Page) -> (String, HashMap<String, String>) {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let location = answer.headers[LOCATION].to_str().unwrap();
    let url = Url::parse(location).unwrap_or_else(|_| panic!("{location}"));
    let place = location.split('?').next().unwrap().to_owned();
    (place, url.query_pairs().into_owned().collect())
}

/// The browser goes back to the client with an error.
#[track_caller]
fn told(portal: &Portal, answer: &Page, error: &str) {
    let (place, parameters) = sent_to(answer);
    assert_eq!((&*place, &*parameters["error"]), (CALLBACK, error));
    assert_eq!((&*parameters["state"], &parameters["iss"]), ("a state & more", &portal.url));
    assert!(!parameters.contains_key("code"));
}

/// Opens the page that a form led to.
pub(super) async fn follow(visitor: &Visitor, answer: &Page) -> Page {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    visitor.get(answer.headers[LOCATION].to_str().unwrap()).await
}

/// Sends the form of the consent.
pub(super) async fn decide(visitor: &Visitor, page: &Page, decision: &str) -> Page {
    let action = page.attribute("form", "action").unwrap();
    let seal = page.attribute("[name=seal]", "value").unwrap();
    visitor.post(&action, &[("seal", &seal), ("decision", decision)]).await
}

async fn card(room: &Room<'_>) -> String {
    let (app, by) = (&room.portal.app, &room.workshop.by);
    let whom = For::One(&room.attendee);
    let cards = claim::make_cards(&app.db, &app.vault, by, &room.event, whom).await.unwrap();
    cards[0].code.expose_secret().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_and_a_click_let_a_client_call() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let (client, visitor) = (room.client().await, portal.visitor());
    let resource = format!("{}/api/v1/mcp/demo/mcp", portal.url);
    let address = address(&client.id, &[("resource", &resource)]);
    let page = visitor.get(&address).await;
    assert_eq!((page.status, &*page.text("h1")), (StatusCode::OK, "Sign in to your event"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("frame-ancestors 'none'") && !policy.contains("form-action"),
        "{policy}"
    );
    assert!(!page.headers.contains_key("access-control-allow-origin"));

    let code = card(&room).await;
    let page = follow(&visitor, &visitor.post(&address, &[("given", &code)]).await).await;
    assert_eq!(page.text("h1"), "Allow Editor?");
    for shown in ["demo", "Room", "localhost", "Nobody has checked that name"] {
        assert!(page.text("main").contains(shown), "{shown}: {}", page.body);
    }
    let (place, parameters) = sent_to(&decide(&visitor, &page, "allow").await);
    assert_eq!(place, CALLBACK);
    assert_eq!((&*parameters["state"], &parameters["iss"]), ("a state & more", &portal.url));
    let (access, refresh) = tokens(&client.redeem(&parameters["code"], &[]).await);
    assert_eq!(room.call(&access).await, "ok");

    // Signed in, they are asked at once, and may say no.
    let page = visitor.get(&address).await;
    assert_eq!(page.text("h1"), "Allow Editor?");
    told(&portal, &decide(&visitor, &page, "deny").await, "access_denied");

    let path = format!("/event/{}", room.event);
    let page = visitor.get(&path).await;
    assert!(page.text("#apps").contains("Editor (localhost): demo"), "{}", page.body);
    let app = page.attribute("#apps button", "value").unwrap();
    let page = visitor.post_and_follow(&format!("{path}/apps"), &[("app", &app)]).await;
    assert_eq!(page.all("#apps"), [""; 0]);
    room.comes_to(&access, "invalid_token").await;
    refused(&client.refresh(&refresh, &[]).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_goes_nowhere_for_an_unknown_client_or_address() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let (client, visitor) = (room.client().await, portal.visitor());
    let made_up = "aipx_c_e30";
    for (client, redirect_uri) in [
        ("", CALLBACK),
        ("somebody", CALLBACK),
        (made_up, CALLBACK),
        (&client.id, ""),
        (&client.id, "http://localhost:1/callback/more"),
        (&client.id, "http://localhost:1@evil.example/callback"),
        (&client.id, "http://localhost.evil.example/callback"),
        (&client.id, "https://evil.example/callback"),
        (&client.id, "javascript:alert(1)"),
        (&client.id, "http://localhost:1/callback#x"),
        // Documents at private addresses are not read.
        ("https://127.0.0.1:1/client.json", CALLBACK),
        ("https://10.0.0.1/client.json", "https://10.0.0.1/cb"),
    ] {
        let address = address(client, &[("redirect_uri", redirect_uri)]);
        for page in
            [visitor.get(&address).await, visitor.post(&address, &[("decision", "deny")]).await]
        {
            assert_eq!(
                page.status,
                StatusCode::BAD_REQUEST,
                "{client} {redirect_uri}: {}",
                page.body
            );
            assert_eq!(page.text("h1"), "This sign-in cannot start");
            assert!(!page.headers.contains_key(LOCATION));
        }
    }
    // Any port of this machine is the client's.
    let address = address(&client.id, &[("redirect_uri", "http://127.0.0.1:9/callback")]);
    assert_eq!(visitor.get(&address).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_error_goes_back_to_the_client() {
    let portal = Portal::start().await;
    let client = Client::register(&portal).await;
    let visitor = portal.visitor();
    let elsewhere = "https://evil.example/api/v1/mcp/demo";
    for (set, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("resource", elsewhere), "invalid_target"),
        (("resource", "/api/v1/mcp/demo"), "invalid_target"),
    ] {
        told(&portal, &visitor.get(&address(&client.id, &[set])).await, error);
    }
    told(
        &portal,
        &visitor.post(&address(&client.id, &[]), &[("decision", "deny")]).await,
        "access_denied",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_cannot_be_forged() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let (client, visitor) = (room.client().await, portal.visitor());
    let address_of = |state: &str| address(&client.id, &[("state", state)]);
    let key = room.key.expose_secret();
    let page = follow(&visitor, &visitor.post(&address_of("a"), &[("given", key)]).await).await;
    let seal = page.attribute("[name=seal]", "value").unwrap();
    let allow = [("decision", "allow"), ("seal", &*seal)];

    // Another request of the same session, another browser, and no seal.
    for (visitor, address, seal) in [
        (&visitor, address_of("b"), &*seal),
        (&portal.visitor(), address_of("a"), &*seal),
        (&visitor, address_of("a"), ""),
    ] {
        let answer = visitor.post(&address, &[("decision", "allow"), ("seal", seal)]).await;
        answer.redirects_to(&address);
    }
    // Another site's page, in the person's own browser.
    for (name, value) in
        [(ORIGIN.as_str(), "https://evil.example"), ("sec-fetch-site", "cross-site")]
    {
        let url = format!("{}{}", portal.url, address_of("a"));
        let answer =
            visitor.client.post(url).header(name, value).form(&allow).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
    }
    let codes = "select count(*) from oauth_code";
    assert_eq!(room.workshop.number(codes).await, 0);
    let (_, parameters) = sent_to(&visitor.post(&address_of("a"), &allow).await);
    assert!(parameters.contains_key("code"));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_what_the_workshop_gave_them() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let client = room.client().await;
    let (app, by) = (&portal.app, &room.workshop.by);
    let stored = event::get(&app.db, &app.vault, &by.owner_id, &room.event).await.unwrap();
    let draft = Draft { shared_code: Some("welcome1".into()), ..Draft::from(&stored) };
    event::save(&app.db, &app.vault, by, &draft).await.unwrap();
    let linus = format!("{}@welcome1/Linus", room.event).into();
    room.workshop.comes_to(&linus, "demo", "ok").await;
    let address = address(&client.id, &[]);
    let join = |name: &'static str, code: &'static str| {
        [("decision", "join"), ("event", &*room.event), ("code", code), ("name", name)]
    };

    let visitor = portal.visitor();
    assert!(
        visitor
            .post(&address, &[("given", "0000-0000-0000")])
            .await
            .problem("given")
            .contains("recognise")
    );
    assert!(
        visitor
            .post(&address, &join("Grace", "wrong-code"))
            .await
            .problem("code")
            .contains("not this event's")
    );
    let unknown = [("decision", "join"), ("event", "0000-0000"), ("code", "x"), ("name", "Grace")];
    assert!(visitor.post(&address, &unknown).await.problem("event").contains("not known"));
    let nonsense = [("decision", "join"), ("event", "?"), ("code", "x"), ("name", "Grace")];
    assert!(visitor.post(&address, &nonsense).await.problem("event").contains("a1b2-c3d4"));

    let key = room.key.expose_secret();
    let page = follow(&visitor, &visitor.post(&address, &[("given", key)]).await).await;
    assert_eq!(page.text("h1"), "Allow Editor?");

    let grace = portal.visitor();
    let page = follow(&grace, &grace.post(&address, &join("Grace", "WELCOME1")).await).await;
    assert!(page.text("main").contains("as Grace"), "{}", page.body);
    let (_, parameters) = sent_to(&decide(&grace, &page, "allow").await);
    let (access, refresh) = tokens(&client.redeem(&parameters["code"], &[]).await);
    room.comes_to(&access, "ok").await;

    // Somebody else under her name is asked first, and is told by no proof from her.
    let other = portal.visitor();
    let page = other.post(&address, &join("grace", "welcome1")).await;
    assert!(page.text("main").contains("Is that you?"), "{}", page.body);
    let fields = [&join("grace", "welcome1")[..], &[("is_me", "yes")]].concat();
    let page = follow(&other, &other.post(&address, &fields).await).await;
    assert_eq!(page.text("h1"), "Allow Editor?");

    portal.pass(11 * 60_000);
    let page = other.get(&address).await;
    assert_eq!(page.text("h1"), "Sign in to your event", "the code may have changed since");
    let page = follow(&other, &other.post(&address, &fields).await).await;
    assert_eq!(page.text("h1"), "Allow Editor?", "once they have typed it again");
    assert_eq!(grace.get(&address).await.text("h1"), "Allow Editor?", "in this browser she joined");

    let draft = Draft { shared_code: Some("welcome2".into()), ..draft };
    let draft = Draft { id: Some(room.event.clone()), ..draft };
    event::save(&app.db, &app.vault, by, &draft).await.unwrap();
    room.comes_to(&access, "invalid_token").await;
    refused(&client.refresh(&refresh, &[]).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_two_events_chooses_and_is_told_what_an_event_lacks() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let (client, visitor) = (room.client().await, portal.visitor());
    let other = room.workshop.event(&[], |draft| draft.name = "Other".into()).await;
    let others = room.workshop.attendee(&other).await.api_key;
    let all = address(&client.id, &[]);
    let resource = format!("{}/api/v1/mcp/demo", portal.url);
    let demo = address(&client.id, &[("resource", &resource)]);

    let page =
        follow(&visitor, &visitor.post(&demo, &[("given", others.expose_secret())]).await).await;
    assert!(page.text(".flash").contains("Other has no MCP server “demo”. It has none at all"));
    assert_eq!(page.all("[value=allow]"), [""; 0]);
    let seal = page.attribute("[name=seal]", "value").unwrap();
    let answer = visitor.post(&demo, &[("decision", "allow"), ("seal", &seal)]).await;
    answer.redirects_to(&demo);

    let another = visitor.get(&format!("{demo}&another=1")).await;
    assert_eq!(another.text("h1"), "Sign in to your event");
    visitor.post(&demo, &[("given", room.key.expose_secret())]).await;
    assert!(visitor.get(&demo).await.text("main").contains("Room"), "only one event has it");
    let page = visitor.get(&all).await;
    assert_eq!(page.text("h1"), "Choose an event");
    let links = page.attributes(".rows a", "href");
    assert_eq!(links.len(), 2);
    let mut shown = Vec::new();
    for link in &links {
        shown.push(visitor.get(link).await.text("main").contains("Other"));
    }
    shown.sort_unstable();
    assert_eq!(shown, [false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_has_ended_says_so() {
    let portal = Portal::start().await;
    let room = Room::open(&portal).await;
    let (client, visitor) = (room.client().await, portal.visitor());
    let address = address(&client.id, &[]);
    visitor.post(&address, &[("given", room.key.expose_secret())]).await;
    let (app, by) = (&portal.app, &room.workshop.by);
    let stored = event::get(&app.db, &app.vault, &by.owner_id, &room.event).await.unwrap();
    let draft = Draft { end: "2021-01-01T00:00".into(), ..Draft::from(&stored) };
    event::save(&app.db, &app.vault, by, &draft).await.unwrap();
    let page = visitor.get(&address).await;
    assert_eq!(page.text("h1"), "Sign in to your event");
    assert!(page.text(".flash").contains("Your sign-in to Room has ended"), "{}", page.body);
    let late = visitor.post(&address, &[("given", room.key.expose_secret())]).await;
    assert!(late.problem("given").contains("has ended"));
}
