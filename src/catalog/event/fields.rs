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
use crate::catalog::secret::{exposed, exposed_if_given};
use crate::catalog::whole::{given_whole, whole_or_null};

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

        /// Changes to an event. A field that is left out keeps its value, and so does one that is
        /// `null`, save for `shared_code` and `forget_after_days`. The event must begin before it ends.
        #[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        #[schema(as = EventFields)]
        pub struct Changes {
            /// The id of a new event, such as `a1b2-c3d4`; one is made up otherwise. It cannot be
            /// changed: when updating, it must be the id in the path.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub id: Option<String>,
            $(
                $(#[$both])* $(#[$in_changes])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
            #[serde(skip_serializing_if = "Option::is_none")]
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
    /// Local time in `time_zone`, such as `2026-11-22T09:00`.
    start: String = String::new(),
    /// Local time in `time_zone`, later than the start.
    end: String = String::new(),
    /// The name of an IANA time zone, such as `Europe/Berlin`.
    time_zone: String = "UTC".to_owned(),
    /// Ids of your resources, in order.
    resources: Vec<String> = Vec::new(),
    @changes #[serde(default, deserialize_with = "whole_or_null")]
    max_token_cap: u32 = 4096,
    /// Requests of an attendee per UTC day.
    @changes #[serde(default, deserialize_with = "whole_or_null")]
    daily_request_cap: u32 = 1024,
    @changes #[serde(default, deserialize_with = "whole_or_null")]
    requests_per_minute: u32 = 600,
    @changes #[serde(default, deserialize_with = "whole_or_null")]
    burst: u32 = 60,
    @changes #[serde(default, deserialize_with = "whole_or_null")]
    max_open_requests: u32 = 300,
    // An empty code is the same as none.
    /// The code with which anybody can join; `null` or an empty text removes it. It is never
    /// shown again. A shorter code that the event already has is accepted as well.
    @draft #[serde(serialize_with = "exposed")]
    @changes #[serde(default, deserialize_with = "given", serialize_with = "exposed_if_given")]
    @changes #[schema(value_type = Option<String>, write_only)]
    shared_code: Option<SecretString> = None,
    @changes #[serde(default, deserialize_with = "whole_or_null")]
    shared_code_limit: u32 = 500,
    // A text, because an unknown word is reported when the draft is checked, in the order
    // of the rules.
    /// How people can join: with the shared code, if there is one, with GitHub, in both ways, or not at
    /// all.
    registration: String = Registration::SHARED_CODE.as_str().to_owned(),
    /// Whether a card's code works once. Otherwise it opens its person's page until the event ends.
    cards_work_once: bool = false,
    /// Markdown: the terms of use that attendees agree to. Empty: a short text that names the
    /// organiser.
    terms: String = String::new(),
    /// How many days after the end names, keys and other personal data of attendees are removed;
    /// `null`: never.
    @changes #[serde(default, deserialize_with = "given_whole")]
    @changes #[schema(value_type = Option<u32>)]
    forget_after_days: Option<u32> = None,
}
