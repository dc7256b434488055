//! The fields of a resource's form as they are compared with what is stored meanwhile.

use secrecy::ExposeSecret;

use super::Typed;
use crate::portal::merge::{Field, check_field, text_field};

/// The address and all about the key are one group, so a key that was typed for one address is
/// never saved beside another.
pub(super) const GROUPS: &[&[Field<Typed>]] = &[
    &[text_field!(name, "Friendly name")],
    &[text_field!(deployment, "Deployment name")],
    &[
        text_field!(kind, "Type"),
        text_field!(endpoint, "Endpoint URL"),
        text_field!(auth, "Authentication"),
        text_field!(header, "Header name"),
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
    &[text_field!(region, "Region")],
    &[check_field!(active, "Active")],
];
