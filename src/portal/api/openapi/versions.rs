//! Which answers have an `ETag`: those that show one event, resource or attendee. What takes
//! `If-Match` says so itself.

use serde_json::{Value, json};

use super::amend::{Result, operations};

/// The schemas of such answers, as they are and as a write left them.
const VERSIONED: [&str; 5] = ["Event", "Saved_Event", "Resource", "Saved_Resource", "Attendee"];

pub(super) fn state(document: &mut Value) -> Result<()> {
    for (_, operation) in operations(document)? {
        let answers = operation.get_mut("responses").and_then(Value::as_object_mut);
        for answer in answers.into_iter().flat_map(|answers| answers.values_mut()) {
            let schema = &answer["content"]["application/json"]["schema"]["$ref"];
            let schema = schema.as_str().and_then(|path| path.rsplit('/').next());
            if schema.is_some_and(|schema| VERSIONED.contains(&schema)) {
                answer["headers"] = json!({"ETag": {
                    "description": "This version, for `If-Match`.",
                    "required": true,
                    "schema": {"type": "string", "pattern": "^\"[0-9a-f]{32}\"$"},
                }});
            }
        }
    }
    Ok(())
}
