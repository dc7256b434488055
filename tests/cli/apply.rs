//! `ai-proxy apply`: what it makes of a workshop file, and what it says of a wrong one.

use ai_proxy::catalog::change;
use ai_proxy::db::Db;
use serde_json::{Value, json};

use crate::command::Workshop;

/// Each test runs on the machine's own store, and over the API of a proxy.
macro_rules! here_and_there {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::command::Workshop;

            #[test]
            fn here() {
                insta::allow_duplicates! { super::$name(&Workshop::new()) }
            }

            #[test]
            fn there() {
                insta::allow_duplicates! { super::$name(&Workshop::served()) }
            }
        }
    )*};
}

here_and_there![
    what_a_file_describes_is_created_once_and_updated_where_it_differs,
    for_people_it_is_a_table,
    what_is_left_out_has_its_default_and_stays_what_it_became,
    registration_is_closed_by_the_file_and_stays_closed_without_a_word,
    how_cards_work_stays_where_the_file_does_not_say_it,
    terms_stay_where_the_file_does_not_say_them,
    an_event_is_found_by_its_id_else_by_its_name,
    a_key_comes_from_the_environment_or_from_a_file_beside_the_workshop_file,
    what_is_wrong_is_told_with_its_line_and_nothing_is_written,
    no_key_is_shown,
    what_was_done_in_the_room_stays_unless_the_file_names_it,
];

const RESOURCE: &str = "\
[[resource]]
deployment = \"mcp-demo\"
name = \"Demo MCP Server\"
type = \"mcp-server\"
endpoint = \"http://127.0.0.1:8000/mcp\"
auth = \"api-key\"
key = \"s3cret\"
region = \"eastus\"
active = true
";

