//! As much of HTTP/1.1 as the two ends of a measurement need: heads with a
//! `Content-Length` or none, and no more.

use std::io;

use memchr::memmem;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Bytes that came and were not used yet.
#[derive(Default)]
pub struct Input {
    bytes: Vec<u8>,
    used: usize,
}

/// A request or an answer: where its parts lie in the input.
pub struct Message {
    pub head: String,
    pub body: Vec<u8>,
}

impl Message {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").skip(1).find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        self.head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0)
    }
}

/// The value of `Content-Length`, found without making anything of the head.
fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let line = memchr::memchr_iter(b'\n', head)
        .map(|at| &head[at + 1..])
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME));
    line.map_or(0, |line| {
        let value = line[NAME.len()..].iter().skip_while(|byte| **byte == b' ');
        value
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
    })
}

impl Input {
    /// Reads on; `false` at the end of the stream.
    pub async fn fill(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        if self.used == self.bytes.len() {
            self.bytes.clear();
            self.used = 0;
        }
        Ok(stream.read_buf(&mut self.bytes).await? > 0)
    }

    /// The next whole message's head and body, which is then used.
    pub fn take(&mut self) -> Option<(&[u8], &[u8])> {
        let rest = &self.bytes[self.used..];
        let head = memmem::find(rest, b"\r\n\r\n")? + 4;
        let whole = head + content_length(&rest[..head]);
        if rest.len() < whole {
            return None;
        }
        let from = self.used;
        self.used += whole;
        Some((&self.bytes[from..from + head], &self.bytes[from + head..from + whole]))
    }

    /// The next head alone, for a body without a length.
    pub fn take_head(&mut self) -> Option<Message> {
        let rest = &self.bytes[self.used..];
        let head = memmem::find(rest, b"\r\n\r\n")? + 4;
        let message =
            Message { head: String::from_utf8_lossy(&rest[..head]).into_owned(), body: Vec::new() };
        self.used += head;
        Some(message)
    }

    /// Waits for the next whole message.
    pub async fn message(&mut self, stream: &mut TcpStream) -> io::Result<Message> {
        loop {
            if let Some((head, body)) = self.take() {
                let head = String::from_utf8_lossy(head).into_owned();
                return Ok(Message { head, body: body.to_vec() });
            }
            if !self.fill(stream).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
