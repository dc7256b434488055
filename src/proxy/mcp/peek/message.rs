//! The messages of a body that a parser can read. They are read member by member, and only the
//! id and what says the operation are kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::proxy::attendee::ledger::Operation;

/// The operation shown where a body names none that can be read.
pub(super) const UNKNOWN: &str = "(unknown)";

/// The longest JSON-RPC id that a refusal echoes, in bytes.
const MAX_ID: usize = 512;

/// One JSON-RPC message, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Message {
    method: Option<String>,
    name: Option<String>,
    pub(super) id: Option<Box<str>>,
    /// It has a `result` or an `error`.
    is_answer: bool,
    /// `method` is repeated, not a string, or written in another way.
    is_unsure: bool,
}

impl Message {
    /// Whether it is certainly the protocol's own traffic.
    pub(super) fn is_free(&self) -> bool {
        if self.is_unsure {
            return false;
        }
        match self.method.as_deref() {
            Some("initialize" | "ping" | "server/discover") => true,
            // `tools/call\0/list` is a call where strings end at a NUL.
            Some(method) if !method.chars().all(is_plain) => false,
            Some(method) => method.starts_with("notifications/") || method.ends_with("/list"),
            None => self.is_answer,
        }
    }

    /// Reads the members of one message; an error leaves what came before it.
    fn read<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(member) = map.next_key_seed(Named(Member::of))? {
            match member {
                Member::Method => {
                    self.is_unsure |= self.method.is_some();
                    self.method = Some(map.next_value()?);
                }
                Member::Id => self.id = echoed(map.next_value::<&RawValue>()?.get()),
                Member::Params => map.next_value_seed(Params(&mut self.name))?,
                Member::Answer => {
                    self.is_answer = true;
                    map.next_value::<IgnoredAny>()?;
                }
                Member::Unsure | Member::Other => {
                    self.is_unsure |= member == Member::Unsure;
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn into_operation(self) -> Operation {
        let method = match self.method {
            Some(method) => method,
            None if self.is_answer => "(response)".into(),
            None => UNKNOWN.into(),
        };
        let named = matches!(&*method, "tools/call" | "prompts/get");
        let name = self.name.filter(|_| named).unwrap_or_default();
        Operation { method: storable(method), name: storable(name) }
    }
}

/// Whether no reader takes the character of a method's name for anything else.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | '$')
}

/// The name with its control characters replaced: PostgreSQL takes no NUL, and
/// nobody wants the others on a page or in a table.
fn storable(name: String) -> String {
    match name.contains(char::is_control) {
        true => name.replace(char::is_control, "\u{fffd}"),
        false => name,
    }
}

/// A member of a message, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Method,
    Id,
    Params,
    /// A `result` or an `error`.
    Answer,
    /// `method` in another case or with other characters in it, or any name with
    /// control characters: some backends take such a name for `method`.
    Unsure,
    Other,
}

impl Member {
    fn of(name: &str) -> Self {
        match name {
            "method" => Member::Method,
            "id" => Member::Id,
            "params" => Member::Params,
            "result" | "error" => Member::Answer,
            other if may_be_method(other) => Member::Unsure,
            _ => Member::Other,
        }
    }
}

fn may_be_method(name: &str) -> bool {
    let mut letters = name.chars().filter(char::is_ascii_alphanumeric);
    name.contains(char::is_control)
        || ("method"
            .chars()
            .all(|known| letters.next().is_some_and(|c| c.eq_ignore_ascii_case(&known)))
            && letters.next().is_none())
}

/// What a member's name, its escapes decoded, means; the name is not kept.
struct Named<F>(F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for Named<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        from.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for Named<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<T, E> {
        Ok(self.0(name))
    }
}

/// Reads a message or a batch into a list, so that what came before a syntax
/// error or the end of the read-ahead is not lost.
pub(super) struct Messages<'m>(pub(super) &'m mut Vec<Message>);

impl<'de> DeserializeSeed<'de> for Messages<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Messages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON-RPC message or a batch")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let mut message = Message::default();
        let read = message.read(map);
        self.0.push(message);
        read
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Messages(self.0))?.is_some() {}
        Ok(())
    }
}

/// An id that is safe to echo: a string or a number of reasonable length.
fn echoed(id: &str) -> Option<Box<str>> {
    let is_scalar = id.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
    (is_scalar && id.len() <= MAX_ID).then(|| id.into())
}

/// Reads `params.name`, and passes over whatever else `params` may be.
struct Params<'m>(&'m mut Option<String>);

impl<'de> DeserializeSeed<'de> for Params<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Params<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(is_name) = map.next_key_seed(Named(|name: &str| name == "name"))? {
            if is_name {
                *self.0 = map
                    .next_value::<&RawValue>()
                    .map(|name| serde_json::from_str(name.get()).ok())?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}
