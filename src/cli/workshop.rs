//! The workshop file: the resources and events of an organiser, as TOML.
//!
//! Reading is strict: a key that is not known, a value of the wrong type and a
//! repeated name are errors that say where they stand. What a value means (an
//! endpoint, a time zone, a cap) is the catalog's affair; [`Place`] lets its
//! refusals be told with the line they come from.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use toml::de::{DeTable, DeValue};

/// The file, read and free of repeated names.
#[derive(Debug)]
pub(super) struct Workshop {
    pub resources: Vec<Resource>,
    pub events: Vec<Event>,
}

/// One `[[resource]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resource {
    pub deployment: String,
    pub name: Option<String>,
    #[serde(rename = "type", default = "mcp_server")]
    pub kind: String,
    pub endpoint: String,
    #[serde(default = "api_key")]
    pub auth: String,
    pub key: Option<Key>,
    #[serde(default)]
    pub region: String,
    pub active: Option<bool>,
}

/// One `[[event]]`. What is `None` was left out of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    pub id: Option<String>,
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub organizer_name: String,
    #[serde(default)]
    pub organizer_email: String,
    pub start: Option<String>,
    pub end: Option<String>,
    pub time_zone: Option<String>,
    #[serde(default)]
    pub resources: Vec<String>,
    pub max_token_cap: Option<u32>,
    pub daily_request_cap: Option<u32>,
    pub requests_per_minute: Option<u32>,
    #[serde(default)]
    pub shared_code: String,
    pub registration: Option<String>,
    pub cards_work_once: Option<bool>,
    pub terms: Option<String>,
    /// 0: never.
    pub forget_after_days: Option<u32>,
    pub active: Option<bool>,
}

/// Where a backend key comes from: `env:NAME`, `file:PATH`, or the text itself.
#[derive(Debug)]
pub(super) enum Key {
    Env(String),
    File(String),
    Literal(SecretString),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    resource: Vec<Resource>,
    #[serde(default)]
    event: Vec<Event>,
}

fn mcp_server() -> String {
    "mcp-server".to_owned()
}

fn api_key() -> String {
    "api-key".to_owned()
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through `Value`, because serde's own message for a wrong type quotes the value: a key.
        let toml::Value::String(text) = toml::Value::deserialize(deserializer)? else {
            return Err(serde::de::Error::custom("a key is text in quotes"));
        };
        Ok(match text.split_once(':') {
            Some(("env", name)) => Key::Env(name.to_owned()),
            Some(("file", path)) => Key::File(path.to_owned()),
            _ => Key::Literal(text.into()),
        })
    }
}

/// An entry of the file and a field of it, for telling where something is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// `resource` or `event`.
    pub table: &'static str,
    /// Counted from 0, among the entries of the same table.
    pub index: usize,
    /// The entry's name for people: its deployment name, or the event's name.
    pub entry: &'a str,
    pub field: &'a str,
}

/// What is wrong with the file, and where.
#[derive(Debug)]
pub(super) struct Wrong {
    file: String,
    line: usize,
    column: usize,
    what: String,
}

impl std::error::Error for Wrong {}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wrong { file, line, column, what } = self;
        write!(f, "{file}, line {line}, column {column}: {what}")
    }
}

