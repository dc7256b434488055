//! The fields of a resource's form as they are compared with what is stored meanwhile.

use secrecy::ExposeSecret;

use super::form::Typed;
use crate::portal::merge::Field;

macro_rules! text {
    ($field:ident, $label:literal) => {
        Field {
            name: stringify!($field),
            label: $label,
            value: |form| form.$field.trim().to_owned(),
            take: |form, from| form.$field.clone_from(&from.$field),
        }
    };
}

/// The address and all about the key are one group, so a key that was typed for one address is
/// never saved beside another.
pub const GROUPS: &[&[Field<Typed>]] = &[
    &[text!(name, "Friendly name")],
    &[text!(deployment, "Deployment name")],
    &[
        text!(kind, "Type"),
        text!(endpoint, "Endpoint URL"),
        text!(auth, "Authentication"),
        text!(header, "Header name"),
        Field {
            name: "key",
            label: "Key",
            // Whether there is a change, and never the key itself.
            value: |form| {
                match (form.key.expose_secret().is_empty(), &form.remove_key) {
                    (true, None) => "unchanged",
                    (true, Some(_)) => "removed",
                    (false, _) => "replaced",
                }
                .to_owned()
            },
            take: |form, from| {
                form.key = from.key.clone();
                form.remove_key.clone_from(&from.remove_key);
            },
        },
    ],
    &[text!(region, "Region")],
    &[Field {
        name: "active",
        label: "Active",
        value: |form| if form.active.is_some() { "on" } else { "off" }.to_owned(),
        take: |form, from| form.active.clone_from(&from.active),
    }],
];
