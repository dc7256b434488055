//! An HTTP/1.1 client that sends exactly the bytes it is told to and reads
//! answers strictly: what no client library would let a test do or see.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// One connection to the proxy.
pub struct Wire {
    stream: BufReader<TcpStream>,
}

/// One whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Wire {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self::try_connect(addr).await.expect("the proxy accepts")
    }

    pub async fn try_connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Writes `bytes`; an error means that the proxy has hung up.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await?
    }

    /// Reads the next answer; an error means that there is no whole one.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        timeout(PATIENCE, self.read_answer()).await?
    }

    /// Sends one request and reads its answer.
    pub async fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<Answer> {
        self.send(bytes).await?;
        self.answer().await
    }

    /// Waits until the proxy hangs up on what `why` names; panics where it sends
    /// anything more.
    pub async fn hung_up(&mut self, why: &str) {
        let mut more = Vec::new();
        // A reset hangs up as well as a clean end does.
        let _ = timeout(PATIENCE, self.stream.read_to_end(&mut more))
            .await
            .unwrap_or_else(|_| panic!("the proxy does not hang up: {why:?}"));
        assert!(more.is_empty(), "{why:?} got {:?}", String::from_utf8_lossy(&more));
    }

    /// Reads the head of an answer whose body may never end; its status.
    pub async fn status(&mut self) -> io::Result<u16> {
        Ok(timeout(PATIENCE, self.read_head()).await??.status)
    }

    /// Waits for a line that holds `text`, in a body that may never end.
    pub async fn hears(&mut self, text: &str) {
        while !timeout(PATIENCE, self.line()).await.expect(text).expect(text).contains(text) {}
    }

    /// Whether the proxy has hung up by now; passes over what it said before.
    pub async fn is_over(&mut self) -> bool {
        let mut said = [0; 1024];
        let read = timeout(Duration::from_millis(1), self.stream.read(&mut said)).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }

    async fn read_answer(&mut self) -> io::Result<Answer> {
        loop {
            let answer = self.read_head().await?;
            if answer.status >= 200 {
                return self.read_body(answer).await;
            }
        }
    }

    async fn read_head(&mut self) -> io::Result<Answer> {
        let line = self.line().await?;
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|line| line.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| malformed("status line", &line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(Answer { status, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("header", &line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    async fn read_body(&mut self, mut answer: Answer) -> io::Result<Answer> {
        if matches!(answer.status, 204 | 304) {
            return Ok(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line().await?;
                let size =
                    usize::from_str_radix(&line, 16).map_err(|_| malformed("chunk size", &line))?;
                let mut chunk = vec![0; size];
                self.stream.read_exact(&mut chunk).await?;
                answer.body.extend(chunk);
                let end = self.line().await?;
                if !end.is_empty() {
                    return Err(malformed("end of chunk", &end));
                }
                if size == 0 {
                    return Ok(answer);
                }
            }
        }
        match answer.header("content-length").map(str::parse) {
            Some(Ok(length)) => {
                answer.body = vec![0; length];
                self.stream.read_exact(&mut answer.body).await?;
            }
            Some(Err(_)) => return Err(malformed("content-length", "")),
            None => {
                self.stream.read_to_end(&mut answer.body).await?;
            }
        }
        Ok(answer)
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        let line = line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        String::from_utf8(line.to_vec()).map_err(|_| malformed("text", "bytes"))
    }
}

fn malformed(what: &str, found: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no {what}: {found:?}"))
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} was sent more than once");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body")
    }

    /// The machine code of a refusal, in either shape.
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let plain = &body["error"]["code"];
        let code = if plain.is_string() { plain } else { &body["error"]["data"]["code"] };
        code.as_str().unwrap_or_default().to_owned()
    }
}
