//! A tool's arguments as the fields of a form, and what was typed as arguments again. Fields come
//! from the top level of the tool's JSON Schema; what no simple field can hold is typed as JSON.

use serde_json::{Map, Number, Value};

/// Maximum number of fields of one tool, and of choices of one field.
const MOST: usize = 50;

/// Before the name of an argument, in the name of its field.
const PREFIX: &str = "arg.";

/// An argument, and what was typed for it.
#[derive(Debug)]
pub struct Field {
    /// As the tool calls it.
    pub name: String,
    pub hint: String,
    pub kind: Kind,
    pub is_required: bool,
    pub typed: String,
    /// Follows the name; empty where all is well.
    pub problem: String,
}

#[derive(Debug, PartialEq)]
pub enum Kind {
    Text,
    Number,
    Check,
    /// One of these.
    Choice(Vec<Value>),
    Json,
}

impl Field {
    /// The name in the form.
    pub fn sent_as(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    pub fn is_checked(&self) -> bool {
        self.typed == "on"
    }

    /// The choices as they are shown and sent, each with whether it is chosen.
    pub fn choices(&self) -> Vec<(String, bool)> {
        let Kind::Choice(values) = &self.kind else { return Vec::new() };
        values.iter().map(shown).map(|text| (text.clone(), text == self.typed)).collect()
    }

    /// What was typed, as an argument; `None` where it is left out.
    fn argument(&self) -> Result<Option<Value>, &'static str> {
        let typed = self.typed.trim();
        if self.kind == Kind::Check {
            return Ok(Some(Value::Bool(self.is_checked())));
        }
        if typed.is_empty() {
            return if self.is_required { Err("is required") } else { Ok(None) };
        }
        match &self.kind {
            Kind::Text => Ok(Some(self.typed.clone().into())),
            Kind::Number => {
                let number = typed.parse::<Number>().map_err(|_| "must be a number")?;
                Ok(Some(number.into()))
            }
            Kind::Choice(values) => {
                let chosen = values.iter().find(|value| shown(value) == typed);
                chosen.cloned().map(Some).ok_or("must be one of the choices")
            }
            Kind::Json => serde_json::from_str(typed).map(Some).map_err(|_| "must be JSON"),
            Kind::Check => Ok(None),
        }
    }
}

/// The fields of a tool with this schema. `sent`: the fields of the form that came back.
pub fn of(schema: &Value, sent: &[(String, String)]) -> Vec<Field> {
    let required = schema["required"].as_array();
    let is_required = |name: &str| {
        required.is_some_and(|names| names.iter().any(|one| one.as_str() == Some(name)))
    };
    let properties = schema["properties"].as_object().into_iter().flatten();
    let fields = properties.take(MOST).map(|(name, rule)| {
        let sent_as = format!("{PREFIX}{name}");
        let came = sent.iter().find(|(one, _)| *one == sent_as).map(|(_, typed)| typed.clone());
        let typed = match came {
            Some(typed) => typed,
            None if sent.is_empty() => initial(&rule["default"]),
            None => String::new(),
        };
        Field {
            name: name.clone(),
            hint: rule["description"].as_str().unwrap_or_default().chars().take(300).collect(),
            kind: kind(rule),
            is_required: is_required(name),
            typed,
            problem: String::new(),
        }
    });
    fields.collect()
}

fn kind(rule: &Value) -> Kind {
    if let Some(values) = rule["enum"].as_array() {
        return Kind::Choice(values.iter().take(MOST).cloned().collect());
    }
    match rule["type"].as_str() {
        Some("string") => Kind::Text,
        Some("number" | "integer") => Kind::Number,
        Some("boolean") => Kind::Check,
        _ => Kind::Json,
    }
}

/// What a field holds before anybody typed.
fn initial(default: &Value) -> String {
    match default {
        Value::Null | Value::Bool(false) => String::new(),
        Value::Bool(true) => "on".to_owned(),
        other => shown(other),
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The arguments that were typed.
///
/// # Errors
/// Fields say what is wrong with them.
pub fn arguments(fields: &mut [Field]) -> Result<Map<String, Value>, ()> {
    let mut arguments = Map::new();
    let mut is_right = true;
    for field in fields {
        match field.argument() {
            Ok(Some(value)) => drop(arguments.insert(field.name.clone(), value)),
            Ok(None) => {}
            Err(problem) => {
                field.problem = problem.to_owned();
                is_right = false;
            }
        }
    }
    if is_right { Ok(arguments) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["city", "days"],
            "properties": {
                "city": {"type": "string", "description": "Where"},
                "days": {"type": "integer", "default": 3},
                "metric": {"type": "boolean", "default": true},
                "unit": {"enum": ["C", "F", 1]},
                "more": {"type": "array"},
            },
        })
    }

    fn sent(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, typed)| (format!("arg.{name}"), (*typed).to_owned())).collect()
    }

    #[test]
    fn what_is_typed_becomes_what_the_tool_expects() {
        let typed = sent(&[("city", "Oslo"), ("days", "2"), ("unit", "1"), ("more", "[1, \"a\"]")]);
        let mut fields = of(&schema(), &typed);
        let found = arguments(&mut fields).unwrap();
        let expected =
            json!({"city": "Oslo", "days": 2, "metric": false, "unit": 1, "more": [1, "a"]});
        assert_eq!(Value::Object(found), expected);
    }

    #[test]
    fn an_empty_form_begins_with_the_defaults() {
        let fields = of(&schema(), &[]);
        let typed: Vec<_> = fields.iter().map(|field| (&*field.name, &*field.typed)).collect();
        let expected = [("city", ""), ("days", "3"), ("metric", "on"), ("more", ""), ("unit", "")];
        for pair in expected {
            assert!(typed.contains(&pair), "{typed:?}");
        }
        assert!(fields.iter().any(|field| field.hint == "Where" && field.is_required));
    }

    #[test]
    fn what_does_not_fit_is_said_beside_its_field() {
        let typed = sent(&[("city", " "), ("days", "many"), ("unit", "K"), ("more", "[")]);
        let mut fields = of(&schema(), &typed);
        assert!(arguments(&mut fields).is_err());
        let problem = |name| &*fields.iter().find(|field| field.name == name).unwrap().problem;
        assert_eq!(problem("city"), "is required");
        assert_eq!(problem("days"), "must be a number");
        assert_eq!(problem("unit"), "must be one of the choices");
        assert_eq!(problem("more"), "must be JSON");
        assert_eq!(problem("metric"), "");
    }

    #[test]
    fn hostile_schemas_are_only_data() {
        for schema in
            [json!(null), json!([]), json!({"properties": 1}), json!({"properties": {"a": 1}})]
        {
            let mut fields = of(&schema, &[]);
            assert!(arguments(&mut fields).is_ok(), "{schema}");
        }
    }
}
