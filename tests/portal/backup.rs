//! Backups: downloaded, restored as far as they can be, and never half.

use ai_proxy::backup;
use ai_proxy::catalog::attendee::{self, Issued};
use ai_proxy::catalog::{event, resource};
use ai_proxy::clock;
use ai_proxy::clock::now_ms;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, LOCATION, ORIGIN};
use secrecy::{ExposeSecret, SecretString};

use crate::harness::{Page, Portal, Visitor};
use crate::mcp::Server;
use crate::microsoft::{self, BEGIN, Site};
use crate::workshop::Workshop;

const BACKUP: &str = "/admin/backup";
const FILE: &str = "/admin/backup/file";
const PASSPHRASE: &str = "a dozen purple kites";

/// Made once with Python's `cryptography`, under [`PASSPHRASE`].
const VERSION_1: &[u8] = include_bytes!("backup/version1.backup");
const LITE: &[u8] = include_bytes!("backup/lite.backup");

pub async fn download(visitor: &Visitor) -> Vec<u8> {
    let fields = [("passphrase", PASSPHRASE), ("again", PASSPHRASE), ("figures", "on")];
    let request = visitor.client.post(format!("{}{FILE}", visitor.url));
    let answer = request.header(ORIGIN, &visitor.url).form(&fields).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let disposition = answer.headers()[CONTENT_DISPOSITION].to_str().unwrap();
    assert!(disposition.starts_with("attachment; filename=\"ai-proxy-"), "{disposition}");
    answer.bytes().await.unwrap().into()
}

/// Sends the form of an upload, as a browser does.
pub async fn upload(visitor: &Visitor, file: &[u8], passphrase: &str) -> Page {
    let fields = [("file_passphrase", passphrase)];
    visitor.upload(&format!("{BACKUP}/restore"), &fields, file).await
}

/// Uploads a file that is taken; the address of the page that says what it would do.
async fn look(visitor: &Visitor, file: &[u8]) -> String {
    let answer = upload(visitor, file, PASSPHRASE).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    answer.headers[LOCATION].to_str().unwrap().to_owned()
}

/// Presses the button of that page.
async fn confirm(visitor: &Visitor, path: &str) -> Page {
    let mark = visitor.get(path).await.attribute("[name=mark]", "value").unwrap();
    visitor.post_and_follow(path, &[("mark", &mark)]).await
}

async fn wipe(portal: &Portal, workshop: &Workshop<'_>) {
    let app = &portal.app;
    let owner_id = &workshop.by.owner_id;
    for event in event::list(&app.db, &app.vault, owner_id).await.unwrap() {
        event::delete(&app.db, &workshop.by, &event.id).await.unwrap();
    }
    while event::purge::step(&app.db, clock::now_ms() + 60_000).await.unwrap() {}
    for resource in resource::list(&app.db, &app.vault, owner_id).await.unwrap() {
        resource::delete(&app.db, &workshop.by, &resource.id).await.unwrap();
    }
}

