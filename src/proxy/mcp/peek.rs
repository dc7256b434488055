//! What a JSON-RPC body asks for, read without changing a byte of it.
//!
//! A message is free of the daily cap only when it is known *for certain* to be
//! the protocol's own traffic. Backends parse leniently (the last of two
//! `method` members wins, some match names in any case, Python reads UTF-16 and
//! NaN), so whatever this reader is not sure of counts.

mod message;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use foldhash::fast::RandomState;
use serde::de::DeserializeSeed as _;

use self::message::{Message, Messages, UNKNOWN};
use self::scan::{Form, form, top_level_objects};
use crate::proxy::attendee::ledger::{Operation, Operations};

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

/// The id that a refusal of `body`, or of what is here of it, echoes.
pub fn id(body: &[u8]) -> Option<Box<str>> {
    let mut messages = Vec::new();
    let mut parser = serde_json::Deserializer::from_slice(body);
    // What was read before an error is what counts here.
    let _ = Messages(&mut messages).deserialize(&mut parser);
    messages.into_iter().find_map(|message| message.id)
}
