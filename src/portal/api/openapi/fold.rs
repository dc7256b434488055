//! Replaces each copy of a named schema by a reference to it. Generic answers (a list, a row
//! as saved) come with copies, and generators of clients would make a type of each.

use serde_json::{Map, Value, json};

use super::amend::{Result, object};

pub(super) fn fold(document: &mut Value) -> Result<()> {
    let schemas = object(document, "/components/schemas")?;
    let named = schemas.clone();
    for schema in schemas.values_mut() {
        fold_inside(schema, &named);
    }
    Ok(())
}

fn fold_inside(schema: &mut Value, named: &Map<String, Value>) {
    let inside: Vec<&mut Value> = match schema {
        Value::Object(members) => members.values_mut().collect(),
        Value::Array(items) => items.iter_mut().collect(),
        _ => return,
    };
    for value in inside {
        let is_copy =
            |(_, named): &(&String, &Value)| named.get("properties").is_some() && *named == value;
        match named.iter().find(is_copy) {
            Some((name, _)) => *value = json!({"$ref": format!("#/components/schemas/{name}")}),
            None => fold_inside(value, named),
        }
    }
}