async fn issued(workshop: &Workshop<'_>, server: &Server) -> Issued {
    let id = workshop.resource("mcp-demo", &server.url(), &"backend-key".into()).await;
    let event = workshop.event(&[&id], |draft| draft.id = Some("1a2b-0001".into())).await;
    workshop.attendee(&event).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_wiped_comes_back_and_issued_keys_work_as_before() {
    let (portal, server) = (Portal::start().await, Server::start().await);
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let grace = issued(&workshop, &server).await;
    workshop.comes_to(&grace.api_key, "mcp-demo", "ok").await;
    let file = download(&ada).await;
    assert_eq!(workshop.trail().await, "backed up: events: 1, attendees: 1, with all their keys");
    let holds = |secret: &str| file.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(!holds("backend-key") && !holds(grace.api_key.expose_secret()) && !holds("mcp-demo"));

    wipe(&portal, &workshop).await;
    workshop.comes_to(&grace.api_key, "mcp-demo", "invalid_api_key").await;
    let path = look(&ada, &file).await;
    let page = ada.get(&path).await;
    assert!(page.text("tbody tr:has(code)").contains("keeps 1a2b-0001"), "{}", page.body);
    assert_eq!(workshop.number("select count(*) from event").await, 0, "looking does nothing");

    let page = confirm(&ada, &path).await;
    assert!(page.flash().starts_with("Restored: 1 event, 1 new resource, 1 attendee, "));
    assert!(workshop.trail().await.starts_with("restored: events: 1, new resources: 1"));
    workshop.comes_to(&grace.api_key, "mcp-demo", "ok").await;
    let last = server.asked.lock().last().unwrap().headers.clone();
    assert_eq!(last["api-key"], "backend-key");
    assert_eq!(ada.get(&path).await.status, StatusCode::NOT_FOUND, "it is restored once");

    // The row that answers now is the restored one: what is done to it is in force.
    let app = &portal.app;
    let rows = attendee::list(&app.db, &workshop.by.owner_id, "1a2b-0001").await.unwrap();
    attendee::set_active(&app.db, &workshop.by, &rows[0].id, false).await.unwrap();
    workshop.comes_to(&grace.api_key, "mcp-demo", "attendee_disabled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_stays_and_copies_get_new_ids_and_keys() {
    let (portal, server) = (Portal::start().await, Server::start().await);
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let grace = issued(&workshop, &server).await;
    let file = download(&ada).await;

    let path = look(&ada, &file).await;
    let page = ada.get(&path).await;
    assert!(page.body.contains("1 attendee gets a new key"), "{}", page.body);
    assert!(page.body.contains("is there already, stays as it is and is linked"));
    assert!(page.text("tbody tr:has(code)").contains("gets a new id: you have 1a2b-0001"));
    let flash = confirm(&ada, &path).await.flash();
    assert!(flash.contains("1 event, 0 new resources, 1 attendee,"), "{flash}");
    assert!(flash.contains("1 event has a new id."), "{flash}");
    assert!(flash.contains("1 attendee has a new key: hand it out again."), "{flash}");
    assert_eq!(workshop.number("select count(*) from event").await, 2);
    assert_eq!(workshop.number("select count(*) from resource").await, 1);
    workshop.comes_to(&grace.api_key, "mcp-demo", "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_owners_file_takes_nothing_of_theirs() {
    let (portal, server) = (Portal::start().await, Server::start().await);
    let (ada, bob) = (portal.administrator("Ada").await, portal.owner("Bob").await);
    let (hers, his) = (Workshop::of(&portal, "Ada").await, Workshop::of(&portal, "Bob").await);
    let grace = issued(&hers, &server).await;
    let file = download(&ada).await;
    let app = &portal.app;

    let path = look(&bob, &file).await;
    assert!(bob.get(&path).await.body.contains("is taken"));
    assert_eq!(ada.get(&path).await.status, StatusCode::NOT_FOUND, "it waits for Bob");
    let stolen = ada.post(&path, &[("mark", "")]).await;
    assert_eq!(stolen.status, StatusCode::NOT_FOUND);
    let before =
        backup::gather(&app.db, &app.vault, &hers.by.owner_id, true, now_ms()).await.unwrap();
    confirm(&bob, &path).await;
    let after =
        backup::gather(&app.db, &app.vault, &hers.by.owner_id, true, now_ms()).await.unwrap();
    let text = |archive: backup::archive::Archive| {
        let archive = backup::archive::Archive { made_at: 0, ..archive };
        String::from_utf8(archive.to_json().unwrap().to_vec()).unwrap()
    };
    assert_eq!(text(before), text(after));
    let his_events = event::list(&app.db, &app.vault, &his.by.owner_id).await.unwrap();
    assert_ne!(his_events[0].id, "1a2b-0001");
    hers.comes_to(&grace.api_key, "mcp-demo", "ok").await;
    let digest = [app.vault.digest(grace.api_key.expose_secret())];
    let found = attendee::find_by_digest(&app.db, &digest);
    assert_eq!(found.await.unwrap().unwrap().id, grace.attendee_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_does_not_hold_any_more_is_shown_anew() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let path = look(&ada, VERSION_1).await;
    let mark = ada.get(&path).await.attribute("[name=mark]", "value").unwrap();
    workshop.event(&[], |draft| draft.id = Some("1a2b-3c4d".into())).await;

    let page = ada.post(&path, &[("mark", &mark)]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text("[role=alert]").starts_with("Nothing was restored"), "{}", page.body);
    assert_eq!(workshop.number("select count(*) from event").await, 1);
    assert_eq!(workshop.number("select count(*) from resource").await, 0);

    let page = ada.post_and_follow(&format!("{path}/discard"), &[]).await;
    assert_eq!(page.flash(), "The file is forgotten; nothing was restored.");
    assert_eq!(ada.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(workshop.number("select count(*) from restore").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_made_elsewhere_in_version_1_is_restored() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let path = look(&ada, VERSION_1).await;
    confirm(&ada, &path).await;
    let app = &portal.app;
    let owner_id = &workshop.by.owner_id;
    let event = event::get(&app.db, &app.vault, owner_id, "1a2b-3c4d").await.unwrap();
    assert_eq!((event.daily_request_cap, &*event.resources[0].deployment), (9, "mcp-demo"));
    let grace = attendee::list(&app.db, owner_id, "1a2b-3c4d").await.unwrap().remove(0);
    assert_eq!(grace.display_name, "Grace");
    let key = attendee::reveal_key(&app.db, &app.vault, owner_id, &grace.id).await.unwrap();
    assert_eq!(key.expose_secret(), "0123456789abcdef0123456789abcdef");
    let fast = "select cast(sum(requests) as bigint) from usage where le_10 = 3";
    assert_eq!(workshop.number(fast).await, 3);
    let spent = workshop.number("select count(*) from quota").await;
    assert_eq!(spent, 0, "what was used on another day says nothing of today");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_azure_ai_proxy_lite_is_restored_as_far_as_it_can_be() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let workshop = Workshop::of(&portal, "Ada").await;
    let path = look(&ada, LITE).await;
    let page = ada.get(&path).await;
    let notes = page.all(".attention li");
    for (beginning, reason) in [
        ("Resource “odd one” is left out", "type: must be one of"),
        ("Resource “gpt-5” used a managed identity", "switched off"),
        ("Event “Never” is left out with its attendees", "must be later than the start"),
        ("Attendees left out: 1.", "Their event is"),
        ("Daily figures: 1.", "at the start of its day in the event's zone"),
    ] {
        let is_it = |note: &String| note.starts_with(beginning) && note.contains(reason);
        assert!(notes.iter().any(is_it), "{beginning} in {notes:?}");
    }
    assert_eq!(notes.len(), 5, "{notes:?}");
    confirm(&ada, &path).await;

    let app = &portal.app;
    let owner_id = &workshop.by.owner_id;
    let event = event::get(&app.db, &app.vault, owner_id, "1a2b-3c4d").await.unwrap();
    assert_eq!((&*event.start_local, &*event.time_zone), ("2020-03-28T09:00", "Europe/Berlin"));
    assert_eq!(event.shared_code.as_ref().unwrap().expose_secret(), "spring2026");
    let linked: Vec<_> = event.resources.iter().map(|r| (&*r.deployment, r.active)).collect();
    assert_eq!(linked, [("gpt-5", false), ("mcp-demo", true)], "in their order");
    let demo = &event.resources[1];
    assert_eq!(demo.key.as_ref().unwrap().expose_secret(), "lite-backend-key");
    // 2026-04-30T00:00 in Berlin.
    let start = workshop.number("select minute from usage where requests = 12").await;
    assert_eq!(start, 1_777_500_000_000);

    // Nobody listens at the backend of the file; a key that was taken gets there.
    let key = SecretString::from("0f8fad5b-d9cb-469f-a165-70867728950e");
    workshop.comes_to(&key, "mcp-demo", "backend_unreachable").await;
    let inactive = SecretString::from("7c9e6679-7425-40de-944b-e07fc1f90ae7");
    workshop.comes_to(&inactive, "mcp-demo", "attendee_disabled").await;
    let shared = SecretString::from("1a2b-3c4d@spring2026/grace.hopper");
    workshop.comes_to(&shared, "mcp-demo", "backend_unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_is_refused_beside_its_field() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let sealed = "File does not open: the passphrase is another one, or the file is damaged.";
    for file in [VERSION_1, LITE] {
        assert_eq!(upload(&ada, file, "another passphrase").await.problem("file"), sealed);
        for cut in [file.len() - 1, 60, 50] {
            assert_eq!(upload(&ada, &file[..cut], PASSPHRASE).await.problem("file"), sealed);
        }
        // Salt, nonce, tag or ciphertext.
        for at in [25, 40, file.len() - 1] {
            let mut flipped = file.to_vec();
            flipped[at] ^= 1;
            assert_eq!(upload(&ada, &flipped, PASSPHRASE).await.problem("file"), sealed, "{at}");
        }
    }
    let mut newer = VERSION_1.to_vec();
    newer[8] = 2;
    let problem = upload(&ada, &newer, PASSPHRASE).await.problem("file");
    assert!(problem.contains("newer release"), "{problem}");
    let mut hungry = VERSION_1.to_vec();
    hungry[9] = 255;
    assert_eq!(upload(&ada, &hungry, PASSPHRASE).await.problem("file"), sealed);
    for file in [&b""[..], b"PK\x03\x04", b"{\"events\": []}"] {
        let problem = upload(&ada, file, PASSPHRASE).await.problem("file");
        assert!(problem.starts_with("File is no backup"), "{problem}");
    }
    let page = ada.get(BACKUP).await;
    assert_eq!(page.attributes("input[type=password][value]", "value"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_is_long_and_typed_twice_and_a_file_not_too_large() {
    let portal = Portal::start().await;
    let ada = portal.administrator("Ada").await;
    let short = ada.post(FILE, &[("passphrase", "elevenchars"), ("again", "elevenchars")]).await;
    assert_eq!(short.problem("passphrase"), "Passphrase must have at least 12 characters.");
    let common = ada.post(FILE, &[("passphrase", "qwerty123456"), ("again", "qwerty123456")]).await;
    let problem = common.problem("passphrase");
    assert!(problem.contains("3,000 commonest passwords"), "{problem}");
    let other = ada.post(FILE, &[("passphrase", PASSPHRASE), ("again", "a dozen kites")]).await;
    assert_eq!(other.problem("again"), "Passphrase once more is another one.");
    let large = upload(&ada, &vec![1; backup::MAX_FILE + 65 * 1024], PASSPHRASE).await;
    assert_eq!(large.problem("file"), "File is larger than 48 MiB.");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_password_confirms_with_microsoft() {
    let site = Site::of(microsoft::ada()).await;
    let visitor = site.portal.visitor();
    visitor.sign_in_with_microsoft(BEGIN).await.redirects_to("/admin");
    let fields = [("passphrase", PASSPHRASE), ("again", PASSPHRASE)];
    let asked = visitor.post(FILE, &fields).await;
    let back = visitor.confirm_with_microsoft(&asked).await;
    assert_eq!(back.status, StatusCode::SEE_OTHER, "{}", back.body);
    download(&visitor).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_and_gives_no_file() {
    let portal = Portal::start().await;
    let stranger = portal.visitor();
    stranger.get(BACKUP).await.redirects_to("/admin/sign-in?next=%2Fadmin%2Fbackup");
    let fields = [("passphrase", PASSPHRASE), ("again", PASSPHRASE)];
    stranger.post(FILE, &fields).await.says_signed_out();
    upload(&stranger, VERSION_1, PASSPHRASE).await.says_signed_out();
}
