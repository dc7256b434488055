//! What is another owner's is not there: tried on every route that holds an id. The
//! routes are those of which the router is made, so one that is added and not covered here
//! fails.

use std::collections::BTreeSet;

use ai_proxy::backup;
use ai_proxy::backup::archive::Archive;
use ai_proxy::catalog::attendee::{self, Joined};
use ai_proxy::catalog::event::{self, Draft};
use ai_proxy::catalog::owner::{self, api_token};
use ai_proxy::clock::{day_of, now_ms};
use ai_proxy::portal;
use http::header::{CONTENT_TYPE, LOCATION, ORIGIN};
use http::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::harness::{Page, Portal, Visitor};
use crate::workshop::Workshop;

const API: &str = "/api/admin/v1";
const FILE: &[u8] = include_bytes!("backup/version1.backup");
const PASSPHRASE: &str = "a dozen purple kites";

/// Whose ids are no owner's rows: assets and one-time links.
const NOBODYS: [&str; 5] = [
    "/assets/{name}",
    "/admin/setup/{token}",
    "/admin/setup/{token}/entra",
    "/api/admin/{*rest}",
    "/.well-known/oauth-protected-resource/{*path}",
];

/// What attendees see of an event; the suites of their pages and of front ends try each of these.
const ATTENDEES: [&str; 2] = ["/event/{id}", "/api/v1/attendee/event/{id}"];

/// For administrators, whoever's the id is.
const ADMINISTRATORS: &str = "/admin/owners/";

/// A route and a method of it.
type Route = (String, Method);

/// The pages and forms that hold an id.
fn pages() -> BTreeSet<Route> {
    let all = portal::routes().into_iter().map(|(method, path)| (path, method));
    let is_attendees = |path: &str| ATTENDEES.iter().any(|prefix| path.starts_with(prefix));
    let pages = all.filter(|(path, _)| !path.starts_with(API) && !is_attendees(path));
    pages.filter(|(path, _)| path.contains('{') && !NOBODYS.contains(&path.as_str())).collect()
}

/// The calls of the API that hold an id.
fn calls() -> BTreeSet<Route> {
    let all = portal::routes().into_iter();
    let calls = all.filter_map(|(method, path)| Some((path.strip_prefix(API)?.to_owned(), method)));
    calls.filter(|(path, _)| path.contains('{')).collect()
}

/// One owner's rows, by their ids.
struct Rows {
    event: String,
    ends_at: i64,
    resource: String,
    attendee: String,
    /// The user id of somebody who was deleted.
    deleted: String,
    token: String,
    /// A file that waits to be restored.
    restore: String,
    /// A form that waits.
    held: String,
}

impl Rows {
    async fn of(portal: &Portal, name: &str, visitor: &Visitor, number: u32) -> Self {
        let (app, workshop) = (&portal.app, Workshop::of(portal, name).await);
        let deployment = format!("weather-{number}");
        let resource = workshop.resource(&deployment, "http://127.0.0.1:9/mcp", &"k".into()).await;
        let event = workshop.event(&[&resource], |draft| draft.name = "Workshop".into()).await;
        let stored = event::get(&app.db, &app.vault, &workshop.by.owner_id, &event).await;
        let attendee = workshop.attendee(&event).await.attendee_id;
        let stored = stored.unwrap();
        let joined =
            attendee::join_by_shared_code(&app.db, &app.vault, &stored, b"Grace", now_ms()).await;
        let Joined::New(grace) = joined.unwrap() else { panic!("nobody joined") };
        attendee::delete(&app.db, &workshop.by, &grace.id, day_of(now_ms())).await.unwrap();
        let deleted = grace.user_id;
        let owner = owner::find(&app.db, name).await.unwrap().unwrap();
        let token = format!("token {number}");
        api_token::create(&app.db, &owner.actor(now_ms()), &token, None).await.unwrap();
        let mut tokens = api_token::list(&app.db, &owner.id).await.unwrap().into_iter();
        let token = tokens.find(|one| one.name == token).unwrap().id;
        // First: a file that waits goes with its sign-in.
        let held = held(visitor, name).await;
        let fields = [("file_passphrase", PASSPHRASE)];
        let kept = visitor.upload("/admin/backup/restore", &fields, FILE).await;
        let restore = kept.headers[LOCATION].to_str().unwrap().rsplit_once('/').unwrap().1;
        let restore = restore.to_owned();
        let ends_at = stored.ends_at;
        Self { event, ends_at, resource, attendee, deleted, token, restore, held }
    }

