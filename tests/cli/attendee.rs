//! `ai-proxy attendee`: keys handed out, seen and switched off.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::command::Workshop;

const EVENT: &str = "\
[[event]]
id = \"a1b2-c3d4\"
name = \"Demo workshop\"
description = \"D\"
organizer_name = \"Ada\"
organizer_email = \"ada@example.org\"
start = \"2026-11-22T09:00\"
end = \"2026-11-29T18:00\"
";

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.apply(EVENT);
    workshop
}

fn issue(workshop: &Workshop, args: &[&str]) -> String {
    let args = [&["attendee", "issue", "--event", "a1b2-c3d4"], args].concat();
    let done = workshop.run(&args);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    done.stdout
}

fn list(workshop: &Workshop) -> Value {
    workshop.json(&["attendee", "list", "--event", "a1b2-c3d4", "--json"])
}

#[test]
fn keys_are_issued_as_json() {
    let workshop = workshop();
    let text = issue(&workshop, &["--count", "3", "--format", "json"]);
    let issued: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(issued.len(), 3);
    let keys: HashSet<_> = issued.iter().map(|one| one["api_key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 3);
    for one in &issued {
        let fields: Vec<_> = one.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["api_key", "attendee", "event"]);
        assert_eq!(one["event"], "a1b2-c3d4");
    }
    let listed = list(&workshop);
    assert_eq!(listed[0]["attendee"], issued[0]["attendee"]);
    assert_eq!(listed[2]["user"], "issued:3");
    assert!(keys.iter().all(|key| !listed.to_string().contains(key)));
}

#[test]
fn names_go_into_a_spreadsheet_as_text() {
    let workshop = workshop();
    workshop.write(
        "people.txt",
        "\u{feff}Ada Lovelace\r\n\r\n=HYPERLINK(\"http://x\")\nHopper, Grace\n",
    );
    let text = issue(&workshop, &["--names", "people.txt", "--count", "4", "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().unwrap(), vec!["attendee", "event", "name", "api_key"]);
    let names: Vec<_> = reader.records().map(|record| record.unwrap()[2].to_owned()).collect();
    assert_eq!(names, ["Ada Lovelace", "'=HYPERLINK(\"http://x\")", "Hopper, Grace", ""]);
    let listed = list(&workshop);
    assert_eq!(listed[1]["name"], "=HYPERLINK(\"http://x\")");
}

#[test]
fn names_come_from_a_list_or_a_table() {
    let workshop = workshop();
    workshop.write("people.csv", "\u{feff}Name;Mail\r\n\"Müller, Anna\";a@x\r\nZoë;z@x\r\n");
    workshop.write("export.txt", "Full name\tMail\nAda\ta@x\n");
    workshop.write("list.txt", "Lovelace, Ada\nHopper, Grace\n");
    for file in ["people.csv", "export.txt", "list.txt"] {
        issue(&workshop, &["--names", file]);
    }
    let listed = list(&workshop);
    let names: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Müller, Anna", "Zoë", "Ada", "Lovelace, Ada", "Hopper, Grace"]);
}

#[test]
fn an_event_may_be_named_and_the_table_is_for_people() {
    let workshop = workshop();
    workshop.write("people.txt", "Ada\n");
    let args = ["attendee", "issue", "--event", "Demo workshop", "--names", "people.txt"];
    let done = workshop.run(&args);
    let lines: Vec<Vec<_>> =
        done.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ATTENDEE", "EVENT", "NAME", "API_KEY"]);
    assert_eq!((lines.len(), &lines[1][1..3]), (2, &["a1b2-c3d4", "Ada"][..]));
}

#[test]
fn an_attendee_is_deactivated_by_id_or_by_user_id() {
    let workshop = workshop();
    issue(&workshop, &["--count", "3"]);
    let listed = list(&workshop);
    let id = listed[0]["attendee"].as_str().unwrap();
    let done = workshop.json(&["attendee", "deactivate", id, "--json"]);
    assert_eq!(done, json!({"attendee": id, "active": false}));
    workshop.run(&["attendee", "deactivate", "--event", "Demo workshop", "issued:2"]);
    let active: Vec<_> =
        list(&workshop).as_array().unwrap().iter().map(|one| one["active"].clone()).collect();
    assert_eq!(active, [json!(false), json!(false), json!(true)]);
}

#[test]
fn what_does_not_exist_is_named() {
    let workshop = workshop();
    let refusal = |args: &[&str]| workshop.run(args).refusal();
    insta::assert_snapshot!(refusal(&["attendee", "deactivate", "issued:1"]), @r#"there is no attendee "issued:1"; `ai-proxy attendee list --event EVENT` shows the ids"#);
    insta::assert_snapshot!(refusal(&["attendee", "list", "--event", "ffff-ffff"]), @r#"there is no event "ffff-ffff"; `ai-proxy event list` shows those there are"#);
    insta::assert_snapshot!(
        refusal(&["attendee", "issue", "--event", "a1b2-c3d4", "--count", "0"]), @"count: must be from 1 to 5000");
    insta::assert_snapshot!(
        refusal(&["attendee", "issue", "--event", "a1b2-c3d4", "--names", "absent.txt"]), @"the file of names absent.txt cannot be read: No such file or directory (os error 2)");
    workshop.write("people.txt", "Ada\nGrace\n");
    insta::assert_snapshot!(
        refusal(&["attendee", "issue", "--event", "a1b2-c3d4", "--names", "people.txt", "--count", "1"]),
        @"--names holds 2 names, which is more than --count 1");
    assert_eq!(list(&workshop), json!([]));
    let usage = workshop.run(&["attendee", "issue", "--event", "a1b2-c3d4"]);
    assert_eq!((usage.code, usage.stdout.as_str()), (2, ""), "{usage:?}");
}
