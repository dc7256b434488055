//! The fields of an event, listed once. From the list below come [`Draft`], which has all
//! of them, and [`Changes`], in which each may be left out: what a call of the API brings,
//! and what the portal's form is read into.
//!
//! The id and `active` are not in the list, because backups and the workshop file treat
//! them differently.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::registration::Registration;
use crate::catalog::given::given;
use crate::catalog::secret::exposed;

/// Each field is written as `name: type = value of a new event`. Attributes apply to both
/// types; one after `@draft` or `@changes` applies to that type only.
macro_rules! fields {
    ($(
        $(#[$both:meta])*
        $(@draft #[$in_draft:meta])*
        $(@changes #[$in_changes:meta])*
        $field:ident: $type:ty = $new:expr,
    )*) => {
        /// The fields of an event as entered. `default()` holds the values of a new
        /// one; what it leaves empty is required.
        ///
        /// Backups and calls to another proxy contain these fields as they are serialised
        /// here, in this order.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub struct Draft {
            /// The event to update, or the id that the new one is to have.
            #[serde(skip)]
            pub id: Option<String>,
            $($(#[$both])* $(#[$in_draft])* pub $field: $type,)*
            #[serde(skip)]
            pub active: bool,
        }

        impl Default for Draft {
            fn default() -> Self {
                Self { id: None, $($field: $new,)* active: false }
            }
        }

        /// The fields of an event. Creating, what is left out has its default; updating, it stays
        /// as it is.
        #[derive(Default, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        #[schema(as = EventFields)]
        pub struct Changes {
            /// Of a new event, the id that it is to have, such as `a1b2-c3d4`; one is made up
            /// otherwise. It cannot be changed.
            pub id: Option<String>,
            $($(#[$both])* $(#[$in_changes])* pub $field: Option<$type>,)*
            pub active: Option<bool>,
        }

        impl Changes {
            /// The draft with these changes.
            pub fn over(self, draft: Draft) -> Draft {
                Draft {
                    id: draft.id.or(self.id),
                    $($field: self.$field.unwrap_or(draft.$field),)*
                    active: self.active.unwrap_or(draft.active),
                }
            }
        }
    };
}

fields! {
    name: String = String::new(),
    /// Markdown.
    description: String = String::new(),
    organizer_name: String = String::new(),
    organizer_email: String = String::new(),
    /// Wall clock in `time_zone`, such as `2026-11-22T09:00`.
    start: String = String::new(),
    end: String = String::new(),
    /// An IANA name.
    time_zone: String = "UTC".to_owned(),
    /// Ids of resources, in order.
    resources: Vec<String> = Vec::new(),
    max_token_cap: u32 = 4096,
    /// Requests of an attendee per UTC day.
    daily_request_cap: u32 = 1024,
    requests_per_minute: u32 = 600,
    burst: u32 = 60,
    max_open_requests: u32 = 300,
    // An empty code is the same as none.
    /// By which anybody joins; `null` or nothing removes it. Never shown again.
    @draft #[serde(serialize_with = "exposed")]
    @changes #[serde(default, deserialize_with = "given")]
    @changes #[schema(value_type = Option<String>, write_only)]
    shared_code: Option<SecretString> = None,
    shared_code_limit: u32 = 500,
    // A text, because an unknown word is reported when the draft is checked, in the order
    // of the rules.
    /// How people get in by themselves: by the `shared-code`, where one is set, or not: `closed`.
    registration: String = Registration::SHARED_CODE.as_str().to_owned(),
}