    /// Takes the resource out of the event, so that it can be deleted.
    async fn unlink(&self, portal: &Portal, name: &str) {
        let (app, workshop) = (&portal.app, Workshop::of(portal, name).await);
        let stored = event::get(&app.db, &app.vault, &workshop.by.owner_id, &self.event).await;
        let draft = Draft { resources: vec![], ..Draft::from(&stored.unwrap()) };
        event::save(&app.db, &app.vault, &workshop.by, &draft).await.unwrap();
    }

    /// The id that stands after this noun in a path.
    fn id(&self, route: &str, noun: &str, name: &str) -> &str {
        match (noun, name) {
            ("events", "{id}") => &self.event,
            ("resources", "{id}" | "{resource_id}") => &self.resource,
            ("attendees", "{attendee}" | "{attendee_id}") => &self.attendee,
            ("deleted", "{user_id}") => &self.deleted,
            ("tokens", "{id}") => &self.token,
            ("restore", "{id}") => &self.restore,
            ("held", "{id}") => &self.held,
            _ => panic!("whose is {name} of {route}?"),
        }
    }
}

/// The id of a form that an owner sent after signing out, in a browser that is signed in again.
async fn held(visitor: &Visitor, name: &str) -> String {
    visitor.post("/admin/sign-out", &[]).await;
    let page = visitor.post("/admin/events/new", &[("name", "Held")]).await;
    visitor.sign_in(name, PASSPHRASE).await.redirects_to("/admin");
    page.attribute("[name=next]", "value").unwrap().rsplit_once('/').unwrap().1.to_owned()
}

/// The path of a route, each id of it taken from the first or, where its bit is set, the
/// second rows; none where there are no more ids than that.
fn path(route: &str, rows: [&Rows; 2], bits: u32) -> Option<String> {
    let (mut path, mut noun, mut ids) = (String::new(), "", 0);
    for part in route.split('/').skip(1) {
        path.push('/');
        if part == "{table}" {
            path.push_str("over-time.csv");
        } else if part.starts_with('{') {
            let whose = rows[(bits >> ids & 1) as usize];
            path.push_str(whose.id(route, noun, part));
            ids += 1;
        } else {
            path.push_str(part);
        }
        noun = part;
    }
    (bits < 1 << ids).then_some(path)
}

/// What an owner's own page of this route would send.
async fn fields(route: &str, visitor: &Visitor, own: &Rows) -> Vec<(&'static str, String)> {
    let all: Vec<(&str, String)> = match route.strip_prefix("/admin").unwrap() {
        "/resources/{id}" => vec![
            ("name", "Weather".into()),
            ("deployment", format!("changed-{}", own.resource)),
            ("kind", "mcp-server".into()),
            ("endpoint", "http://127.0.0.1:9/mcp".into()),
            ("auth", "api-key".into()),
            ("key", "changed".into()),
            ("region", "changed".into()),
        ],
        "/events/{id}" => vec![
            ("name", "Changed".into()),
            ("description", "Changed.".into()),
            ("organizer_name", "Eve".into()),
            ("organizer_email", "eve@example.org".into()),
            ("start", "2020-01-01T09:00".into()),
            ("end", "2099-12-31T17:00".into()),
            ("time_zone", "UTC".into()),
            ("max_token_cap", "1".into()),
            ("daily_request_cap", "1".into()),
            ("requests_per_minute", "1".into()),
            ("shared_code", String::new()),
            ("shared_code_limit", "500".into()),
            ("registration", "closed".into()),
        ],
        "/resources/{id}/active" => vec![("active", "no".into())],
        "/events/{id}/delete" => vec![("name", "Workshop".into())],
        "/events/{id}/attendees/cards" => vec![("whom", "new".into())],
        "/events/{id}/attendees/cards/again" => vec![("part", "1".into())],
        "/events/{id}/attendees/deleted" => vec![("user_id", own.deleted.clone())],
        "/events/{id}/attendees/{attendee}/cap" => vec![("cap", "5".into())],
        "/events/{id}/attendees/{attendee}/activity"
        | "/events/{id}/room/activity"
        | "/events/{id}/room/registration"
        | "/events/{id}/room/resources/{resource_id}" => vec![("to", "off".into())],
        "/events/{id}/room/end" => vec![("from", own.ends_at.to_string())],
        "/events/{id}/room/cap" => vec![("from", "1024".into()), ("percent", "10".into())],
        "/backup/restore/{id}" => {
            let page = visitor.get(&format!("/admin/backup/restore/{}", own.restore)).await;
            vec![("mark", page.attribute("[name=mark]", "value").unwrap())]
        }
        "/held/{id}"
        | "/resources/{id}/delete"
        | "/tokens/{id}/revoke"
        | "/backup/restore/{id}/discard"
        | "/events/{id}/preflight"
        | "/events/{id}/attendees"
        | "/events/{id}/attendees/cards.csv"
        | "/events/{id}/attendees/{attendee}/key"
        | "/events/{id}/attendees/{attendee}/delete" => vec![],
        _ => panic!("say what is sent to {route}, so that it is tried with another owner's ids"),
    };
    all
}

