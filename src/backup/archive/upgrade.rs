//! How the JSON of earlier formats becomes that of the present one: what a format brought
//! gets the value by which things stay as they were. Knows only JSON, because the types
//! of earlier formats are gone.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{FORMAT, unreadable};
use crate::backup::Error;

/// Turns the JSON of one format into that of the next. What is not of its format may be
/// left: it is refused when the whole is read.
type Upgrade = fn(&mut Value);

/// One for each earlier format, the first from format 1 to 2: a higher [`FORMAT`] does not compile
/// without the way that files of the one before take to it.
pub(super) const UPGRADES: [Upgrade; FORMAT as usize - 1] = [from_1_to_2];

/// A text of an earlier format, brought to the one after the last of `upgrades`.
pub(super) fn upgraded(text: &[u8], format: u32, upgrades: &[Upgrade]) -> Result<Value, Error> {
    let first = format.checked_sub(1).ok_or_else(|| {
        Error::Invalid("what is in it is of format 0, and no release writes that".to_owned())
    })?;
    let to_come = upgrades.get(first as usize..).filter(|to_come| !to_come.is_empty());
    let to_come = to_come.ok_or(Error::Newer(format))?;
    let mut value: Value = serde_json::from_slice(text).map_err(|error| unreadable(&error))?;
    for (upgrade, from) in to_come.iter().zip(format..) {
        upgrade(&mut value);
        value["format"] = (from + 1).into();
    }
    Ok(value)
}

/// Cards worked once, and their codes were not in the file. When an event was first switched on was not stored: whether it ever was
/// is known by its figures.
fn from_1_to_2(archive: &mut Value) {
    let made_at = archive["made_at"].clone();
    let used: HashSet<String> = entries(archive, "usage")
        .filter_map(|usage| usage["event"].as_str().map(str::to_owned))
        .collect();
    for event in entries(archive, "events") {
        let is_used = event["id"].as_str().is_some_and(|id| used.contains(id));
        let was_on = is_used || event["active"] == json!(true);
        set(event, "cards_work_once", json!(true));
        set(event, "terms", json!(""));
        set(event, "forget_after_days", Value::Null);
        set(event, "first_active_at", if was_on { made_at.clone() } else { Value::Null });
    }
    for attendee in entries(archive, "attendees") {
        set(attendee, "terms_accepted_at", Value::Null);
        set(attendee, "card", Value::Null);
    }
}

/// The entries of one of the lists.
fn entries<'a>(archive: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    archive.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Gives an entry a field that its format did not have.
fn set(entry: &mut Value, field: &str, value: Value) {
    if let Some(fields) = entry.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_formats_take_each_step_to_the_present_one() {
        let upgrades: [Upgrade; 2] = [
            |value| value["steps"] = "1".into(),
            |value| value["steps"] = format!("{} 2", value["steps"].as_str().unwrap_or("")).into(),
        ];
        let read = |format: u32| {
            upgraded(format!("{{\"format\":{format}}}").as_bytes(), format, &upgrades)
        };
        let first = read(1).unwrap();
        assert_eq!((&first["steps"], &first["format"]), (&"1 2".into(), &3.into()));
        let second = read(2).unwrap();
        assert_eq!((&second["steps"], &second["format"]), (&" 2".into(), &3.into()));
        for newer in [3, 4, u32::MAX] {
            assert!(matches!(read(newer), Err(Error::Newer(format)) if format == newer));
        }
        assert!(matches!(read(0), Err(Error::Invalid(_))));
    }

    #[test]
    fn what_is_not_of_its_format_makes_no_upgrade_panic() {
        for text in ["1", "[]", "{}", r#"{"events":1,"usage":[1]}"#, r#"{"events":[[],null,{}]}"#] {
            let text =
                format!(r#"{{"format":1,"made_at":{text},"events":[{text}],"usage":{text}}}"#);
            assert_eq!(upgraded(text.as_bytes(), 1, &UPGRADES).unwrap()["format"], FORMAT);
        }
    }

    #[test]
    fn an_event_of_format_1_was_on_where_it_is_or_has_figures() {
        let mut archive = json!({
            "made_at": 7,
            "events": [
                {"id": "on", "active": true}, {"id": "used", "active": false},
                {"id": "draft", "active": false},
            ],
            "usage": [{"event": "used"}],
        });
        from_1_to_2(&mut archive);
        let first: Vec<&Value> =
            entries(&mut archive, "events").map(|event| &event["first_active_at"]).collect();
        assert_eq!(first, [&json!(7), &json!(7), &Value::Null]);
        assert!(entries(&mut archive, "events").all(|event| event["cards_work_once"] == true));
    }
}
