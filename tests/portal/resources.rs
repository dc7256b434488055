//! What owners do with resources: every rule of the form, the key that never comes
//! back, and connections that are tried for real.

use std::time::Duration;

use ai_proxy::catalog::resource::{self, Auth, Resource, ResourceType};
use ai_proxy::catalog::{audit, event, owner};
use ai_proxy::clock::now_ms;
use ai_proxy::demo::backend::Backend;
use ai_proxy::health;
use http::StatusCode;
use secrecy::ExposeSecret;

use crate::harness::{Page, Portal, Visitor};

const RESOURCES: &str = "/admin/resources";
const NEW: &str = "/admin/resources/new";
const TEST: &str = "/admin/resources/test";
const KEY: &str = "correct-horse-battery-staple";

/// What a form would send, with some fields changed. An unchecked box is not sent.
fn fields<'a>(changed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("name", "Demo"),
        ("deployment", "mcp-demo"),
        ("kind", "mcp-server"),
        ("endpoint", "http://127.0.0.1:9/mcp"),
        ("auth", "api-key"),
        ("header", ""),
        ("key", ""),
        ("region", ""),
        ("active", "on"),
    ];
    for (name, value) in changed {
        fields.retain(|(field, _)| field != name);
        fields.push((name, value));
    }
    fields
}

async fn all_of(portal: &Portal, name: &str) -> Vec<Resource> {
    let owner = owner::find(&portal.app.db, name).await.unwrap().unwrap();
    resource::list(&portal.app.db, &portal.app.vault, &owner.id).await.unwrap()
}

