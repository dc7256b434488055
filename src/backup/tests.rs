use proptest::prelude::*;
use serde_json::{Value, json};

use super::archive::{Archive, FORMAT};
use super::{Error, lite, open, seal};

/// 2026-11-28: no figures are of a later day.
const NOW: i64 = 1_795_824_000_000;

const PASSPHRASE: &[u8] = b"a dozen purple kites";

/// JSON of about the shape that the readers look for.
fn json_like(keys: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(json!("1a2b-3c4d")),
        Just(json!("2026-03-29T02:30:00Z")),
        Just(json!("9999-12-31")),
        Just(json!("mcp-server")),
        Just(json!("Samoa Standard Time")),
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        let object =
            proptest::collection::hash_map(proptest::sample::select(keys), inner.clone(), 0..12);
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(Value::from),
            object.prop_map(|entries| entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

const LITE: &[&str] = &[
    "backupTimestamp",
    "events",
    "resources",
    "metrics",
    "attendees",
    "eventId",
    "eventCode",
    "eventMarkdown",
    "startTimestamp",
    "endTimestamp",
    "timeZoneOffset",
    "timeZoneLabel",
    "catalogIds",
    "catalogId",
    "deploymentName",
    "endpointUrl",
    "modelType",
    "resource",
    "dateStamp",
    "requestCount",
    "userId",
    "apiKey",
];

proptest! {
    #[test]
    fn any_bytes_are_taken_and_none_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes, PASSPHRASE, NOW).is_err());
        let _ = Archive::from_json(&bytes);
        let _ = lite::read(&bytes, NOW);
        // Far beyond what is read, so that no key is derived.
        let ours = [b"AIPROXYB\x01\xff".as_slice(), &bytes].concat();
        prop_assert!(matches!(seal::open(&ours, PASSPHRASE), Err(Error::Sealed)));
    }

    #[test]
    fn any_json_of_the_other_program_is_an_archive_that_checks_or_an_error(
        lists in proptest::collection::vec(proptest::collection::vec(json_like(LITE), 0..4), 4),
    ) {
        let [events, resources, metrics, attendees] = &lists[..] else { unreachable!() };
        let file = json!({
            "events": events, "resources": resources, "metrics": metrics, "attendees": attendees,
        });
        if let Ok(archive) = lite::read(file.to_string().as_bytes(), NOW) {
            prop_assert!(archive.check(NOW).is_ok());
        }
    }
}

/// Every byte of the head and some of the rest, each of which costs a key.
#[test]
fn a_file_with_another_bit_does_not_open() {
    let file = seal::seal(b"{}", PASSPHRASE).unwrap();
    assert_eq!(&**seal::open(&file, PASSPHRASE).unwrap(), b"{}");
    for at in [8, 12, 16, 20, 21, 36, 37, 48, 49, 50, file.len() - 1] {
        let mut flipped = file.clone();
        flipped[at] ^= 1;
        assert!(seal::open(&flipped, PASSPHRASE).is_err(), "byte {at}");
    }
    for length in [0, 8, 9, 36, 37, 48, 49, 64, file.len() - 1] {
        assert!(seal::open(&file[..length], PASSPHRASE).is_err(), "{length} bytes");
    }
    let again = seal::seal(b"{}", PASSPHRASE).unwrap();
    assert_ne!(again[21..49], file[21..49], "salt and nonce are new each time");
}

fn event_copy() -> Value {
    json!({
        "id": "a1b2-c3d4", "name": "Room", "description": "# Hello", "organizer_name": "Ada",
        "organizer_email": "ada@example.org", "start": "2026-11-22T09:00",
        "end": "2026-11-29T18:00", "time_zone": "UTC", "resources": [], "max_token_cap": 1,
        "daily_request_cap": 1, "requests_per_minute": 1, "burst": 1, "max_open_requests": 1,
        "shared_code": "welcome-1", "shared_code_limit": 1, "registration": "closed",
        "cards_work_once": true, "terms": "Be kind.", "forget_after_days": 30, "registration_stopped": true, "first_active_at": 1, "active": true,
    })
}

fn read_event(event: &Value) -> Result<Archive, Error> {
    let archive = json!({
        "format": FORMAT, "source": "", "made_at": 0, "resources": [], "events": [event],
        "attendees": [], "usage": [], "notes": [],
    });
    Archive::from_json(archive.to_string().as_bytes())
}

/// Its fields come from a type in which forms may leave some out; here each must be there, and
/// none may be unknown.
#[test]
fn an_event_is_read_as_it_was_written_or_not_at_all() {
    let event = event_copy();
    let text = read_event(&event).unwrap().to_json().unwrap();
    let written = serde_json::from_slice::<Value>(&text).unwrap();
    assert_eq!(written["events"][0], event);
    let order = String::from_utf8_lossy(&text);
    let at = |name: &str| order.find(&format!("\"{name}\":")).unwrap();
    assert!(at("shared_code") < at("registration") && at("id") < at("name"));
    assert!(at("registration") < at("registration_stopped") && at("burst") < at("active"));

    let may_be_left_out = ["shared_code", "forget_after_days", "first_active_at"];
    let names = event.as_object().unwrap().keys();
    for name in names.filter(|name| !may_be_left_out.contains(&name.as_str())) {
        let mut less = event.clone();
        less.as_object_mut().unwrap().remove(name);
        assert!(matches!(read_event(&less), Err(Error::Invalid(_))), "without {name}");
    }
    let mut more = event;
    more["colour"] = json!("red");
    assert!(matches!(read_event(&more), Err(Error::Invalid(_))));
}
