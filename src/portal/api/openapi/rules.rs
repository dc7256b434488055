//! The rules for fields and parameters, in the numbers and patterns by which they are
//! checked. What JSON Schema cannot say, such as that an event begins before it ends, is in a
//! description.

use serde_json::{Value, json};

use super::amend::{Result, add, object, operations};
use crate::catalog::attendee::MAX_ISSUED;
use crate::catalog::event::{
    self, FORGET_AFTER_DAYS, MAX_CODE, MAX_LINKED, MAX_MARKDOWN, MIN_NEW_CODE, Registration,
};
use crate::catalog::limits::{CAP, NAME, PERSON};
use crate::catalog::owner::Role;
use crate::catalog::pattern;
use crate::catalog::resource::{self, MAX_ENDPOINT, MAX_KEY, ResourceType};
use crate::portal::api::{attendees, etag, events};

/// Fields of a schema, each with what is added to it.
type Fields<'a> = &'a [(&'a str, Value)];

pub(super) fn state(document: &mut Value) -> Result<()> {
    fields(document, "EventFields", &of_events())?;
    fields(document, "ResourceFields", &of_resources())?;
    fields(document, "AttendeeFields", &[("daily_request_cap", cap())])?;
    fields(document, "Extension", &of_extensions())?;
    fields(document, "Wanted", &of_wanted())?;
    at_least_one_key(document)?;
    new_event(document)?;
    new_resource(document)?;
    examples(document)?;
    answers(document)?;
    parameters(document)
}

fn fields(document: &mut Value, schema: &str, fields: Fields<'_>) -> Result<()> {
    for (field, rule) in fields {
        add(document, &format!("/components/schemas/{schema}/properties/{field}"), rule.clone())?;
    }
    Ok(())
}

fn cap() -> Value {
    json!({"minimum": CAP.start(), "maximum": CAP.end()})
}

fn line(max: usize) -> Value {
    json!({"minLength": 1, "maxLength": max, "pattern": pattern::LINE})
}

fn optional_line(max: usize) -> Value {
    json!({"maxLength": max, "pattern": pattern::OPTIONAL_LINE})
}

/// The words that a field may hold. A field that may be left out may be `null`, too.
fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    let words = words.into_iter().map(Value::from).chain([Value::Null]);
    json!({"enum": words.collect::<Vec<_>>()})
}

fn of_events() -> [(&'static str, Value); 19] {
    let days = FORGET_AFTER_DAYS;
    [
        ("id", json!({"pattern": pattern::EVENT_ID})),
        ("name", line(NAME)),
        (
            "description",
            json!({"minLength": 1, "maxLength": MAX_MARKDOWN, "pattern": pattern::TEXT}),
        ),
        ("organizer_name", line(PERSON)),
        (
            "organizer_email",
            json!({"minLength": 3, "maxLength": PERSON, "pattern": pattern::EMAIL}),
        ),
        ("start", json!({"pattern": pattern::WALL_CLOCK})),
        ("end", json!({"pattern": pattern::WALL_CLOCK})),
        ("time_zone", json!({"format": "time-zone", "pattern": pattern::TIME_ZONE})),
        ("resources", json!({"maxItems": MAX_LINKED, "uniqueItems": true})),
        ("max_token_cap", cap()),
        ("daily_request_cap", cap()),
        ("requests_per_minute", cap()),
        ("burst", cap()),
        ("max_open_requests", cap()),
        (
            "shared_code",
            json!({
                "pattern": pattern::SHARED_CODE,
                "anyOf": [{"maxLength": 0}, {"minLength": MIN_NEW_CODE, "maxLength": MAX_CODE}],
            }),
        ),
        ("shared_code_limit", cap()),
        ("registration", json!({"pattern": pattern::REGISTRATION})),
        ("terms", json!({"maxLength": MAX_MARKDOWN, "pattern": pattern::OPTIONAL_TEXT})),
        ("forget_after_days", json!({"minimum": days.start(), "maximum": days.end()})),
    ]
}

fn of_resources() -> [(&'static str, Value); 7] {
    let auth = json!({"pattern": pattern::AUTH, "not": {"type": "string", "pattern": pattern::refused_auth()}});
    [
        ("deployment", json!({"minLength": 1, "maxLength": NAME, "pattern": pattern::DEPLOYMENT})),
        ("name", optional_line(NAME)),
        ("type", one_of(ResourceType::ALL.map(ResourceType::as_str))),
        (
            "endpoint",
            json!({"format": "uri", "maxLength": MAX_ENDPOINT, "pattern": pattern::ENDPOINT}),
        ),
        ("auth", auth),
        ("key", json!({"minLength": 1, "maxLength": MAX_KEY, "pattern": pattern::KEY})),
        ("region", optional_line(NAME)),
    ]
}

fn of_extensions() -> [(&'static str, Value); 2] {
    let (least, most) = (events::MINUTES.start(), events::MINUTES.end());
    [
        ("minutes", json!({"minimum": least, "maximum": most})),
        ("ends_at", json!({"format": "date-time"})),
    ]
}

fn of_wanted() -> [(&'static str, Value); 2] {
    [
        ("count", json!({"maximum": MAX_ISSUED, "default": 0})),
        (
            "names",
            json!({"items": {"type": "string", "maxLength": PERSON, "pattern": pattern::OPTIONAL_LINE},
                "maxItems": MAX_ISSUED, "default": []}),
        ),
    ]
}

fn at_least_one_key(document: &mut Value) -> Result<()> {
    let by_count = json!({"required": ["count"], "properties": {"count": {"minimum": 1}}});
    let by_name = json!({"required": ["names"], "properties": {"names": {"minItems": 1}}});
    add(document, "/components/schemas/Wanted", json!({"anyOf": [by_count, by_name]}))
}

/// A schema for a new row, made of the one for changes: fields without a default are required,
/// and the others have theirs.
fn new(
    document: &mut Value,
    changes: &str,
    new: &str,
    defaults: &Value,
    about: &str,
) -> Result<()> {
    let schemas = object(document, "/components/schemas")?;
    let mut schema = schemas.get(changes).cloned().unwrap_or_default();
    let mut required = Vec::new();
    for (name, field) in object(&mut schema, "/properties")? {
        match &defaults[name] {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {
                required.push(name.clone());
                field["type"] = json!("string");
            }
            default => field["default"] = default.clone(),
        }
    }
    schema["required"] = json!(required);
    schema["description"] = json!(about);
    schemas.insert(new.to_owned(), schema);
    Ok(())
}

fn new_event(document: &mut Value) -> Result<()> {
    let draft = event::Draft::default();
    let mut defaults = serde_json::to_value(&draft)?;
    defaults["active"] = json!(draft.active);
    // Empty, it is not required like the others that are.
    defaults["terms"] = Value::Null;
    let about = "A new event. It must begin before it ends. A field that is `null` is left out.";
    new(document, "EventFields", "NewEvent", &defaults, about)
}

fn new_resource(document: &mut Value) -> Result<()> {
    let draft = resource::Draft::default();
    let defaults = json!({
        "deployment": draft.deployment, "endpoint": draft.endpoint, "type": draft.kind.as_str(),
        "auth": draft.auth.to_string(), "active": draft.active,
    });
    let about = "A new resource. A field that is `null` is left out.";
    new(document, "ResourceFields", "NewResource", &defaults, about)
}

/// A request of each kind.
fn examples(document: &mut Value) -> Result<()> {
    let event = json!({
        "name": "Demo workshop", "description": "# Welcome", "organizer_name": "Ada",
        "organizer_email": "ada@example.org", "start": "2026-11-22T09:00", "end": "2026-11-29T18:00",
        "time_zone": "Europe/Berlin", "active": true,
    });
    let resource = json!({
        "deployment": "mcp-demo", "endpoint": "http://127.0.0.1:8000/mcp", "key": "my-secret-key",
    });
    for (schema, example) in [
        ("NewEvent", event),
        ("EventFields", json!({"daily_request_cap": 2000})),
        ("Extension", json!({"minutes": 30, "ends_at": "2026-11-29T17:00:00Z"})),
        ("NewResource", resource),
        ("ResourceFields", json!({"active": false})),
        ("Wanted", json!({"names": ["Grace", "Edsger"]})),
        ("AttendeeFields", json!({"daily_request_cap": 500})),
    ] {
        add(document, &format!("/components/schemas/{schema}"), json!({"examples": [example]}))?;
    }
    Ok(())
}

/// What answers hold, as far as their types do not say it.
fn answers(document: &mut Value) -> Result<()> {
    let time = json!({"format": "date-time"});
    let words = |words: Vec<&str>| json!({"enum": words});
    let roles = words(vec![Role::Owner.as_str(), Role::Administrator.as_str()]);
    fields(document, "Owner", &[("role", roles)])?;
    fields(document, "Entry", &[("at", time.clone())])?;
    fields(
        document,
        "Resource",
        &[("type", words(ResourceType::ALL.map(ResourceType::as_str).to_vec()))],
    )?;
    fields(document, "Deleted", &[("day", time.clone())])?;
    let event = [
        ("starts_at", time.clone()),
        ("ends_at", time.clone()),
        ("forgotten_at", time.clone()),
        ("registration", words(Registration::ALL.map(Registration::as_str).to_vec())),
    ];
    fields(document, "Event", &event)?;
    let times = ["created_at", "last_seen_at", "last_error_at"].map(|field| (field, time.clone()));
    fields(document, "Attendee", &times)
}

fn parameters(document: &mut Value) -> Result<()> {
    for (path, operation) in operations(document)? {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            // A parameter is left out: there is no `null` in a query or a header.
            if let Some(types) = parameter["schema"]["type"].as_array() {
                let own = types.iter().find(|one| *one != "null").cloned();
                parameter["schema"]["type"] = own.unwrap_or_default();
            }
            if let Some(rule) = parameter_rule(&path, &name) {
                add(parameter, "/schema", rule)?;
            }
        }
    }
    Ok(())
}

fn parameter_rule(path: &str, name: &str) -> Option<Value> {
    Some(match name {
        "id" if path.starts_with("/events") => json!({"pattern": pattern::EVENT_ID}),
        "id" | "attendee_id" => json!({"pattern": pattern::ID}),
        "after" => json!({"pattern": attendees::PLACE}),
        "If-Match" => json!({"minLength": 1, "pattern": etag::PATTERN}),
        "user_id" => json!({"pattern": pattern::JOINED_USER_ID}),
        "limit" => json!({
            "minimum": attendees::PAGE.start(), "maximum": attendees::PAGE.end(),
            "default": attendees::USUAL_PAGE,
        }),
        _ => return None,
    })
}