/// The owner's only resource.
async fn only(portal: &Portal, name: &str) -> Resource {
    let mut all = all_of(portal, name).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Makes a resource and answers its page's path.
async fn make(portal: &Portal, ada: &Visitor, changed: &[(&str, &str)]) -> String {
    let fields = fields(changed);
    let deployment = fields.iter().find(|(name, _)| *name == "deployment").unwrap().1;
    ada.post_and_follow(NEW, &fields).await;
    let all = all_of(portal, "Ada").await;
    let made = all.iter().find(|resource| *resource.deployment == *deployment).unwrap();
    format!("{RESOURCES}/{}", made.id)
}

/// Links the resource to an event that is open.
async fn link(portal: &Portal, event: &str, resource: &Resource) {
    let owner = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap();
    let draft = event::Draft {
        name: event.into(),
        description: "# Welcome".into(),
        organizer_name: "Ada".into(),
        organizer_email: "ada@example.org".into(),
        start: "2020-01-01T09:00".into(),
        end: "2099-12-31T18:00".into(),
        active: true,
        resources: vec![resource.id.clone()],
        ..Default::default()
    };
    event::save(&portal.app.db, &portal.app.vault, &owner.actor(now_ms()), &draft).await.unwrap();
}

fn value(page: &Page, field: &str) -> String {
    page.attribute(&format!("#{field}"), "value").unwrap_or_default()
}

/// Opens a page again until it is as wanted.
async fn until(visitor: &Visitor, path: &str, wanted: impl Fn(&Page) -> bool) -> Page {
    let wait = async {
        loop {
            let page = visitor.get(path).await;
            if wanted(&page) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the page changes")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_made_listed_and_found() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let empty = ada.get(RESOURCES).await;
    assert_eq!(empty.text(".empty h2"), "No resources yet");
    assert_eq!(empty.attribute(".empty a", "href").as_deref(), Some(NEW));

    let form = ada.get(NEW).await;
    assert_eq!(form.text("#kind option[selected]"), "MCP Server");
    assert_eq!(form.text("#auth option[selected]"), "api-key header");
    assert!(form.attribute("#active", "checked").is_some());
    assert!(form.all("#remove_key").is_empty(), "there is no key to remove");

    let typed = fields(&[("name", "zebra"), ("deployment", " mcp-demo "), ("key", KEY)]);
    let list = ada.post_and_follow(NEW, &typed).await;
    assert_eq!(list.flash(), "zebra is made; link it to an event to use it.");
    make(&portal, &ada, &[("name", "Älpha"), ("deployment", "b"), ("region", "West")]).await;
    make(&portal, &ada, &[("name", "apple"), ("deployment", "c")]).await;
    let stored = all_of(&portal, "Ada").await;
    let zebra = stored.iter().find(|resource| resource.name == "zebra").unwrap();
    assert_eq!(&*zebra.deployment, "mcp-demo");
    assert_eq!((zebra.kind, &zebra.auth), (ResourceType::McpServer, &Auth::ApiKey));
    assert_eq!(zebra.key.as_ref().unwrap().expose_secret(), KEY);
    assert!(zebra.active);

    let names = "tbody th";
    assert_eq!(ada.get(RESOURCES).await.all(names), ["apple", "zebra", "Älpha"]);
    assert_eq!(ada.get("/admin/resources?q=wEst").await.all(names), ["Älpha"]);
    assert_eq!(ada.get("/admin/resources?q=mcp-de").await.all(names), ["zebra"]);
    let none = ada.get("/admin/resources?q=%3Cb%3E").await;
    assert_eq!(none.text(".empty"), "No resource has “<b>” in its name, type or region.");
    let audited = ada.get("/admin/audit").await;
    assert!(audited.body.contains("mcp-demo"), "{}", audited.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_told_beside_its_field_and_what_was_typed_is_kept() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    make(&portal, &ada, &[("deployment", "taken")]).await;
    let (long, long_url) = ("a".repeat(65), format!("http://h/{}", "a".repeat(2040)));
    for (field, typed, problem) in [
        ("name", " ", "Friendly name is required."),
        ("name", &*long, "Friendly name has more than 64 characters."),
        ("deployment", "", "Deployment name is required."),
        ("deployment", &long, "Deployment name has more than 64 characters."),
        ("deployment", "a b", "Deployment name may hold letters, digits, '.', '_' and '-' only."),
        ("deployment", "..", "Deployment name may hold letters, digits, '.', '_' and '-' only."),
        (
            "deployment",
            "taken",
            "Deployment name is that of another resource of yours: choose one of its own.",
        ),
        ("endpoint", "", "Endpoint URL is required."),
        ("endpoint", &long_url, "Endpoint URL has more than 2048 characters."),
        ("endpoint", "ftp://h/", "Endpoint URL must begin with http:// or https://."),
        (
            "endpoint",
            "http://u:p@h/",
            "Endpoint URL must not hold a user name or password; give the key as the key.",
        ),
        ("endpoint", "http://h/#x", "Endpoint URL must not hold a fragment (#…)."),
        ("region", &long, "Region has more than 64 characters."),
    ] {
        let page = ada.post(NEW, &fields(&[("region", "here"), (field, typed)])).await;
        assert_eq!(page.problem(field), problem);
        assert_eq!(value(&page, field), typed);
        if field != "region" {
            assert_eq!(value(&page, "region"), "here", "the rest is kept as well");
        }
    }
    assert_eq!(all_of(&portal, "Ada").await.len(), 1, "nothing was saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn choices_that_do_not_exist_yet_cannot_be_made() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let form = ada.get(NEW).await;
    let types = form.all("#kind option[disabled]");
    assert_eq!(types.len(), 4);
    assert!(types.iter().all(|option| option.ends_with("— cannot be called yet")), "{types:?}");
    assert!(!form.body.contains("managed"), "managed identity is not there yet");
    for kind in ["foundry-model", "foundry-toolkit", "foundry-agent", "azure-ai-search"] {
        let page = ada.post(NEW, &fields(&[("kind", kind)])).await;
        assert!(page.problem("kind").starts_with("Type cannot be chosen yet"), "{kind}");
    }
    let page = ada.post(NEW, &fields(&[("kind", "toaster")])).await;
    assert!(page.problem("kind").starts_with("Type must be one of"), "{}", page.body);
    let page = ada.post(NEW, &fields(&[("auth", "managed-identity")])).await;
    assert!(page.problem("auth").starts_with("Authentication must be"), "{}", page.body);
    for (header, problem) in [
        ("", "Header name is required."),
        ("a b", "Header name \"a b\" is not a header name."),
        ("Host", "Header name the header host cannot carry a key; name another."),
    ] {
        let page = ada.post(NEW, &fields(&[("auth", "header"), ("header", header)])).await;
        assert_eq!(page.problem("header"), problem);
        assert_eq!(page.text("#auth option[selected]"), "Another header, named below");
    }
    make(&portal, &ada, &[("auth", "header"), ("header", "X-Token")]).await;
    let stored = only(&portal, "Ada").await;
    assert_eq!(stored.auth.to_string(), "header:x-token");
    let form = ada.get(&format!("{RESOURCES}/{}", stored.id)).await;
    assert_eq!(value(&form, "header"), "x-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_problems_are_told_at_once_and_the_key_is_typed_again() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let typed = fields(&[("name", ""), ("endpoint", "nowhere"), ("key", KEY)]);
    let page = ada.post(NEW, &typed).await;
    assert_eq!(page.text(".flash"), "Nothing was saved: 3 fields need another look.");
    assert_eq!(page.problem("name"), "Friendly name is required.");
    assert_eq!(page.problem("key"), "Key must be typed again, because pages never hold one.");
    assert!(!page.body.contains(KEY));
    for (key, problem) in [
        ("ключ", "Key must be visible ASCII"),
        (" padded ", "Key must be visible ASCII"),
        ("two\nlines", "Key must be visible ASCII"),
        (&*"k".repeat(4097), "Key has more than 4096 characters."),
    ] {
        let page = ada.post(NEW, &fields(&[("key", key)])).await;
        assert!(page.problem("key").starts_with(problem), "{}", page.problem("key"));
        assert!(!page.body.contains(key));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_key_is_kept_replaced_and_removed_but_never_shown() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let path = make(&portal, &ada, &[("key", KEY)]).await;
    let form = ada.get(&path).await;
    assert_eq!(form.text("#key-hint"), "Stored, ends in …aple. Leave empty to keep it.",);
    assert_eq!(value(&form, "key"), "");
    assert!(!form.body.contains(KEY) && !ada.get(RESOURCES).await.body.contains(KEY));

    let page = ada.post_and_follow(&path, &fields(&[("name", "Other")])).await;
    assert_eq!(page.flash(), "Other is changed.");
    let page = ada.post_and_follow(&path, &fields(&[("name", "Other")])).await;
    assert_eq!(page.flash(), "Other was so already; nothing is changed.");
    assert_eq!(only(&portal, "Ada").await.key.unwrap().expose_secret(), KEY);

    let both = fields(&[("key", "another"), ("remove_key", "on")]);
    let page = ada.post(&path, &both).await;
    assert_eq!(page.problem("key"), "Key is both typed and to be removed: do one of the two.");
    ada.post_and_follow(&path, &fields(&[("key", "0123456789abcde")])).await;
    let hint = ada.get(&path).await.text("#key-hint");
    assert_eq!(hint, "Stored. Leave empty to keep it.", "four characters would say too much");

    ada.post_and_follow(&path, &fields(&[("remove_key", "on")])).await;
    assert!(only(&portal, "Ada").await.key.is_none());
    assert!(ada.get(&path).await.all("#remove_key").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_needs_the_key_again() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let thief = Backend::start().await.unwrap();
    let path = make(&portal, &ada, &[("key", KEY)]).await;
    let id = path.rsplit('/').next().unwrap();
    let moved = fields(&[("endpoint", &thief.endpoint), ("id", id)]);
    for action in [&path, TEST] {
        let page = ada.post(action, &moved).await;
        assert!(page.problem("key").starts_with("Key must be entered again"), "{action}");
        assert_eq!(value(&page, "endpoint"), thief.endpoint);
    }
    assert_eq!(&*only(&portal, "Ada").await.endpoint.origin, "http://127.0.0.1:9");
    let same = fields(&[("endpoint", "http://127.0.0.1:9/elsewhere")]);
    ada.post_and_follow(&path, &same).await;
    let key = thief.key.expose_secret();
    ada.post_and_follow(&path, &fields(&[("endpoint", &thief.endpoint), ("key", key)])).await;
    assert_eq!(only(&portal, "Ada").await.key.unwrap().expose_secret(), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_over_the_key_at_the_same_origin() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let path = make(&portal, &ada, &[("key", KEY), ("region", "West")]).await;
    let form = ada.get(&format!("{path}/duplicate")).await;
    assert_eq!(form.text("h1"), "Copy of Demo");
    assert_eq!(
        (value(&form, "name"), value(&form, "deployment")),
        ("Demo (copy)".to_owned(), "mcp-demo-copy".to_owned(),)
    );
    assert_eq!(value(&form, "region"), "West");
    assert_eq!(form.attribute("form.card", "action").as_deref(), Some(NEW));
    let copied = form.attribute("[name=copy_of]", "value").unwrap();

    let moved = [("deployment", "x"), ("copy_of", &*copied), ("endpoint", "http://h/")];
    let page = ada.post(NEW, &fields(&moved)).await;
    assert!(page.problem("key").starts_with("Key must be entered again"), "{}", page.body);
    make(&portal, &ada, &[("deployment", "mcp-demo-copy"), ("copy_of", &copied)]).await;
    let without = [("deployment", "bare"), ("copy_of", &*copied), ("remove_key", "on")];
    make(&portal, &ada, &without).await;
    for resource in all_of(&portal, "Ada").await {
        let key = resource.key.as_ref().map(ExposeSecret::expose_secret);
        assert_eq!(key, (&*resource.deployment != "bare").then_some(KEY));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_in_use_is_kept_and_names_the_events() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let path = make(&portal, &ada, &[]).await;
    let delete = format!("{path}/delete");
    let resource = only(&portal, "Ada").await;
    for event in ["Spring school", "Autumn school"] {
        link(&portal, event, &resource).await;
    }
    let list = ada.get(RESOURCES).await;
    assert_eq!(list.text("[data-label='Used by']"), "Autumn school, Spring school");
    assert!(list.attributes("a[data-dialog]", "href").contains(&delete));
    let ask = ada.get(&delete).await;
    assert_eq!(ask.text(".ask h2"), "Demo is in use");
    assert_eq!(ask.all(".ask li"), ["Autumn school", "Spring school"]);
    assert!(ask.all(".ask button").is_empty());
    let refused = ada.post(&delete, &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("used by Autumn school, Spring school"), "{}", refused.body);

    let events = event::list(&portal.app.db, &portal.app.vault, &resource.owner_id).await.unwrap();
    let me = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap().actor(now_ms());
    for event in events {
        event::delete(&portal.app.db, &me, &event.id).await.unwrap();
    }
    assert_eq!(ada.get(&delete).await.text("form.ask h2"), "Delete Demo?");
    let page = ada.press(&delete, "/delete", &[]).await;
    assert_eq!(page.flash(), "Demo is deleted, with its endpoint and key.");
    assert!(all_of(&portal, "Ada").await.is_empty());
    let last = audit::list(&portal.app.db, None, None, 1).await.unwrap().remove(0);
    assert_eq!((&*last.action, &*last.detail), ("deleted", "mcp-demo"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_switched_off_and_on() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    make(&portal, &ada, &[("key", KEY)]).await;
    let page = ada.press(RESOURCES, "/active", &[("active", "no")]).await;
    assert!(page.flash().starts_with("Demo is deactivated"), "{}", page.flash());
    assert_eq!(page.text("[data-label=State]"), "inactive");
    assert!(!only(&portal, "Ada").await.active);
    let page = ada.press(RESOURCES, "/active", &[("active", "yes")]).await;
    assert!(page.flash().starts_with("Demo is active again"), "{}", page.flash());
    let resource = only(&portal, "Ada").await;
    assert!(resource.active);
    assert_eq!(resource.key.unwrap().expose_secret(), KEY);
    let odd = ada.post(&format!("{RESOURCES}/{}/active", resource.id), &[("active", "x")]).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_owners_resource_is_not_there() {
    let portal = Portal::start().await;
    let (ada, bob) = (portal.administrator("Ada").await, portal.owner("Bob").await);
    let backend = Backend::start().await.unwrap();
    let (endpoint, key) = (backend.endpoint.as_str(), backend.key.expose_secret());
    let path = make(&portal, &ada, &[("endpoint", endpoint), ("key", key)]).await;
    let id = path.rsplit('/').next().unwrap();
    for page in ["", "/duplicate", "/delete"] {
        let answer = bob.get(&format!("{path}{page}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{page}");
    }
    let endpoint = ("endpoint", endpoint);
    for (write, typed) in [
        (path.clone(), fields(&[endpoint])),
        (format!("{path}/delete"), vec![]),
        (format!("{path}/active"), vec![("active", "no")]),
        // Neither may her key be borrowed.
        (TEST.to_owned(), fields(&[endpoint, ("id", id)])),
        (TEST.to_owned(), fields(&[endpoint, ("copy_of", id)])),
        (NEW.to_owned(), fields(&[endpoint, ("copy_of", id)])),
    ] {
        let answer = bob.post(&write, &typed).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{write}");
        let stranger = portal.visitor().post(&write, &typed).await;
        stranger.says_signed_out();
    }
    assert!(bob.get(RESOURCES).await.all("tbody tr").is_empty());
    // A name is unique among one's own only.
    bob.post_and_follow(NEW, &fields(&[])).await;
    assert!(only(&portal, "Ada").await.active);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_tested_before_anything_is_saved() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let backend = Backend::start().await.unwrap();
    let button = ada.get(NEW).await.attribute("button[formaction]", "formaction");
    assert_eq!(button.as_deref(), Some("/admin/resources/test"));
    let key = ("key", backend.key.expose_secret());
    let good = fields(&[("name", ""), ("deployment", ""), ("endpoint", &backend.endpoint), key]);
    let page = ada.post(TEST, &good).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.text("#outcome h2"), "The connection works");
    let said = page.text("#outcome");
    assert!(said.contains("speaks MCP 2025-11-25. Connected in "), "{said}");
    assert!(said.contains(" ms. 2 tools: echo, get_current_utc_time."), "{said}");
    assert_eq!(value(&page, "endpoint"), backend.endpoint);
    assert!(!page.body.contains(key.1), "the key is not sent back");
    assert!(page.text("#key-hint").starts_with("Type it again before you save"));
    assert!(page.all("[aria-invalid]").is_empty());
    assert!(all_of(&portal, "Ada").await.is_empty());

    let site = backend.endpoint.strip_suffix("/mcp").unwrap().to_owned();
    let at = |path: &str| format!("{site}{path}");
    for (changed, reason) in [
        (
            [("endpoint", at("/wrong")), ("key", key.1.to_owned())],
            "wrong path: nothing speaks MCP at /wrong, but /mcp does; put /mcp into the endpoint URL.",
        ),
        (
            [("endpoint", at("/mcp")), ("key", "not-it".to_owned())],
            "401 from backend: it does not accept the key registered for this resource, which was \
             sent in the header api-key.",
        ),
        (
            [("endpoint", at("/mcp")), ("auth", "none".to_owned())],
            "401 from backend: it asks for a key and none is registered for this resource.",
        ),
        (
            [("endpoint", "http://nowhere.invalid/mcp".to_owned()), ("key", String::new())],
            "the name nowhere.invalid cannot be resolved: check its spelling and this machine's DNS.",
        ),
        (
            [("endpoint", "http://169.254.169.254/".to_owned()), ("key", String::new())],
            "169.254.169.254 is at 169.254.169.254, which the endpoint policy refuses (link-local \
             and cloud-metadata addresses always, private ones under --endpoint-policy public).",
        ),
    ] {
        let changed: Vec<_> = changed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = ada.post(TEST, &fields(&changed)).await;
        assert_eq!(page.text("#outcome h2"), "The connection does not work", "{reason}");
        assert_eq!(page.text("#outcome p"), reason);
    }
    let page = ada.post(TEST, &fields(&[("endpoint", "")])).await;
    assert_eq!(page.problem("endpoint"), "Endpoint URL is required.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_and_the_endpoint_policy_are_told() {
    let portal = Portal::with(&["--endpoint-policy", "public"]).await;
    let ada = portal.administrator("Ada").await;
    let page = ada.post(TEST, &fields(&[])).await;
    assert!(page.text("#outcome").contains("the endpoint policy refuses"), "{}", page.body);
    // What a name is in this network is nobody's business.
    let [inside, nowhere] = ["localhost", "nowhere.invalid"];
    for name in [inside, nowhere] {
        let endpoint = format!("http://{name}:9/mcp");
        let page = ada.post(TEST, &fields(&[("endpoint", &endpoint)])).await;
        let reason = format!(
            "the name {name} cannot be resolved: check its spelling and this machine's DNS."
        );
        assert_eq!(page.text("#outcome p"), reason);
        assert!(!page.body.contains("127.0.0.1") && !page.body.contains("[::1]"));
    }

    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    // Bound, so that it is nobody else's, but not listened on.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let endpoint = format!("http://{address}/mcp");
    let page = ada.post(TEST, &fields(&[("endpoint", &endpoint)])).await;
    let reason =
        format!("{address} refused the connection: is the MCP server running, and on this port?");
    assert_eq!(page.text("#outcome p"), reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_tested_with_the_stored_key() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let backend = Backend::start().await.unwrap();
    let endpoint = ("endpoint", backend.endpoint.as_str());
    let path = make(&portal, &ada, &[endpoint, ("key", backend.key.expose_secret())]).await;
    let id = ("id", path.rsplit('/').next().unwrap());
    let page = ada.post(TEST, &fields(&[endpoint, id])).await;
    assert_eq!(page.text("#outcome h2"), "The connection works");
    assert_eq!(page.attribute("form.card", "action").as_deref(), Some(&*path));
    assert!(!page.body.contains(backend.key.expose_secret()));
    let page = ada.post(TEST, &fields(&[endpoint, id, ("remove_key", "on")])).await;
    assert_eq!(page.text("#outcome h2"), "The connection does not work");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_were_removed_are_shown_on_the_resources_page() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let path = make(&portal, &ada, &[]).await;
    assert!(ada.get(&path).await.all("#dropped").is_empty());
    let names = ["x_key", "x_other"].map(|name| name.parse().unwrap());
    let id = path.rsplit('/').next().unwrap();
    portal.app.plane.dropped.count(id, &names);
    portal.app.plane.dropped.count(id, &names[..1]);
    portal.app.plane.dropped.count("another", &names);
    let page = ada.get(&path).await;
    assert_eq!(page.all("#dropped td"), ["x_key", "2", "x_other", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_checked_after_a_save_and_when_an_event_needs_them() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let backend = Backend::start().await.unwrap();
    let (endpoint, key) = (backend.endpoint.clone(), backend.key.expose_secret().to_owned());
    let typed = [("endpoint", &*endpoint), ("key", &*key)];
    let path = make(&portal, &ada, &typed).await;
    let health = "[data-label=Health]";
    let works = |page: &Page| page.text(health).starts_with("works 2 tools, ");
    until(&ada, RESOURCES, works).await;

    // What is stored was not asked yet: the old result says nothing of it.
    ada.post_and_follow(&path, &fields(&[typed[0], ("key", "not-it")])).await;
    let fails = |page: &Page| page.text(health).starts_with("fails 401 from backend");
    until(&ada, RESOURCES, fails).await;
    assert!(ada.get("/admin").await.all(".attention li").is_empty(), "no event needs it");
    link(&portal, "Open", &only(&portal, "Ada").await).await;
    let home = ada.get("/admin").await;
    let concern = home.text(".attention li");
    assert!(
        concern.starts_with(
            "Open links the resource mcp-demo, which failed its last check: 401 from backend"
        ),
        "{concern}"
    );

    ada.post_and_follow(&path, &fields(&typed)).await;
    until(&ada, "/admin", |page| page.all(".attention li").is_empty()).await;
    until(&ada, RESOURCES, works).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_server_is_checked_without_a_save_in_the_portal() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let me = owner::find(&portal.app.db, "Ada").await.unwrap().unwrap().actor(now_ms());
    let backend = Backend::start().await.unwrap();
    let draft = resource::Draft {
        deployment: "from-a-file".into(),
        endpoint: backend.endpoint.clone(),
        key: resource::KeyChange::Set(backend.key.clone()),
        ..Default::default()
    };
    resource::save(&portal.app.db, &portal.app.vault, &me, &draft).await.unwrap();
    let unlinked = ada.get(RESOURCES).await.text("[data-label=Health]");
    assert_eq!(unlinked, "not checked checked once an event needs it");
    link(&portal, "Open", &only(&portal, "Ada").await).await;
    until(&ada, RESOURCES, |page| page.text("[data-label=Health]").starts_with("works")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_end_with_the_drain() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    // Accepts, and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/mcp", silent.local_addr().unwrap());
    let checks = health::run(portal.app.health.clone(), portal.app.plane.clone());
    let checks = tokio::spawn(checks);
    make(&portal, &ada, &[("endpoint", &endpoint)]).await;
    let (mut connection, _) = silent.accept().await.unwrap();
    portal.app.plane.begin_drain();
    tokio::time::timeout(Duration::from_secs(5), checks).await.expect("it ends").unwrap();
    let mut rest = Vec::new();
    let gone = tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut rest);
    let gone = tokio::time::timeout(Duration::from_secs(5), gone).await;
    gone.expect("a check under way is given up").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_cannot_be_read_is_shown_and_can_be_unlinked_and_deleted() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let path = make(&portal, &ada, &[]).await;
    let resource = only(&portal, "Ada").await;
    link(&portal, "Spring school", &resource).await;
    make(&portal, &ada, &[("deployment", "other")]).await;
    sqlx::query("update resource set endpoint_sealed = 'v1.x' where deployment = 'mcp-demo'")
        .execute(portal.app.db.writer())
        .await
        .unwrap();
    let list = ada.get(RESOURCES).await;
    let shown = list.text(&format!("#unreadable-{}", resource.id));
    assert!(shown.contains("cannot be read") && shown.contains("ai-proxy apply"), "{shown}");
    assert!(list.body.contains("other"), "the others are still listed");
    assert_eq!(ada.get(&path).await.status, StatusCode::CONFLICT);

    let events = ada.get("/admin/events").await;
    assert_eq!(events.status, StatusCode::OK);
    let owner_id = &resource.owner_id;
    let event = event::list(&portal.app.db, &portal.app.vault, owner_id).await.unwrap().remove(0);
    let form = ada.get(&format!("/admin/events/{}", event.id)).await;
    assert!(form.body.contains("mcp-demo (cannot be read)"), "{}", form.body);

    sqlx::query("delete from event_resource").execute(portal.app.db.writer()).await.unwrap();
    let page = ada.press(&format!("{path}/delete"), "/delete", &[]).await;
    assert_eq!(page.flash(), "Demo is deleted, with its endpoint and key.");
}

/// What the page's form would send, its base included, with some fields typed.
fn form(page: &Page, changed: &[(&str, &str)]) -> Vec<(String, String)> {
    let base = page.attribute("input[name=base]", "value").unwrap();
    let all = [
        ("base", base.as_str()),
        ("name", "demo"),
        ("deployment", "demo"),
        ("kind", "mcp-server"),
        ("endpoint", "http://127.0.0.1:9/mcp"),
        ("auth", "api-key"),
        ("key", ""),
        ("region", ""),
    ];
    let own = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
    let mut sent: Vec<(String, String)> = all.map(own).into();
    sent.retain(|(field, _)| changed.iter().all(|(name, _)| name != field));
    sent.extend(changed.iter().copied().map(own));
    sent
}

async fn save_over(ada: &Visitor, path: &str, sent: Vec<(String, String)>) -> Page {
    let sent: Vec<_> = sent.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    ada.post(path, &sent).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_form_changes_only_what_was_typed() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = crate::workshop::Workshop::of(&portal, "Ada").await;
    let id = workshop.resource("demo", "http://127.0.0.1:9/mcp", &"backend-key".into()).await;
    let path = format!("/admin/resources/{id}");
    let post = async |sent| save_over(&ada, &path, sent).await;
    let morning = ada.get(&path).await;
    // Somebody moves it to another path and switches it off.
    post(form(&morning, &[("endpoint", "http://127.0.0.1:9/new")])).await;

    let sent = form(&morning, &[("region", "west"), ("active", "on")]);
    post(sent).await.redirects_to("/admin/resources");
    let page = ada.get(&path).await;
    assert_eq!(page.attribute("#endpoint", "value").unwrap(), "http://127.0.0.1:9/new");
    assert_eq!(page.attribute("#region", "value").unwrap(), "west");
    assert!(page.attribute("#active", "checked").is_none());

    // A key that was typed for the old address is not saved beside the new one.
    let refused = post(form(&morning, &[("key", "another-key"), ("active", "on")])).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(!refused.all("#conflicts q").join(" ").contains("another-key"));
    assert_eq!(refused.all("#conflicts label").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_saves_at_once_keep_both_changes_or_one_is_asked() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = crate::workshop::Workshop::of(&portal, "Ada").await;
    let id = workshop.resource("demo", "http://127.0.0.1:9/mcp", &"backend-key".into()).await;
    let path = format!("/admin/resources/{id}");
    let value = async |field: &str| ada.get(&path).await.attribute(field, "value").unwrap();
    let (mut name, mut region) = ("demo".to_owned(), String::new());
    for round in 1..=5 {
        let page = ada.get(&path).await;
        let save = |name: &str, region: &str| {
            save_over(
                &ada,
                &path,
                form(&page, &[("name", name), ("region", region), ("active", "on")]),
            )
        };
        let (new_name, new_region) = (format!("Demo {round}"), format!("west {round}"));
        let (one, two) = tokio::join!(save(&new_name, &region), save(&name, &new_region));
        one.redirects_to("/admin/resources");
        two.redirects_to("/admin/resources");
        (name, region) = (new_name, new_region);
        assert_eq!((value("#name").await, value("#region").await), (name.clone(), region.clone()));

        let page = ada.get(&path).await;
        let save = |region: &str| {
            save_over(
                &ada,
                &path,
                form(&page, &[("name", &name), ("region", region), ("active", "on")]),
            )
        };
        let regions = [format!("north {round}"), format!("south {round}")];
        let (north, south) = tokio::join!(save(&regions[0]), save(&regions[1]));
        let (saved, refused, won, lost) = if north.status == StatusCode::CONFLICT {
            (south, north, &regions[1], &regions[0])
        } else {
            (north, south, &regions[0], &regions[1])
        };
        saved.redirects_to("/admin/resources");
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert_eq!(refused.all("#conflicts q"), [won.as_str(), lost.as_str()]);
        region.clone_from(won);
        assert_eq!(value("#region").await, region);
    }
}
