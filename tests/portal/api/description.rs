//! The description, and that it is true of what is served.

use std::collections::BTreeSet;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::{BASE, Program};
use crate::harness::Portal;

async fn description(portal: &Portal) -> Value {
    // Nobody needs a token for it.
    let url = format!("{}{BASE}/openapi.json", portal.url);
    Client::new().get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stays_as_it_is_unless_somebody_looks() {
    let portal = Portal::start().await;
    let text = serde_json::to_string_pretty(&description(&portal).await).unwrap();
    // Named in full: the suite on PostgreSQL holds the same modules one deeper.
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("portal__api__description__openapi", text);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn it_names_each_method_that_is_served_and_no_other() {
    let portal = Portal::start().await;
    let document = description(&portal).await;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let is_described = methods.get(method.as_str().to_lowercase()).is_some();
            let url = format!("{}{BASE}{path}", portal.url);
            let answer = Client::new().request(method.clone(), url).send().await.unwrap();
            let is_served = answer.status() != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(is_described, is_served, "{method} {path}");
            let is_open = path == "/openapi.json";
            if is_served && !is_open {
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nowhere_is_told_in_json() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    for path in ["", "/", "/nothing", "/resources/", "/resources/x/y"] {
        let answer = program.get(path).await;
        assert!(answer.refusal().starts_with("404 \"not_found\""), "{path}");
    }
    let answer = program.delete("/owner").await;
    assert!(answer.refusal().starts_with("405 \"method_not_allowed\""), "{}", answer.refusal());
}

/// Each value of the document, with its place.
fn walk<'a>(place: &str, value: &'a Value, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(place, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                walk(&format!("{place}/{name}"), member, visit);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                walk(&format!("{place}/{n}"), item, visit);
            }
        }
        _ => {}
    }
}

/// Each operation: its method and path, and itself.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    all.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_refers_to_is_there() {
    let portal = Portal::start().await;
    let document = description(&portal).await;
    let mut references = 0;
    walk("", &document, &mut |place, value| {
        if let Some(to) = value.get("$ref").and_then(Value::as_str) {
            references += 1;
            let pointer = to.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{place}: {to}");
        }
    });
    assert!(references > 100, "{references}");

    let operations = operations(&document);
    let ids: Vec<_> =
        operations.iter().map(|(_, one)| one["operationId"].as_str().unwrap()).collect();
    let unique: BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    for (name, operation) in &operations {
        for answer in operation["responses"].as_object().unwrap().values() {
            for link in answer["links"].as_object().into_iter().flat_map(|links| links.values()) {
                let to = link["operationId"].as_str().unwrap();
                let at =
                    ids.iter().position(|id| *id == to).unwrap_or_else(|| panic!("{name}: {to}"));
                let taken = operations[at].1["parameters"].as_array().unwrap();
                for parameter in link["parameters"].as_object().unwrap().keys() {
                    let own = parameter.trim_start_matches("header.");
                    assert!(taken.iter().any(|one| one["name"] == own), "{name}: {to}, {own}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_says_all_that_it_can_answer() {
    let portal = Portal::start().await;
    let document = description(&portal).await;
    for (name, operation) in operations(&document) {
        let answers = operation["responses"].as_object().unwrap();
        let has = |status: &str| answers.contains_key(status);
        let takes = |place: &str| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.into_iter().any(|parameter| parameter["in"] == place)
        };
        let (has_body, is_open) =
            (operation["requestBody"].is_object(), operation["security"].is_array());
        assert!(!has("default") && has("500") && has("503"), "{name}");
        assert_eq!(answers.keys().filter(|status| status.starts_with('2')).count(), 1, "{name}");
        assert_eq!((has("401"), has("429")), (!is_open, !is_open), "{name}");
        assert_eq!(has("404"), takes("path"), "{name}");
        assert_eq!(has("400"), has_body || takes("header"), "{name}");
        assert_eq!(has("412"), takes("header"), "{name}");
        assert_eq!(has("422"), has_body || takes("query"), "{name}");
        for status in ["408", "413", "415"] {
            assert_eq!(has(status), has_body, "{name}: {status}");
        }
        for (status, answer) in answers {
            let answer = match answer["$ref"].as_str() {
                Some(to) => document.pointer(&to[1..]).unwrap(),
                None => answer,
            };
            assert!(
                answer["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{name}: {status}"
            );
            let has_content = answer["content"]["application/json"]["schema"].is_object();
            assert_eq!(has_content, status != "204", "{name}: {status}");
        }
        // A parameter is left out; none can be `null`.
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["schema"]["type"].is_string(), "{name}: {parameter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_at_a_bound_is_taken_and_what_is_past_it_is_not() {
    let portal = Portal::start().await;
    let program = Program::of(&portal, "Ada").await;
    let document = description(&portal).await;
    let (event, resource) = (program.event().await, program.resource().await);
    let attendees = format!("{event}/attendees");
    let issued = program.post(&attendees, json!({"count": 1})).await.done();
    let attendee = format!("{attendees}/{}", issued["items"][0]["id"].as_str().unwrap());
    let mut bounds = 0;
    for (schema, path) in
        [("EventFields", &event), ("ResourceFields", &resource), ("AttendeeFields", &attendee)]
    {
        for (field, rule) in
            document["components"]["schemas"][schema]["properties"].as_object().unwrap()
        {
            let mut check = async |value: Value, is_good: bool| {
                bounds += 1;
                let answer = program.patch(path, json!({field: value})).await;
                assert_eq!(answer.status == 200, is_good, "{field}: {}", answer.body);
            };
            if let (Some(least), Some(most)) = (rule["minimum"].as_u64(), rule["maximum"].as_u64())
            {
                for (number, is_good) in
                    [(least, true), (most, true), (least - 1, false), (most + 1, false)]
                {
                    check(json!(number), is_good).await;
                }
            }
            // The others have a form besides, and are left to the tests of patterns.
            let is_free = rule["pattern"].as_str().is_some_and(|pattern| pattern.contains("[^"));
            if let (Some(most), true) =
                (rule["maxLength"].as_u64(), is_free && field != "organizer_email")
            {
                let text = |length| json!("a".repeat(usize::try_from(length).unwrap()));
                check(text(most), true).await;
                check(text(most + 1), false).await;
                check(text(0), rule["minLength"].is_null()).await;
            }
        }
    }
    assert!(bounds > 30, "{bounds}");

    let parameters =
        document["paths"]["/events/{id}/attendees"]["get"]["parameters"].as_array().unwrap();
    let limit = &parameters.iter().find(|one| one["name"] == "limit").unwrap()["schema"];
    let minutes = &document["components"]["schemas"]["Extension"]["properties"]["minutes"];
    let bounds =
        |rule: &Value| (rule["minimum"].as_i64().unwrap(), rule["maximum"].as_i64().unwrap());
    let ((least, most), (shortest, longest)) = (bounds(limit), bounds(minutes));
    for (limit, status) in [(least, 200), (most, 200), (least - 1, 422), (most + 1, 422)] {
        assert_eq!(
            program.get(&format!("{attendees}?limit={limit}")).await.status,
            status,
            "{limit}"
        );
    }
    for (minutes, status) in
        [(shortest, 200), (longest, 200), (shortest - 1, 422), (longest + 1, 422)]
    {
        let answer = program.post(&format!("{event}/extend"), json!({"minutes": minutes})).await;
        assert_eq!(answer.status, status, "{minutes}");
    }
}
