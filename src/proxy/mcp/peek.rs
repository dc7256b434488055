//! What a JSON-RPC body asks for, read without changing a byte of it.
//!
//! A message is free of the daily cap only when it is known *for certain* to be
//! the protocol's own traffic. Backends parse leniently (the last of two
//! `method` members wins, some match names in any case, Python reads UTF-16 and
//! NaN), so whatever this reader is not sure of counts.

use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::proxy::attendee::ledger::{Operation, Operations};

/// The longest JSON-RPC id that a refusal echoes, in bytes.
const MAX_ID: usize = 512;

/// The operation shown where a body names none that can be read.
const UNKNOWN: &str = "(unknown)";

/// What was read of one body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The id of the (first) request as JSON text: a string or a number.
    pub id: Option<Box<str>>,
    /// How many requests of the daily cap it takes.
    pub counts: u32,
    /// How many turns of the rate limit it takes: one for each message.
    pub messages: u32,
    pub operations: Operations,
}

/// What the first bytes of a body say of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Object,
    Batch,
    Unclear,
}

/// Reads `body`, which is `complete` or the beginning of a longer one.
///
/// `None`: a batch (or what may be one, or several messages one after another) of
/// which only the beginning is here, so that its members cannot be counted.
pub fn peek(body: &[u8], complete: bool) -> Option<Peek> {
    let form = form(body);
    if form != Form::Object && !complete {
        return None;
    }
    let mut messages = Vec::new();
    let mut parser = serde_json::Deserializer::from_slice(body);
    let mut values = 0;
    let is_whole = loop {
        if Messages(&mut messages).deserialize(&mut parser).is_err() {
            break false;
        }
        values += 1;
        if parser.end().is_ok() {
            break true;
        }
    };
    let is_single = is_whole && values == 1;
    if !complete && values > 0 && !is_single {
        return None;
    }

    let read = u32::try_from(messages.len()).unwrap_or(u32::MAX);
    let counts = if is_whole && complete && !messages.is_empty() {
        let calls: u32 = messages.iter().map(|message| u32::from(!message.is_free())).sum();
        // Several values one after another are no message that is known for certain.
        calls.max(u32::from(values > 1))
    } else {
        // No member of a body that cannot be read for certain is free, and there
        // cannot be more members than opening braces, in whatever encoding.
        match form {
            Form::Object if values > 0 => top_level_objects(body),
            Form::Object => 1,
            Form::Batch | Form::Unclear => {
                let braces = memchr::memchr_iter(b'{', body).count();
                u32::try_from(braces).unwrap_or(u32::MAX).max(1)
            }
        }
    };
    let id = messages.iter_mut().find_map(|message| message.id.take());
    let mut operations = added_up(messages);
    if operations.is_empty() {
        operations.push((Operation { method: UNKNOWN.into(), name: String::new() }, 1));
    }
    Some(Peek { id, counts, messages: read.max(counts).max(1), operations })
}

/// The operations of the messages, equal ones as one.
fn added_up(messages: Vec<Message>) -> Operations {
    if messages.len() < 2 {
        return messages.into_iter().map(|message| (message.into_operation(), 1)).collect();
    }
    let mut counts: HashMap<Operation, u32, RandomState> = HashMap::default();
    for message in messages {
        *counts.entry(message.into_operation()).or_default() += 1;
    }
    counts.into_iter().collect()
}

/// How many JSON objects begin in `body` that are not inside of another: some
/// backends read one after the other.
fn top_level_objects(body: &[u8]) -> u32 {
    let (mut objects, mut depth, mut rest) = (0, 0_u32, body);
    while let Some(at) = memchr::memchr3(b'{', b'}', b'"', rest) {
        let byte = rest[at];
        rest = &rest[at + 1..];
        match byte {
            b'{' => {
                objects += u32::from(depth == 0);
                depth += 1;
            }
            b'}' => depth = depth.saturating_sub(1),
            _ => rest = after_string(rest),
        }
    }
    objects
}

/// The bytes after a JSON string whose opening quote has been read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let skipped = if rest[at] == b'"' { 1 } else { 2 };
        let next = rest.get(at + skipped..).unwrap_or_default();
        if skipped == 1 {
            return next;
        }
        rest = next;
    }
    &[]
}

