//! How the document is added to: by JSON pointers. A pointer that leads nowhere is an error,
//! so nothing can be said of a field or an operation that is gone.

use serde::ser::Error as _;
use serde_json::{Map, Value};

pub(super) type Result<T> = serde_json::Result<T>;

/// The object at a pointer.
pub(super) fn object<'a>(
    document: &'a mut Value,
    pointer: &str,
) -> Result<&'a mut Map<String, Value>> {
    let found = document.pointer_mut(pointer).and_then(Value::as_object_mut);
    found.ok_or_else(|| serde_json::Error::custom(format!("the description has no {pointer}")))
}

/// Adds members to the object at a pointer.
pub(super) fn add(document: &mut Value, pointer: &str, members: Value) -> Result<()> {
    let Value::Object(members) = members else {
        return Err(serde_json::Error::custom(format!("no members for {pointer}")));
    };
    object(document, pointer)?.extend(members);
    Ok(())
}

/// Each operation of the document, with its path.
pub(super) fn operations(document: &mut Value) -> Result<Vec<(String, &mut Map<String, Value>)>> {
    let mut all = Vec::new();
    for (path, methods) in object(document, "/paths")? {
        for operation in methods.as_object_mut().into_iter().flat_map(Map::values_mut) {
            all.extend(operation.as_object_mut().map(|operation| (path.clone(), operation)));
        }
    }
    Ok(all)
}