const EVENT: &str = "
[[event]]
id = \"a1b2-c3d4\"
name = \"Demo workshop\"
description = \"# Welcome\"
organizer_name = \"Ada\"
organizer_email = \"ada@example.org\"
start = \"2026-11-22T09:00\"
end = \"2026-11-29T18:00\"
time_zone = \"Europe/Berlin\"
resources = [\"mcp-demo\"]
max_token_cap = 4096
daily_request_cap = 1024
requests_per_minute = 600
shared_code = \"\"
active = true
";

fn whole() -> String {
    format!("{RESOURCE}{EVENT}")
}

/// What changed, without the ids.
fn changes(applied: &Value) -> Vec<&str> {
    let all = ["resources", "events"].iter().flat_map(|noun| applied[noun].as_array().unwrap());
    all.map(|entry| entry["change"].as_str().unwrap()).collect()
}

fn what_a_file_describes_is_created_once_and_updated_where_it_differs(workshop: &Workshop) {
    let applied = workshop.apply(&whole());
    let resource_id = &applied["resources"][0]["id"];
    assert_eq!(
        applied,
        json!({
            "resources": [{"deployment": "mcp-demo", "id": resource_id, "change": "created"}],
            "events": [{"id": "a1b2-c3d4", "name": "Demo workshop", "change": "created"}],
        })
    );
    assert_eq!(changes(&workshop.apply(&whole())), ["unchanged", "unchanged"]);

    let applied = workshop.apply(&whole().replace("s3cret", "another"));
    assert_eq!(changes(&applied), ["updated", "unchanged"]);
    assert_eq!(applied["resources"][0]["id"], *resource_id);
    let applied = workshop.apply(&whole().replace("s3cret", "another").replace("1024", "50"));
    assert_eq!(changes(&applied), ["unchanged", "updated"]);

    let events = workshop.json(&["event", "list", "--json"]);
    assert_eq!(events[0]["daily_request_cap"], 50);
    assert_eq!(events[0]["starts_at"], "2026-11-22T08:00:00Z");
    assert_eq!(events[0]["resources"], json!(["mcp-demo"]));
}

#[tokio::test]
async fn what_is_unchanged_makes_no_replica_read_anew() {
    let workshop = Workshop::new();
    workshop.apply(&whole());
    // A server has the data folder open all the while.
    let url = format!("sqlite://{}", workshop.path("data/ai-proxy.db").display());
    let db = Db::open(&url).await.unwrap();
    let revision = change::revision(&db).await.unwrap();
    workshop.apply(&whole());
    assert_eq!(change::revision(&db).await.unwrap(), revision);
    workshop.apply(&whole().replace("eastus", "westeurope"));
    assert!(change::revision(&db).await.unwrap() > revision);
}

fn for_people_it_is_a_table(workshop: &Workshop) {
    workshop.write("workshop.toml", EVENT.replace("[\"mcp-demo\"]", "[]").as_str());
    let done = workshop.run(&["apply", "workshop.toml"]);
    insta::assert_snapshot!(done.stdout, @r"
    CHANGE   WHAT   NAME           ID
    created  event  Demo workshop  a1b2-c3d4
    ");
}

fn what_is_left_out_has_its_default_and_stays_what_it_became(workshop: &Workshop) {
    let file = "\
[[resource]]
deployment = \"d\"
endpoint = \"http://127.0.0.1:8000/mcp\"

[[event]]
name = \"E\"
description = \"D\"
organizer_name = \"Ada\"
organizer_email = \"ada@example.org\"
";
    let applied = workshop.apply(file);
    let resources = workshop.json(&["resource", "list", "--json"]);
    assert_eq!(
        resources,
        json!([{
            "id": applied["resources"][0]["id"], "deployment": "d", "name": "d",
            "type": "mcp-server", "endpoint": "http://127.0.0.1:8000/mcp", "auth": "api-key",
            "has_key": false, "region": "", "active": true,
        }])
    );
    let events = workshop.json(&["event", "list", "--json"]);
    let event = &events[0];
    assert_eq!(event["id"], applied["events"][0]["id"]);
    assert_eq!((&event["active"], &event["time_zone"]), (&json!(true), &json!("UTC")));
    let caps = ["max_token_cap", "daily_request_cap", "requests_per_minute"].map(|cap| &event[cap]);
    assert_eq!(caps, [4096, 1024, 600]);
    // The window begins with the next full hour, for seven days, and does not move on.
    let instant = |field: &str| event[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(instant("starts_at") > jiff::Timestamp::now());
    assert_eq!(instant("ends_at").duration_since(instant("starts_at")).as_hours(), 7 * 24);
    assert_eq!(changes(&workshop.apply(file)), ["unchanged", "unchanged"]);
}

fn registration_is_closed_by_the_file_and_stays_closed_without_a_word(workshop: &Workshop) {
    let file = EVENT.replace("[\"mcp-demo\"]", "[]");
    let with = |registration: &str| format!("{file}registration = \"{registration}\"\n");
    for (file, change) in [
        (&file, "created"),
        (&with("shared-code"), "unchanged"),
        (&with("closed"), "updated"),
        (&file, "unchanged"),
        (&with("closed"), "unchanged"),
        (&with("github, shared-code"), "updated"),
        (&with("shared-code,github"), "unchanged"),
        (&with("shared-code"), "updated"),
    ] {
        assert_eq!(changes(&workshop.apply(file)), [change], "{file}");
    }
}

fn how_cards_work_stays_where_the_file_does_not_say_it(workshop: &Workshop) {
    let file = EVENT.replace("[\"mcp-demo\"]", "[]");
    let with = |once: bool| format!("{file}cards_work_once = {once}\n");
    for (file, change) in [
        (&with(false), "created"),
        (&file, "unchanged"),
        (&with(true), "updated"),
        (&file, "unchanged"),
        (&with(true), "unchanged"),
    ] {
        assert_eq!(changes(&workshop.apply(file)), [change], "{file}");
    }
}

fn terms_stay_where_the_file_does_not_say_them(workshop: &Workshop) {
    let file = EVENT.replace("[\"mcp-demo\"]", "[]");
    let with = |terms: &str| format!("{file}terms = \"{terms}\"\n");
    for (file, change) in [
        (&with("Be kind."), "created"),
        (&file, "unchanged"),
        (&with(""), "updated"),
        (&file, "unchanged"),
    ] {
        assert_eq!(changes(&workshop.apply(file)), [change], "{file}");
    }
}

fn an_event_is_found_by_its_id_else_by_its_name(workshop: &Workshop) {
    let file = EVENT.replace("[\"mcp-demo\"]", "[]");
    workshop.apply(&file);
    let renamed = file.replace("Demo workshop", "Another name");
    assert_eq!(changes(&workshop.apply(&renamed)), ["updated"]);
    let nameless = renamed.replace("id = \"a1b2-c3d4\"\n", "");
    let applied = workshop.apply(&nameless);
    assert_eq!(changes(&applied), ["unchanged"]);
    assert_eq!(applied["events"][0]["id"], "a1b2-c3d4");

    // Two sittings of one name are two events, as long as each has its id.
    let second = renamed.replace("a1b2-c3d4", "ffff-0000");
    let applied = workshop.apply(&format!("{second}{renamed}"));
    assert_eq!(changes(&applied), ["created", "unchanged"]);
    assert_eq!(changes(&workshop.apply(&format!("{second}{renamed}"))), ["unchanged", "unchanged"]);
    insta::assert_snapshot!(workshop.refused(&nameless), @"workshop.toml, line 3, column 8: event 'Another name', name: several events are called so; add the id of one: a1b2-c3d4, ffff-0000");
}

#[test]
fn owners_do_not_see_each_other() {
    let workshop = Workshop::new();
    workshop.apply(&whole());
    workshop.write("hers.toml", RESOURCE);
    let hers = workshop.json(&["apply", "hers.toml", "--owner", "grace", "--json"]);
    assert_eq!(changes(&hers), ["created"]);
    assert_eq!(workshop.json(&["event", "list", "--owner", "grace", "--json"]), json!([]));
    workshop.write("hers.toml", &whole());
    let taken = workshop.run(&["apply", "hers.toml", "--owner", "grace"]).refusal();
    insta::assert_snapshot!(taken, @"hers.toml, line 12, column 6: event 'Demo workshop', id: the event id a1b2-c3d4 is taken; use another");
    let unknown = workshop.run(&["event", "list", "--owner", "gracie"]).refusal();
    insta::assert_snapshot!(unknown, @r#"there is no owner "gracie"; leave --owner out for "local""#);
}

fn a_key_comes_from_the_environment_or_from_a_file_beside_the_workshop_file(workshop: &Workshop) {
    workshop.write("backend.key", "s3cret\n");
    workshop.apply(&RESOURCE.replace("s3cret", "file:backend.key"));
    assert_eq!(changes(&workshop.apply(RESOURCE)), ["unchanged"]);
    workshop.write("workshop.toml", &RESOURCE.replace("s3cret", "env:MCP_API_KEY"));
    let apply = ["apply", "workshop.toml", "--json"];
    let done = workshop.run_with(&[("MCP_API_KEY", "s3cret")], &apply);
    assert_eq!(changes(&serde_json::from_str(&done.stdout).unwrap()), ["unchanged"]);

    insta::assert_snapshot!(workshop.run(&apply).refusal(), @"workshop.toml, line 7, column 7: resource 'mcp-demo', key: the environment variable MCP_API_KEY is not set; set it, or leave key out");
    insta::assert_snapshot!(workshop.run_with(&[("MCP_API_KEY", "")], &apply).refusal(), @"workshop.toml, line 7, column 7: resource 'mcp-demo', key: the environment variable MCP_API_KEY is empty; leave key out where the backend needs none");
    let missing = workshop.refused(&RESOURCE.replace("s3cret", "file:/nowhere/backend.key"));
    insta::assert_snapshot!(missing, @"workshop.toml, line 7, column 7: resource 'mcp-demo', key: the file /nowhere/backend.key cannot be read: No such file or directory (os error 2)");
}

fn what_is_wrong_is_told_with_its_line_and_nothing_is_written(workshop: &Workshop) {
    let wrong = |from: &str, to: &str| workshop.refused(&whole().replace(from, to));
    insta::assert_snapshot!(wrong("region", "reigon"), @"workshop.toml, line 8, column 1: unknown field `reigon`, expected one of `deployment`, `name`, `type`, `endpoint`, `auth`, `key`, `region`, `active`");
    insta::assert_snapshot!(wrong("http://127.0.0.1:8000/mcp", "ftp://h"), @"workshop.toml, line 5, column 12: resource 'mcp-demo', endpoint: must begin with http:// or https://");
    insta::assert_snapshot!(wrong("\"mcp-server\"", "\"mcp\""), @"workshop.toml, line 4, column 8: resource 'mcp-demo', type: must be one of mcp-server, foundry-model, foundry-toolkit, foundry-agent, azure-ai-search");
    insta::assert_snapshot!(wrong("\"api-key\"", "\"header:Host\""), @"workshop.toml, line 6, column 8: resource 'mcp-demo', auth: the header host cannot carry a key; name another");
    insta::assert_snapshot!(wrong("\"mcp-demo\"\n", "\"mcp/demo\"\n"), @"workshop.toml, line 2, column 14: resource 'mcp/demo', deployment: may hold letters, digits, '.', '_' and '-' only");
    insta::assert_snapshot!(wrong("a1b2-c3d4", "workshop"), @"workshop.toml, line 12, column 6: event 'Demo workshop', id: must be of the form a1b2-c3d4 (lower-case hexadecimal)");
    insta::assert_snapshot!(wrong("Europe/Berlin", "Europe/Bärlin"), @r#"workshop.toml, line 19, column 13: event 'Demo workshop', time_zone: "Europe/Bärlin" is not an IANA time zone"#);
    insta::assert_snapshot!(wrong("2026-11-22T09:00", "22.11.2026"), @"workshop.toml, line 17, column 9: event 'Demo workshop', start: must be a wall clock such as 2026-11-22T09:00");
    insta::assert_snapshot!(wrong("2026-11-29T18:00", "2026-11-20T18:00"), @"workshop.toml, line 18, column 7: event 'Demo workshop', end: must be later than the start");
    insta::assert_snapshot!(wrong("= 1024", "= 0"), @"workshop.toml, line 22, column 21: event 'Demo workshop', daily_request_cap: must be from 1 to 100000");
    insta::assert_snapshot!(wrong("shared_code = \"\"", "shared_code = \"abc\""), @"workshop.toml, line 24, column 15: event 'Demo workshop', shared_code: must be empty, or 8 to 64 letters and digits");
    insta::assert_snapshot!(wrong("description = \"# Welcome\"\n", ""), @"workshop.toml, line 11, column 1: event 'Demo workshop', description: is required");
    insta::assert_snapshot!(wrong("[\"mcp-demo\"]", "[\"mcp-demo\", \"other\"]"), @"workshop.toml, line 20, column 13: event 'Demo workshop', resources: there is no resource 'other'");
    assert_eq!(workshop.json(&["resource", "list", "--json"]), json!([]));
    assert_eq!(workshop.json(&["event", "list", "--json"]), json!([]));
    let absent = workshop.run(&["apply", "absent.toml"]).refusal();
    insta::assert_snapshot!(absent, @"the workshop file absent.toml cannot be read: No such file or directory (os error 2)");
}

fn no_key_is_shown(workshop: &Workshop) {
    workshop.write("workshop.toml", &whole());
    for args in [
        ["apply", "workshop.toml", "--json"],
        ["resource", "list", "--json"],
        ["event", "list", "--json"],
    ] {
        let done = workshop.run(&args);
        assert!(!format!("{done:?}").contains("s3cret"), "{done:?}");
    }
    let database = std::fs::read(workshop.path("data/ai-proxy.db")).unwrap();
    assert!(memchr::memmem::find(&database, b"s3cret").is_none());
    assert!(memchr::memmem::find(&database, b"127.0.0.1:8000").is_none());
}

fn what_was_done_in_the_room_stays_unless_the_file_names_it(workshop: &Workshop) {
    const ROOM: [&str; 4] = [
        "max_token_cap = 4096",
        "daily_request_cap = 1024",
        "requests_per_minute = 600",
        "active = true",
    ];
    let without = |text: String, lines: &[&str]| {
        lines.iter().fold(text, |text, line| text.replace(&format!("{line}\n"), ""))
    };
    let done = whole()
        .replace("max_token_cap = 4096", "max_token_cap = 99")
        .replace("daily_request_cap = 1024", "daily_request_cap = 2048")
        .replace("requests_per_minute = 600", "requests_per_minute = 7")
        .replace("active = true", "active = false");
    workshop.apply(&done);
    let silent = without(whole(), &ROOM);
    assert_eq!(changes(&workshop.apply(&silent)), ["unchanged", "unchanged"]);
    let event = &workshop.json(&["event", "list", "--json"])[0];
    let caps = ["max_token_cap", "daily_request_cap", "requests_per_minute"].map(|cap| &event[cap]);
    assert_eq!((caps, &event["active"]), ([&json!(99), &json!(2048), &json!(7)], &json!(false)));
    assert_eq!(workshop.json(&["resource", "list", "--json"])[0]["active"], false);

    assert_eq!(changes(&workshop.apply(&whole())), ["updated", "updated"], "what it names is done");
}