/// The id that a refusal of `body`, or of what is here of it, echoes.
pub fn id(body: &[u8]) -> Option<Box<str>> {
    let mut messages = Vec::new();
    let mut parser = serde_json::Deserializer::from_slice(body);
    // What was read before an error is what counts here.
    let _ = Messages(&mut messages).deserialize(&mut parser);
    messages.into_iter().find_map(|message| message.id)
}

fn form(body: &[u8]) -> Form {
    // Byte-order marks, and the NULs of UTF-16 and UTF-32, as Python skips them.
    let skipped = |byte: &&u8| {
        !matches!(**byte, b' ' | b'\t' | b'\r' | b'\n' | 0 | 0xef | 0xbb | 0xbf | 0xfe | 0xff)
    };
    match body.iter().find(skipped) {
        Some(b'{') if body.first() != Some(&0) && body.get(1) != Some(&0) => Form::Object,
        Some(b'[') => Form::Batch,
        _ => Form::Unclear,
    }
}

/// One JSON-RPC message, as far as it was read.
#[derive(Debug, Default)]
struct Message {
    method: Option<String>,
    name: Option<String>,
    id: Option<Box<str>>,
    /// It has a `result` or an `error`.
    is_answer: bool,
    /// `method` is repeated, not a string, or written in another way.
    is_unsure: bool,
}