/// The text of a workshop file under the name that messages call it by.
pub(super) struct Source<'a> {
    pub name: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    /// Reads the whole file.
    ///
    /// # Errors
    /// The first thing that is wrong with it: syntax, an unknown key, a type, a name used twice.
    pub(super) fn read(&self) -> Result<Workshop, Wrong> {
        let file: File = toml::from_str(self.text).map_err(|error| {
            self.wrong(error.span().unwrap_or(0..0), in_plain_words(error.message()))
        })?;
        let workshop = Workshop { resources: file.resource, events: file.event };
        let deployments = workshop.resources.iter().map(|r| Some(r.deployment.trim()));
        self.refuse_repeated("resource", "deployment", deployments)?;
        self.refuse_repeated("event", "id", workshop.events.iter().map(|e| e.id.as_deref()))?;
        let unnamed = workshop.events.iter().map(|e| e.id.is_none().then_some(e.name.trim()));
        self.refuse_repeated("event", "name", unnamed)?;
        Ok(workshop)
    }

    /// Tells what is wrong with a field: at its value, or at its entry's head where it was left out.
    pub(super) fn refuse(&self, place: Place<'_>, rule: impl fmt::Display) -> Wrong {
        let Place { table, index, entry, field } = place;
        self.wrong(self.span(table, index, field), format!("{table} '{entry}', {field}: {rule}"))
    }

    fn refuse_repeated<'s>(
        &self,
        table: &'static str,
        field: &'static str,
        values: impl Iterator<Item = Option<&'s str>>,
    ) -> Result<(), Wrong> {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (index, value) in values.enumerate() {
            let Some(value) = value else { continue };
            if let Some(earlier) = first.insert(value, index) {
                let (line, _) = self.line_and_column(self.span(table, earlier, field).start);
                let how = if field == "name" { "; give each an id" } else { "" };
                let place = Place { table, index, entry: value, field };
                return Err(self.refuse(place, format!("is used on line {line} already{how}")));
            }
        }
        Ok(())
    }

    /// Where a field's value stands in the text.
    fn span(&self, table: &str, index: usize, field: &str) -> Range<usize> {
        let Ok(root) = DeTable::parse(self.text) else { return 0..0 };
        let Some(entry) = root.get_ref().get(table).and_then(|entries| match entries.get_ref() {
            DeValue::Array(entries) => entries.get(index),
            _ => None,
        }) else {
            return 0..0;
        };
        entry.get_ref().get(field).map_or(entry.span(), |value| value.span())
    }

    fn wrong(&self, span: Range<usize>, what: String) -> Wrong {
        let (line, column) = self.line_and_column(span.start);
        Wrong { file: self.name.to_owned(), line, column, what }
    }

    /// Both counted from 1; a column is a character.
    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let start_of_line = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[start_of_line..].chars().count() + 1)
    }
}

