//! A reader of JSON that forgives everything: comments, single quotes, trailing
//! commas, bare words, repeated members, any case, UTF-16 and UTF-32.
//!
//! It keeps every reading, so that it finds whatever some backend's parser does.

/// A message, with each value of each member that may be its `method`.
#[derive(Default)]
pub struct Message {
    methods: Vec<String>,
}

impl Message {
    /// Whether some parser may take it for a call that counts.
    pub fn counts(&self) -> bool {
        self.methods.iter().any(|method| {
            // Where strings end at a NUL, what follows it is not read.
            let method = method.split('\0').next().unwrap_or_default();
            let is_protocol = matches!(method, "initialize" | "ping" | "server/discover");
            !is_protocol && !method.starts_with("notifications/") && !method.ends_with("/list")
        })
    }
}

/// The texts that parsers may take `body` for. Those that know of more than
/// UTF-8 tell by a mark or by the NULs beside the first character.
pub fn decodings(body: &[u8]) -> Vec<String> {
    let mut texts = vec![String::from_utf8_lossy(body).into_owned()];
    if body.starts_with(b"\xff\xfe") || body.get(1) == Some(&0) {
        texts.push(wide(body, |unit: [u8; 2]| u16::from_le_bytes(unit).into()));
        texts.push(wide(body, u32::from_le_bytes));
    }
    if body.starts_with(b"\xfe\xff") || body.first() == Some(&0) {
        texts.push(wide(body, |unit: [u8; 2]| u16::from_be_bytes(unit).into()));
        texts.push(wide(body, u32::from_be_bytes));
    }
    texts.into_iter().map(|text| text.trim_start_matches('\u{feff}').to_owned()).collect()
}

fn wide<const UNIT: usize>(body: &[u8], decode: impl Fn([u8; UNIT]) -> u32) -> String {
    let (units, _) = body.as_chunks();
    let text = units.iter().map(|unit| char::from_u32(decode(*unit)));
    text.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Whether a text that goes on may turn out to be a batch.
pub fn may_be_batch(text: &str) -> bool {
    let blank = !text.is_empty() && text.trim_start().is_empty();
    blank || text.trim_start().starts_with('[')
}

/// All messages of `text`: objects that lie in nothing but arrays.
pub fn messages(text: &str) -> Vec<Message> {
    let mut reader = Reader { rest: text };
    let mut messages = Vec::new();
    match reader.token() {
        Token::Mark('{') => messages.push(reader.message()),
        Token::Mark('[') => reader.batch(&mut messages),
        _ => {}
    }
    messages
}

enum Token {
    Mark(char),
    Word(String),
    End,
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn token(&mut self) -> Token {
        loop {
            self.rest = self.rest.trim_start();
            let mut chars = self.rest.chars();
            let Some(first) = chars.next() else { return Token::End };
            let after = chars.as_str();
            match first {
                '/' if after.starts_with('/') => {
                    self.rest = after.split_once('\n').map_or("", |(_, rest)| rest);
                }
                '/' if after.starts_with('*') => {
                    self.rest = after.split_once("*/").map_or("", |(_, rest)| rest);
                }
                '{' | '}' | '[' | ']' | ':' | ',' => {
                    self.rest = after;
                    return Token::Mark(first);
                }
                '"' | '\'' => {
                    self.rest = after;
                    return Token::Word(self.string(first));
                }
                _ => {
                    let ends = |c: char| c.is_whitespace() || "{}[]:,\"'/".contains(c);
                    let end = after.find(ends).unwrap_or(after.len()) + first.len_utf8();
                    let (word, rest) = self.rest.split_at(end);
                    self.rest = rest;
                    return Token::Word(word.to_owned());
                }
            }
        }
    }

    /// The rest of a string that `quote` opened, its escapes decoded.
    fn string(&mut self, quote: char) -> String {
        let mut text = String::new();
        let mut chars = self.rest.chars();
        while let Some(next) = chars.next().filter(|next| *next != quote) {
            if next != '\\' {
                text.push(next);
                continue;
            }
            match chars.next() {
                Some('u') => {
                    let hex = chars.as_str().get(..4).unwrap_or_default();
                    let unit = u32::from_str_radix(hex, 16).ok();
                    if unit.is_some() {
                        chars = chars.as_str()[4..].chars();
                    }
                    text.push(unit.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                Some(escaped) => text.push(escaped),
                None => break,
            }
        }
        self.rest = chars.as_str();
        text
    }

    fn batch(&mut self, messages: &mut Vec<Message>) {
        let mut depth = 1;
        while depth > 0 {
            match self.token() {
                Token::Mark('{') => messages.push(self.message()),
                Token::Mark('[') => depth += 1,
                Token::Mark(']') => depth -= 1,
                Token::End => return,
                _ => {}
            }
        }
    }

    /// The members of an object whose brace is read.
    fn message(&mut self) -> Message {
        let mut message = Message::default();
        let mut depth = 1;
        let mut name: Option<String> = None;
        let mut is_value = false;
        while depth > 0 {
            match self.token() {
                Token::Mark('{' | '[') => depth += 1,
                Token::Mark('}' | ']') => depth -= 1,
                Token::Mark(':') if depth == 1 => is_value = true,
                Token::Mark(',') if depth == 1 => (name, is_value) = (None, false),
                Token::Word(word) if depth == 1 && !is_value => name = Some(word),
                Token::Word(word) if depth == 1 && is_method(name.as_deref()) => {
                    message.methods.push(word);
                }
                Token::End => break,
                _ => {}
            }
        }
        message
    }
}

fn is_method(name: Option<&str>) -> bool {
    let without_control = |name: &str| name.replace(char::is_control, "");
    name.is_some_and(|name| without_control(name).eq_ignore_ascii_case("method"))
}
