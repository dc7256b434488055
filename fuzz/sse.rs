//! Event boundaries: however a stream is cut into chunks, a comment is put only
//! where it changes nothing of what a client reads.

#![no_main]

use ai_proxy::proxy::keep_alive::Boundary;
use libfuzzer_sys::{Corpus, fuzz_target};

const COMMENT: &[u8] = b": keep-alive\n\n";

fuzz_target!(|chunks: Vec<&[u8]>| -> Corpus {
    let stream = chunks.concat();
    if stream.starts_with(b"\xef") {
        // A byte-order mark means something at the very start alone.
        return Corpus::Reject;
    }
    let mut boundary = Boundary::default();
    let mut read = 0;
    for chunk in &chunks {
        boundary.read(chunk);
        read += chunk.len();
        let (before, after) = stream.split_at(read);
        assert_eq!(boundary.is_between_events(), is_between_events(before), "{before:?}");
        if boundary.is_between_events() {
            let commented = [before, COMMENT, after].concat();
            assert_eq!(events(&commented), events(&stream), "cut at {read}");
        }
    }
    Corpus::Keep
});

/// Told by substitution: only line ends, or an empty line, and no CR at the end
/// of which an LF may still be to come.
fn is_between_events(stream: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stream).replace("\r\n", "\n").replace('\r', "\n");
    let is_empty = text.chars().all(|c| c == '\n');
    (is_empty || text.ends_with("\n\n")) && stream.last() != Some(&b'\r')
}

#[derive(Debug, Default, PartialEq)]
struct Event {
    kind: Vec<u8>,
    data: Vec<u8>,
    last_id: Vec<u8>,
    retry: Vec<u8>,
}

/// The events that a client dispatches (WHATWG HTML §9.2.6).
fn events(stream: &[u8]) -> Vec<Event> {
    let (mut events, mut event) = (Vec::new(), Event::default());
    let mut rest = stream;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let (line, after) = rest.split_at(end);
        rest = after.strip_prefix(b"\r\n").unwrap_or(&after[1..]);
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"" if colon.is_none() => {
                let last_id = event.last_id.clone();
                let retry = event.retry.clone();
                let done =
                    std::mem::replace(&mut event, Event { last_id, retry, ..Event::default() });
                if !done.data.is_empty() {
                    events.push(done);
                }
            }
            b"event" => event.kind = value.to_vec(),
            b"data" => event.data.extend(value.iter().chain(b"\n")),
            b"id" if !value.contains(&0) => event.last_id = value.to_vec(),
            b"retry" => event.retry = value.to_vec(),
            _ => {}
        }
    }
    events
}
