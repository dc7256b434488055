//! The fields of an event's form as they are compared with what is stored meanwhile.

use secrecy::ExposeSecret;

use super::Typed;
use crate::portal::merge::{Field, check_field, text_field};

/// Start, end and zone are one group, because a time means nothing without its zone, nor an end
/// without its start.
pub(super) const GROUPS: &[&[Field<Typed>]] = &[
    &[text_field!(name, "Event name")],
    &[Field {
        name: "description",
        label: "Description",
        value: |form| form.description.replace("\r\n", "\n"),
        take: |form, from| form.description.clone_from(&from.description),
    }],
    &[text_field!(organizer_name, "Organiser's name")],
    &[text_field!(organizer_email, "Organiser's e-mail address")],
    &[text_field!(start, "Start"), text_field!(end, "End"), text_field!(time_zone, "Time zone")],
    &[Field {
        name: "resources",
        label: "Resources",
        // An order that cannot be read is reported by the rules of the form.
        value: |form| form.numbered().in_order().unwrap_or_default().join("\n"),
        take: |form, from| {
            form.listed.clone_from(&from.listed);
            form.position.clone_from(&from.position);
            form.resources.clone_from(&from.resources);
        },
    }],
    &[text_field!(daily_request_cap, "Daily request cap")],
    &[text_field!(requests_per_minute, "Requests a minute")],
    &[text_field!(max_token_cap, "Max token cap")],
    &[Field {
        name: "registration",
        label: "Registration",
        value: |form| form.registration(),
        take: |form, from| form.registration.clone_from(&from.registration),
    }],
    &[Field {
        name: "shared_code",
        label: "Shared code",
        value: |form| form.shared_code.expose_secret().trim().to_owned(),
        take: |form, from| form.shared_code = from.shared_code.clone(),
    }],
    &[text_field!(shared_code_limit, "Most people who may use it")],
    &[check_field!(cards_work_once, "Cards work once")],
    &[Field {
        name: "terms",
        label: "Terms of use",
        value: |form| form.terms.replace("\r\n", "\n"),
        take: |form, from| form.terms.clone_from(&from.terms),
    }],
    &[text_field!(forget_after_days, "Remove personal data")],
    &[check_field!(active, "Active")],
];
