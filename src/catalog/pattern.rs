//! The rules for the form of texts, as regular expressions (ECMA 262) for the description of
//! the API. What a pattern takes, the rule takes as well; how long a text may be, and
//! that blanks at its ends are dropped, is not in the pattern. Nothing is checked by them.

use super::resource::Auth;

/// One line that is not blank: [`line`](super::validate::line).
pub(crate) const LINE: &str =
    r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$";

/// One line: [`optional_line`](super::validate::optional_line).
pub(crate) const OPTIONAL_LINE: &str = r"^[^\x00-\x1F\x7F-\x9F]*$";

/// Several lines that are not blank: the description of an event.
pub(crate) const TEXT: &str = r"^[^\x00]*[^\s\x00][^\x00]*$";

/// Several lines: terms of use.
pub(crate) const OPTIONAL_TEXT: &str = r"^[^\x00]*$";

pub(crate) const EMAIL: &str =
    r"^[^\s\x00-\x1F\x7F-\x9F]+@[^\s\x00-\x1F\x7F-\x9F@.]+(?:\.[^\s\x00-\x1F\x7F-\x9F@.]+)*$";

pub(crate) const EVENT_ID: &str = "^[0-9a-f]{4}-[0-9a-f]{4}$";

/// The id of any other row.
pub(crate) const ID: &str = "^[0-9a-f]{32}$";

/// The user id of an attendee who joined without a key that was issued.
pub(crate) const JOINED_USER_ID: &str = "^(?:shared|github|gateway):.+$";

/// The days that a month does not have are left to the rule.
pub(crate) const WALL_CLOCK: &str = "^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::00)?$";

/// Which names there are is left to the rule.
pub(crate) const TIME_ZONE: &str = "^[A-Za-z0-9_+/-]+$";

pub(crate) const SHARED_CODE: &str = "^[A-Za-z0-9]*$";

/// The words of the ways to join, or the one for none.
pub(crate) const REGISTRATION: &str =
    "^(?:closed|(?:shared-code|github)(?:, ?(?:shared-code|github))*)$";

/// A segment of a path, and neither `.` nor `..`.
pub(crate) const DEPLOYMENT: &str =
    r"^(?:[A-Za-z0-9_-]|\.[A-Za-z0-9_-]|\.\.[A-Za-z0-9._-])[A-Za-z0-9._-]*$";

/// What a URL needs besides, such as a host, is left to the rule.
pub(crate) const ENDPOINT: &str =
    r#"^[Hh][Tt][Tt][Pp][Ss]?://[!"$-.0->A-\[\]-~]+(?:[/?][!"$-\[\]-~]*)?$"#;

/// A value of a header.
pub(crate) const KEY: &str = "^[!-~](?:[ -~]*[!-~])?$";

pub(crate) const AUTH: &str = "^(?:api-key|bearer|none|header: *[A-Za-z0-9!#$%&'*+.^_`|~-]+)$";

/// What [`AUTH`] takes and the rule does not: headers that cannot carry a key. That their case
/// does not matter, and that an underscore counts as a hyphen, is left to the rule.
pub(crate) fn refused_auth() -> String {
    format!("^header: *(?:{}|{}.*)$", Auth::REFUSED.join("|"), Auth::REFUSED_PREFIX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::string::string_regex;

    use super::*;
    use crate::catalog::event;
    use crate::catalog::limits::PERSON;
    use crate::catalog::resource;
    use crate::catalog::validate::{line, optional_line};

    /// Texts that the pattern takes.
    fn taken(pattern: &str) -> BoxedStrategy<String> {
        let inside = pattern.trim_start_matches('^').trim_end_matches('$');
        string_regex(inside).unwrap().boxed()
    }

    fn event() -> event::Draft {
        event::Draft {
            name: "Demo".to_owned(),
            description: "Demo".to_owned(),
            organizer_name: "Ada".to_owned(),
            organizer_email: "ada@example.org".to_owned(),
            start: "2026-01-01T09:00".to_owned(),
            end: "2026-01-01T18:00".to_owned(),
            ..event::Draft::default()
        }
    }

    fn resource() -> resource::Draft {
        resource::Draft {
            deployment: "demo".to_owned(),
            endpoint: "http://127.0.0.1/mcp".to_owned(),
            ..resource::Draft::default()
        }
    }

    /// A key is compared by its secret's own rule.
    fn key(text: String) -> resource::KeyChange {
        resource::KeyChange::Set(text.into())
    }

    proptest! {
        #[test]
        fn lines_that_a_pattern_takes_are_lines(one in taken(LINE), perhaps in taken(OPTIONAL_LINE)) {
            prop_assert!(line("name", &one, usize::MAX).is_ok(), "{one:?}");
            prop_assert!(optional_line("name", &perhaps, usize::MAX).is_ok(), "{perhaps:?}");
        }

        #[test]
        fn what_the_patterns_of_an_event_take_is_an_event(
            id in taken(EVENT_ID),
            description in taken(TEXT),
            // Short ones, which need not be thrown away for their length.
            email in taken(&EMAIL.replace('+', "{1,20}").replace(")*", "){0,3}")),
            code in "[A-Za-z0-9]{8,64}",
            registration in taken(REGISTRATION),
        ) {
            let email: String = email;
            prop_assume!(email.chars().count() <= PERSON);
            let draft = event::Draft {
                id: Some(id),
                description,
                organizer_email: email,
                shared_code: Some(code.into()),
                registration,
                ..event()
            };
            prop_assert!(draft.check().is_ok(), "{:?}", draft.check());
        }

        #[test]
        fn a_wall_clock_is_one_save_for_days_that_a_month_has_not(end in taken(WALL_CLOCK)) {
            let day: u32 = end[8..10].parse().unwrap();
            prop_assume!(day <= 28 && *end > *"2026-01-02" && *end < *"9999-12-01");
            let draft = event::Draft { end, ..event() };
            prop_assert!(draft.check().is_ok(), "{:?}", draft.check());
        }

        #[test]
        fn what_the_patterns_of_a_resource_take_is_a_resource(
            deployment in taken(DEPLOYMENT), secret in taken(KEY),
        ) {
            prop_assume!(deployment.len() <= crate::catalog::limits::NAME);
            let draft = resource::Draft { deployment, key: key(secret), ..resource() };
            prop_assert!(draft.check().is_ok(), "{:?}", draft.check());
        }

        #[test]
        fn a_header_that_is_not_refused_carries_a_key(auth in taken(AUTH)) {
            let read = auth.trim_start_matches("header:").trim().to_ascii_lowercase().replace('_', "-");
            let is_refused = Auth::REFUSED.contains(&&*read) || read.starts_with(Auth::REFUSED_PREFIX);
            prop_assert_eq!(auth.parse::<Auth>().is_err(), auth.starts_with("header:") && is_refused);
        }

        #[test]
        fn a_header_that_is_refused_carries_none(auth in taken(&refused_auth())) {
            prop_assert!(auth.parse::<Auth>().is_err(), "{auth}");
        }
    }
}
