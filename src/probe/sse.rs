//! Event streams (WHATWG HTML, "server-sent events"), as far as a probe reads them.

/// One event: its type, where it names one, and its data.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub kind: Option<String>,
    pub data: String,
}

/// Bytes in, whole events out. Each byte is read once, however long the event and its lines.
#[derive(Default)]
pub(super) struct Reader {
    /// What no line end has come for yet, and lines not looked at.
    buffer: Vec<u8>,
    /// As far as that was searched for the end of its first line.
    searched: usize,
    /// The event whose lines are coming in.
    begun: Option<Event>,
}

impl Reader {
    /// How many bytes wait for the rest of their event.
    pub(super) fn pending(&self) -> usize {
        self.buffer.len() + self.begun.as_ref().map_or(0, |event| event.data.len())
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next event that is complete. Comments and events without data are passed over.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        let mut complete = None;
        let mut at = 0;
        while complete.is_none()
            && let Some((line, next)) = line(&self.buffer, at, self.searched.max(at))
        {
            at = next;
            if line.is_empty() {
                complete = self.begun.take().filter(|event| !event.data.is_empty());
                continue;
            }
            let text = String::from_utf8_lossy(line);
            let (field, value) = text.split_once(':').unwrap_or((&text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.begun.get_or_insert_default().kind = Some(value.to_owned()),
                "data" => {
                    let data = &mut self.begun.get_or_insert_default().data;
                    if !data.is_empty() {
                        data.push('\n');
                    }
                    data.push_str(value);
                }
                _ => {}
            }
        }
        self.buffer.drain(..at);
        // A `\r` at the end is looked at again, with what comes after it.
        self.searched = if complete.is_none() { self.buffer.len().saturating_sub(1) } else { 0 };
        complete
    }
}

/// The line that begins at `at` and does not end before `from`, and where the next one
/// begins. Lines end with `\n`, `\r\n` or `\r`; a `\r` at the very end may be half of a `\r\n`.
fn line(buffer: &[u8], at: usize, from: usize) -> Option<(&[u8], usize)> {
    let end = from + memchr::memchr2(b'\n', b'\r', &buffer[from..])?;
    let next = match (buffer[end], buffer.get(end + 1)) {
        (b'\n', _) => end + 1,
        (_, Some(b'\n')) => end + 2,
        (_, Some(_)) => end + 1,
        (_, None) => return None,
    };
    Some((&buffer[at..end], next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&str]) -> Vec<String> {
        let mut reader = Reader::default();
        let mut data = Vec::new();
        for chunk in chunks {
            reader.push(chunk.as_bytes());
            data.extend(std::iter::from_fn(|| reader.next_event()).map(|event| event.data));
        }
        data
    }

    #[test]
    fn events_are_read_whatever_ends_their_lines_and_wherever_they_are_cut() {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!(
                ": ping{end}{end}event: message{end}data: a{end}data:b{end}{end}data: c{end}{end}x"
            );
            assert_eq!(read(&[&text]), ["a\nb", "c"]);
            for cut in 0..text.len() {
                assert_eq!(read(&[&text[..cut], &text[cut..]]), ["a\nb", "c"], "{end:?} at {cut}");
            }
        }
    }

    #[test]
    fn an_event_that_is_not_finished_is_not_one() {
        assert!(read(&["data: a\n"]).is_empty());
        assert!(read(&["id: 1\nretry: 5\n\n"]).is_empty());
    }
}