/// The parser's message without the words of its own language.
fn in_plain_words(message: &str) -> String {
    message
        .replace('\n', ", ")
        .replace("expected u32", "expected a positive whole number")
        .replace("expected a sequence", "expected a list")
        .replace("invalid type: map, expected a string", "expected text in quotes")
        .replace("invalid type: map, expected a list", "expected two brackets, as in [[event]]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Workshop, String> {
        Source { name: "w.toml", text }.read().map_err(|wrong| wrong.to_string())
    }

    fn wrong(text: &str) -> String {
        read(text).expect_err("the file is wrong")
    }

    #[test]
    fn what_is_left_out_takes_its_default() {
        let workshop = read(
            "[[resource]]\ndeployment = 'd'\nendpoint = 'http://h/mcp'\n[[event]]\nname = 'E'\n",
        )
        .unwrap();
        let resource = &workshop.resources[0];
        assert_eq!(
            (resource.kind.as_str(), resource.auth.as_str(), resource.active),
            ("mcp-server", "api-key", None)
        );
        assert!(resource.key.is_none() && resource.name.is_none());
        let event = &workshop.events[0];
        assert!(event.active.is_none() && event.id.is_none() && event.resources.is_empty());
        assert_eq!((event.max_token_cap, event.shared_code.as_str()), (None, ""));
    }

    #[test]
    fn an_empty_file_is_an_empty_workshop() {
        let workshop = read("# nothing yet\n").unwrap();
        assert!(workshop.resources.is_empty() && workshop.events.is_empty());
    }

    #[test]
    fn a_key_names_its_source() {
        let key = |value: &str| {
            let text =
                format!("[[resource]]\ndeployment = 'd'\nendpoint = 'http://h'\nkey = '{value}'\n");
            format!("{:?}", read(&text).unwrap().resources.remove(0).key.unwrap())
        };
        assert_eq!(key("env:NAME"), "Env(\"NAME\")");
        assert_eq!(key("file:/run/key"), "File(\"/run/key\")");
        // A literal key may hold a colon, and is never shown.
        assert_eq!(key("abc:def"), "Literal(SecretBox<str>([REDACTED]))");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        insta::assert_snapshot!(
            wrong("[[resource]]\ndeployment = 'd'\nendpoint = 'http://h'\n  colour = 'red'\n"), @"w.toml, line 4, column 3: unknown field `colour`, expected one of `deployment`, `name`, `type`, `endpoint`, `auth`, `key`, `region`, `active`");
        insta::assert_snapshot!(wrong("[[event]]\nname = 'E'\nkey = 'k'\n"), @"w.toml, line 3, column 1: unknown field `key`, expected one of `id`, `name`, `description`, `organizer_name`, `organizer_email`, `start`, `end`, `time_zone`, `resources`, `max_token_cap`, `daily_request_cap`, `requests_per_minute`, `shared_code`, `registration`, `cards_work_once`, `terms`, `forget_after_days`, `active`");
        insta::assert_snapshot!(wrong("\n[[events]]\nname = 'E'\n"), @"w.toml, line 2, column 3: unknown field `events`, expected `resource` or `event`");
    }

    #[test]
    fn a_wrong_type_or_syntax_is_placed() {
        insta::assert_snapshot!(wrong("[[event]]\nname = 'E'\nmax_token_cap = 'many'\n"), @r#"w.toml, line 3, column 17: invalid type: string "many", expected a positive whole number"#);
        insta::assert_snapshot!(wrong("[[event]]\nname = 'E'\nmax_token_cap = -1\n"), @"w.toml, line 3, column 17: invalid value: integer `-1`, expected a positive whole number");
        insta::assert_snapshot!(wrong("[[event]]\nname = 'E'\nstart = 2026-11-22T09:00\n"), @"w.toml, line 3, column 9: expected text in quotes");
        insta::assert_snapshot!(wrong("[[event]]\nname = \n"), @"w.toml, line 2, column 8: string values must be quoted, expected literal string");
        insta::assert_snapshot!(wrong("[[event]]\nname = 'E'\nname = 'F'\n"), @"w.toml, line 3, column 1: duplicate key");
        insta::assert_snapshot!(wrong("[event]\nname = 'E'\n"), @"w.toml, line 1, column 1: expected two brackets, as in [[event]]");
    }

    #[test]
    fn a_required_value_that_is_missing_is_named() {
        insta::assert_snapshot!(wrong("\n[[resource]]\nendpoint = 'http://h'\n"), @"w.toml, line 2, column 1: missing field `deployment`");
    }

    #[test]
    fn a_key_of_the_wrong_type_is_not_quoted() {
        let text = "[[resource]]\ndeployment = 'd'\nendpoint = 'http://h'\nkey = 867530912345\n";
        insta::assert_snapshot!(wrong(text), @"w.toml, line 4, column 7: a key is text in quotes");
    }

    #[test]
    fn names_are_used_once() {
        let resource = "[[resource]]\ndeployment = 'd'\nendpoint = 'http://h'\n";
        insta::assert_snapshot!(wrong(&resource.repeat(2)), @"w.toml, line 5, column 14: resource 'd', deployment: is used on line 2 already");
        insta::assert_snapshot!(wrong(&"[[event]]\nname = 'E'\n".repeat(2)), @"w.toml, line 4, column 8: event 'E', name: is used on line 2 already; give each an id");
        insta::assert_snapshot!(wrong(&"[[event]]\nid = 'a1b2-c3d4'\nname = 'E'\n".repeat(2)), @"w.toml, line 5, column 6: event 'a1b2-c3d4', id: is used on line 2 already");
        // Two sittings of one workshop: told apart by id.
        let sittings = "[[event]]\nid = 'a1b2-c3d4'\nname = 'E'\n[[event]]\nname = 'E'\n";
        assert_eq!(read(sittings).unwrap().events.len(), 2);
    }

    #[test]
    fn a_refusal_points_at_the_value_or_at_the_entry() {
        let text = "# é\n[[resource]]\ndeployment = 'd'\nendpoint = 'ftp://h'\n";
        let source = Source { name: "w.toml", text };
        let refuse = |field| {
            let place = Place { table: "resource", index: 0, entry: "d", field };
            source.refuse(place, "is wrong").to_string()
        };
        insta::assert_snapshot!(refuse("endpoint"), @"w.toml, line 4, column 12: resource 'd', endpoint: is wrong");
        insta::assert_snapshot!(refuse("key"), @"w.toml, line 2, column 1: resource 'd', key: is wrong");
    }
}