impl Message {
    /// Whether it is certainly the protocol's own traffic.
    fn is_free(&self) -> bool {
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

    fn into_operation(self) -> Operation {
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
struct Messages<'m>(&'m mut Vec<Message>);

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

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(body: &str) -> u32 {
        peek(body.as_bytes(), true).unwrap().counts
    }

    fn operation(body: &str) -> (String, String) {
        let peek = peek(body.as_bytes(), true).unwrap();
        let (first, _) = peek.operations.into_iter().next().unwrap();
        (first.method, first.name)
    }

    #[test]
    fn the_protocols_own_traffic_is_free() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/templates/list"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"p\u0069ng"}"#,
        ] {
            assert_eq!(counts(body), 0, "{body}");
        }
    }

    #[test]
    fn whatever_is_not_certainly_free_counts() {
        for body in [
            r#"{"id":1,"method":"tools/call","params":{"name":"echo"}}"#,
            r#"{"id":1,"method":"resources/read"}"#,
            r#"{"method":"ping","method":"tools/call"}"#,
            r#"{"method":"tools/call","m\u0065thod":"ping"}"#,
            r#"{"method":"ping","Method":"tools/call"}"#,
            r#"{"method":["ping"]}"#,
            r#"{"id":1}"#,
            r#"{"method":"ping"} {"method":"tools/call"}"#,
            r#"{"method":"ping"} {"method":"ping"}"#,
            r#"{"method":"ping","x":NaN}"#,
            r#"{"method":"ping","x":{"a":"{","b":[{}]},"y":NaN}"#,
            r#"{"method":"ping","method\u0000":"tools/call"}"#,
            r#"{"method":"ping","\u0001method":"tools/call"}"#,
            r#"{"method":"ping","x\n":"tools/call"}"#,
            r#"{"method":"ping"," Method ":"tools/call"}"#,
            r#"{"method":"tools/call\u0000/list"}"#,
            r#"{"method":"notifications/\u0008x"}"#,
            r#"{"method":"tools/call /list"}"#,
            r#"{"method":"ping"}x"#,
            r#"{"method":"ping""#,
            "",
            "null",
            "[]",
        ] {
            assert_eq!(counts(body), 1, "{body}");
        }
    }

    #[test]
    fn several_messages_one_after_another_count_each() {
        let ping = r#"{"method":"ping","params":{"x":"}{\\\""}}"#;
        let call = r#"{"method":"tools/call"}"#;
        assert_eq!(counts(&format!("{call}\n{ping}\n{call}\n")), 2);
        assert_eq!(counts(&format!("[{call},{call}] {call}")), 3);
        assert_eq!(counts(&format!(r#"{ping}{call}{{"x":NaN}}"#)), 3);
        assert_eq!(peek(format!("{ping}{ping}").as_bytes(), false), None, "more may follow");
    }

    #[test]
    fn each_message_takes_a_turn_and_equal_ones_are_one_line() {
        let ping = r#"{"method":"ping"}"#;
        let call = r#"{"id":1,"method":"tools/call","params":{"name":"echo"}}"#;
        let peek = peek(format!("[{ping},{call},{ping},{ping}]").as_bytes(), true).unwrap();
        assert_eq!((peek.messages, peek.counts, peek.operations.len()), (4, 1, 2));
        let pings = peek.operations.iter().find(|(operation, _)| operation.method == "ping");
        assert_eq!(pings.unwrap().1, 3);
        assert_eq!(super::peek(b"", true).unwrap().messages, 1);
    }

    #[test]
    fn each_member_of_a_batch_counts_for_itself() {
        let call = r#"{"id":1,"method":"tools/call","params":{"name":"echo"}}"#;
        let ping = r#"{"id":2,"method":"ping"}"#;
        assert_eq!(counts(&format!("[{call},{ping},{call}]")), 2);
        assert_eq!(counts(&format!("[{ping}]")), 0);
        assert!(counts(&format!("[{call},{call},{call}")) >= 3, "a broken batch counts in full");
    }

    #[test]
    fn encodings_that_only_some_backends_read_hide_nothing() {
        let batch: String = format!("[{0},{0},{0}]", r#"{"method":"tools/call"}"#);
        let utf16: Vec<u8> = batch.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(peek(&utf16, true).unwrap().counts >= 3);
        assert_eq!(peek(&utf16, false), None);
        let marked: Vec<u8> = [b"\xef\xbb\xbf", batch.as_bytes()].concat();
        assert!(peek(&marked, true).unwrap().counts >= 3);
        assert_eq!(peek(&marked, false), None);
    }

    #[test]
    fn a_body_that_goes_on_counts_and_is_metered_by_what_was_seen() {
        let start = br#"{"id":"a","method":"tools/call","params":{"name":"echo","arguments":{"x":"#;
        let peek = peek(start, false).unwrap();
        assert_eq!(peek.counts, 1);
        assert_eq!(peek.id.as_deref(), Some(r#""a""#));
        assert_eq!(peek.operations[0].0.name, "echo");
        assert_eq!(super::peek(br#"{"method":"ping","pad":"#, false).unwrap().counts, 1);
    }

    #[test]
    fn operations_are_named_by_method_and_tool() {
        let named = |method: &str, name: &str| (method.to_owned(), name.to_owned());
        let call =
            r#"{"id":1,"params":{"arguments":{"name":"no"},"name":"echo"},"method":"tools/call"}"#;
        assert_eq!(operation(call), named("tools/call", "echo"));
        let read = r#"{"id":1,"method":"resources/read","params":{"uri":"file:///x","name":"x"}}"#;
        assert_eq!(operation(read), named("resources/read", ""));
        assert_eq!(operation(r#"{"id":1,"result":{}}"#), named("(response)", ""));
        assert_eq!(operation("nonsense"), named("(unknown)", ""));
        let control = r#"{"method":"tools/call","params":{"name":"a\u0000\n\u0085b"}}"#;
        assert_eq!(operation(control), named("tools/call", "a\u{fffd}\u{fffd}\u{fffd}b"));
        for params in ["null", "1", "-1", "1.5", "true", "\"x\"", "[1]", r#"{"name":7}"#] {
            let body = format!(r#"{{"method":"tools/call","params":{params}}}"#);
            assert_eq!(operation(&body), named("tools/call", ""), "{params}");
        }
    }

    #[test]
    fn only_scalar_ids_are_echoed() {
        let id = |id: &str| {
            peek(format!(r#"{{"id":{id},"method":"ping"}}"#).as_bytes(), true).unwrap().id
        };
        assert_eq!(id("7").as_deref(), Some("7"));
        assert_eq!(id(r#""x\"y""#).as_deref(), Some(r#""x\"y""#));
        assert_eq!(id("null"), None);
        assert_eq!(id(r#"{"a":1}"#), None);
        assert_eq!(id(&format!("\"{}\"", "x".repeat(600))), None);
    }
}
