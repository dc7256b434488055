//! What can be asked next: which answers hold the parameters of which operations.

use serde_json::{Map, Value, json};

use super::amend::{Result, operations};

/// The operations that answer with the id of a noun, and those that take it.
struct Link {
    from: &'static [&'static str],
    /// Parameters, and where they are found.
    parameters: &'static [(&'static str, &'static str)],
    to: &'static [&'static str],
}

const ID: &str = "$response.body#/id";
const FIRST: &str = "$response.body#/items/0/id";
const NEXT: &str = "$response.body#/next";
const EVENT: &str = "$request.path.id";
const VERSION: &str = "$response.header.ETag";

/// The answers whose tag a change can name, of those below.
const ONE_VERSION: [&str; 7] = [
    "createResource",
    "updateResource",
    "createEvent",
    "updateEvent",
    "pauseEvent",
    "resumeEvent",
    "extendEvent",
];

const OF_A_RESOURCE: &[&str] =
    &["readResource", "updateResource", "testResource", "deleteResource"];

const OF_AN_EVENT: &[&str] = &[
    "readEvent",
    "updateEvent",
    "pauseEvent",
    "resumeEvent",
    "extendEvent",
    "readUsage",
    "listAttendees",
    "issueAttendees",
    "listDeletedAttendees",
    "deleteEvent",
];

const OF_AN_ATTENDEE: &[&str] = &["readAttendee", "updateAttendee", "makeNewKey", "deleteAttendee"];

const LINKS: [Link; 8] = [
    Link {
        from: &["createResource", "updateResource"],
        parameters: &[("id", ID)],
        to: OF_A_RESOURCE,
    },
    Link { from: &["listResources"], parameters: &[("id", FIRST)], to: OF_A_RESOURCE },
    Link {
        from: &["createEvent", "updateEvent", "pauseEvent", "resumeEvent", "extendEvent"],
        parameters: &[("id", ID)],
        to: OF_AN_EVENT,
    },
    Link { from: &["listEvents"], parameters: &[("id", FIRST)], to: OF_AN_EVENT },
    Link {
        from: &["issueAttendees", "listAttendees"],
        parameters: &[("id", EVENT), ("attendee_id", FIRST)],
        to: OF_AN_ATTENDEE,
    },
    Link {
        from: &["listAttendees"],
        parameters: &[("id", EVENT), ("after", NEXT)],
        to: &["listAttendees"],
    },
    Link {
        from: &["listDeletedAttendees"],
        parameters: &[("id", EVENT), ("user_id", "$response.body#/items/0/user_id")],
        to: &["letInAgain"],
    },
    Link { from: &["listAudit"], parameters: &[("before", NEXT)], to: &["listAudit"] },
];

pub(super) fn state(document: &mut Value) -> Result<()> {
    for (_, operation) in operations(document)? {
        let links = links(operation["operationId"].as_str().unwrap_or_default());
        let answers = operation.get_mut("responses").and_then(Value::as_object_mut);
        let done = answers.into_iter().flatten().find(|(status, _)| status.starts_with('2'));
        if let (Some((_, Value::Object(done))), false) = (done, links.is_empty()) {
            done.insert("links".to_owned(), Value::Object(links));
        }
    }
    Ok(())
}

/// The links of an operation's answer.
fn links(from: &str) -> Map<String, Value> {
    let mut links = Map::new();
    for link in LINKS.iter().filter(|link| link.from.contains(&from)) {
        let parameters: Map<String, Value> =
            link.parameters.iter().map(|(name, at)| ((*name).to_owned(), json!(at))).collect();
        for to in link.to {
            let mut parameters = parameters.clone();
            if ONE_VERSION.contains(&from) && (to.starts_with("update") || to.starts_with("delete"))
            {
                parameters.insert("header.If-Match".to_owned(), json!(VERSION));
            }
            links.insert((*to).to_owned(), json!({"operationId": to, "parameters": parameters}));
        }
    }
    links
}