async fn send(
    visitor: &Visitor,
    (route, method): &Route,
    path: &str,
    fields: &[(&'static str, String)],
) -> Page {
    if *method == Method::POST && route == "/admin/events/{id}/attendees" {
        return visitor.upload(path, &[("count", "1")], b"").await;
    }
    let request = visitor.client.request(method.clone(), format!("{}{path}", visitor.url));
    let request = request.header(ORIGIN, &visitor.url);
    let request = if *method == Method::POST { request.form(fields) } else { request };
    Page::read(request.send().await.unwrap()).await
}

/// All that the owner `name` has, as text.
async fn all_of(portal: &Portal, name: &str) -> String {
    let (app, owner) = (&portal.app, owner::find(&portal.app.db, name).await.unwrap().unwrap());
    let archive = backup::gather(&app.db, &app.vault, &owner.id, true, now_ms()).await.unwrap();
    let archive = Archive { made_at: 0, ..archive }.to_json().unwrap();
    let tokens = api_token::list(&app.db, &owner.id).await.unwrap();
    let tokens: Vec<_> = tokens.into_iter().map(|token| token.id).collect();
    format!("{} {tokens:?}", std::str::from_utf8(&archive).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_or_form_takes_another_owners_id() {
    let portal = Portal::start().await;
    let (ada, eve) = (portal.administrator("Ada").await, portal.owner("Eve").await);
    let hers = Rows::of(&portal, "Ada", &ada, 0).await;
    let before = all_of(&portal, "Ada").await;
    let waiting = format!("/admin/backup/restore/{}", hers.restore);
    let pages = pages();
    assert!(pages.len() > 40, "{pages:?}");
    for (number, route) in pages.iter().enumerate() {
        let (name, method) = route;
        if name.starts_with(ADMINISTRATORS) {
            let id = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap().id;
            let answer = send(&eve, route, &name.replace("{id}", &id), &[]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {name}");
            continue;
        }
        let own = Rows::of(&portal, "Eve", &eve, u32::try_from(number).unwrap()).await;
        let typed = match *method {
            Method::POST => fields(name, &eve, &own).await,
            _ => vec![],
        };
        if name == "/admin/resources/{id}/delete" {
            own.unlink(&portal, "Eve").await;
        }
        let mut tried = 0;
        for path in (1..).map_while(|bits| path(name, [&own, &hers], bits)) {
            let answer = send(&eve, route, &path, &typed).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.body);
            tried += 1;
        }
        assert!(tried > 0, "{name}");
        // It is the id that is refused, not what was typed.
        let path = path(name, [&own, &hers], 0).unwrap();
        let answer = send(&eve, route, &path, &typed).await;
        let is_done = answer.status.is_success() || answer.status == StatusCode::SEE_OTHER;
        assert!(is_done, "{method} {path}: {} {}", answer.status, answer.body);
    }
    assert_eq!(all_of(&portal, "Ada").await, before);
    assert_eq!(ada.get(&waiting).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_takes_another_owners_id_in_a_field() {
    let portal = Portal::start().await;
    let (ada, eve) = (portal.administrator("Ada").await, portal.owner("Eve").await);
    let hers = Rows::of(&portal, "Ada", &ada, 0).await;
    let own = Rows::of(&portal, "Eve", &eve, 1).await;
    let before = all_of(&portal, "Ada").await;
    let resource = fields("/admin/resources/{id}", &eve, &own).await;
    let event = fields("/admin/events/{id}", &eve, &own).await;
    for (path, typed, name, id, refusal) in [
        ("/admin/resources/new", &resource, "copy_of", &hers.resource, StatusCode::NOT_FOUND),
        ("/admin/resources/test", &resource, "id", &hers.resource, StatusCode::NOT_FOUND),
        ("/admin/resources/test", &resource, "copy_of", &hers.resource, StatusCode::NOT_FOUND),
        ("/admin/events/new", &event, "copy_of", &hers.event, StatusCode::NOT_FOUND),
        ("/admin/events/preview", &event, "id", &hers.event, StatusCode::NOT_FOUND),
        ("/admin/events/preview", &event, "copy_of", &hers.event, StatusCode::NOT_FOUND),
        (
            "/admin/events/new",
            &event,
            "resources",
            &hers.resource,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let typed: Vec<_> = typed.iter().cloned().chain([(name, id.clone())]).collect();
        let route = (path.to_owned(), Method::POST);
        let answer = send(&eve, &route, path, &typed).await;
        assert_eq!(answer.status, refusal, "{path} with {name}: {}", answer.body);
    }
    let cards = format!("/admin/events/{}/attendees/cards", own.event);
    let answer = eve.post(&cards, &[("whom", &hers.attendee)]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(all_of(&portal, "Ada").await, before);
}

/// What a program would send for its own.
fn body(route: &str, method: &Method) -> Option<Value> {
    match (method.as_str(), route) {
        ("PATCH", "/resources/{id}") => Some(json!({"region": "changed"})),
        ("PATCH", "/events/{id}") => Some(json!({"name": "Changed"})),
        ("POST", "/events/{id}/extend") => Some(json!({"minutes": 5})),
        ("POST", "/events/{id}/attendees") => Some(json!({"count": 1})),
        ("PATCH", "/events/{id}/attendees/{attendee_id}") => Some(json!({"active": false})),
        ("GET" | "DELETE", _) => None,
        (
            "POST",
            "/resources/{id}/test"
            | "/events/{id}/pause"
            | "/events/{id}/resume"
            | "/events/{id}/attendees/{attendee_id}/key"
            | "/events/{id}/attendees/deleted/{user_id}/let-in",
        ) => None,
        _ => panic!(
            "say what {method} {route} is sent, so that it is tried with another owner's ids"
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_of_the_api_takes_another_owners_id() {
    let portal = Portal::start().await;
    let (ada, eve) = (portal.administrator("Ada").await, portal.owner("Eve").await);
    let hers = Rows::of(&portal, "Ada", &ada, 0).await;
    let before = all_of(&portal, "Ada").await;
    let owner = owner::find(&portal.app.db, "Eve").await.unwrap().unwrap();
    let token =
        api_token::create(&portal.app.db, &owner.actor(now_ms()), "CI", None).await.unwrap();
    let calls = calls();
    assert!(calls.len() > 15, "{calls:?}");
    for (number, (route, method)) in calls.iter().enumerate() {
        let own = Rows::of(&portal, "Eve", &eve, u32::try_from(number).unwrap()).await;
        let call = async |path: String| {
            let request = eve.client.request(method.clone(), format!("{}{API}{path}", eve.url));
            let request = request.bearer_auth(token.expose_secret());
            let request = match body(route, method) {
                Some(body) => {
                    request.header(CONTENT_TYPE, "application/json").body(body.to_string())
                }
                None => request,
            };
            Page::read(request.send().await.unwrap()).await
        };
        if *method == Method::DELETE {
            own.unlink(&portal, "Eve").await;
        }
        let mut tried = 0;
        for path in (1..).map_while(|bits| path(route, [&own, &hers], bits)) {
            let answer = call(path.clone()).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.body);
            assert!(answer.body.contains("not_found"), "{}", answer.body);
            tried += 1;
        }
        assert!(tried > 0, "{route}");
        let path = path(route, [&own, &hers], 0).unwrap();
        let answer = call(path.clone()).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.body);
    }
    assert_eq!(all_of(&portal, "Ada").await, before);
}
