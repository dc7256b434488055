//! The errors that each operation can answer with, as [`Code`] has them. What an operation
//! takes tells which; conflicts are the operations' own, and described where they are. What
//! else is the same for all operations is stated here as well.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::amend::{Result, object, operations};
use crate::portal::api::error::Code;

pub(super) fn state(document: &mut Value) -> Result<()> {
    let mut responses = Map::new();
    for code in Code::ALL {
        responses.entry(name(code)).or_insert_with(|| response(code));
    }
    for (_, operation) in operations(document)? {
        let codes = codes(operation);
        if let Some(Value::Object(body)) = operation.get_mut("requestBody") {
            body.insert("required".to_owned(), Value::Bool(true));
        }
        let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
            continue;
        };
        for (status, answer) in answers.iter_mut().filter(|(_, answer)| answer["description"] == "")
        {
            let reason =
                status.parse::<StatusCode>().ok().and_then(|status| status.canonical_reason());
            answer["description"] = reason.into();
        }
        for code in codes {
            let reference = json!({"$ref": format!("#/components/responses/{}", name(code))});
            answers.insert(code.status().as_str().to_owned(), reference);
        }
        if let Some(Value::Object(conflict)) = answers.get_mut(Code::Conflict.status().as_str()) {
            conflict.insert("content".to_owned(), content(Code::Conflict));
        }
    }
    object(document, "/components")?.insert("responses".to_owned(), Value::Object(responses));
    Ok(())
}

/// What an operation is refused with, one code of each status.
fn codes(operation: &Map<String, Value>) -> Vec<Code> {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let has = |place| parameters.into_iter().flatten().any(|parameter| parameter["in"] == place);
    let has_body = operation.contains_key("requestBody");
    let mut codes = vec![Code::Internal, Code::Busy];
    // An operation that says nothing of security needs what all need: a token.
    if !operation.contains_key("security") {
        codes.extend([Code::MissingToken, Code::TooManyAttempts]);
    }
    if has("path") {
        codes.push(Code::NotFound);
    }
    if has_body {
        let of_bodies = [Code::Malformed, Code::BodyTimeout, Code::BodyTooLarge];
        codes.extend(of_bodies.into_iter().chain([Code::UnsupportedMediaType]));
    }
    if has("header") {
        codes.extend([Code::MalformedHeader, Code::PreconditionFailed]);
    }
    if has_body || has("query") {
        codes.push(Code::Invalid);
    }
    codes
}

/// The name of the response with this code's status.
fn name(code: Code) -> String {
    let reason = code.status().canonical_reason().unwrap_or_default();
    reason.split(' ').collect()
}

/// The codes that share this one's status.
fn alike(code: Code) -> impl Iterator<Item = Code> {
    Code::ALL.into_iter().filter(move |other| other.status() == code.status())
}

fn response(code: Code) -> Value {
    let meanings: Vec<_> = alike(code)
        .map(|code| format!("`{}`: {}", json!(code).as_str().unwrap_or_default(), code.meaning()))
        .collect();
    let mut response = json!({"description": meanings.join("; "), "content": content(code)});
    let header = match code {
        Code::MissingToken | Code::InvalidToken => {
            json!({"WWW-Authenticate": {"required": true, "schema": {"type": "string", "const": "Bearer"}}})
        }
        Code::TooManyAttempts | Code::StoreUnavailable | Code::Busy => json!({"Retry-After": {
            "description": "Seconds.", "required": true, "schema": {"type": "integer", "minimum": 1},
        }}),
        Code::PreconditionFailed => json!({"ETag": {
            "description": "The current tag; none where the stored row cannot be read.",
            "schema": {"type": "string"},
        }}),
        _ => return response,
    };
    response["headers"] = header;
    response
}

/// A problem of this status.
fn content(code: Code) -> Value {
    let codes: Vec<_> = alike(code).collect();
    let error = json!({"properties": {
        "code": {"enum": codes}, "status": {"const": code.status().as_u16()},
    }});
    json!({"application/json": {"schema": {
        "allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": {"error": error}}],
    }}})
}
