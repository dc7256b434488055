//! An HTTP/1.1 client that sends exactly the bytes it is told to and reads
//! answers strictly, chunk by chunk: what no client library would let a test
//! do or see.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use socket2::SockRef;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// One connection to the proxy.
pub struct Wire<S = TcpStream> {
    stream: BufReader<S>,
}

/// An answer: its head and as much of the body as was read.
#[derive(Clone, Debug)]
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
        Ok(Self::over(stream))
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.stream.get_ref().local_addr().expect("a connection")
    }

    /// Hangs up with a reset instead of a clean end.
    pub fn abort(self) {
        let stream = self.stream.into_inner();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an open socket");
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn over(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Writes `bytes`; an error means that the proxy has hung up.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        timeout(PATIENCE, async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        })
        .await?
    }

    /// Reads the next answer; an error means that there is no whole one.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let mut answer = self.head().await?;
        timeout(PATIENCE, self.read_body(&mut answer)).await??;
        Ok(answer)
    }

    /// Sends one request and reads its answer.
    pub async fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<Answer> {
        self.send(bytes).await?;
        self.answer().await
    }

    /// Reads the head of the next answer, passing over informational ones.
    pub async fn head(&mut self) -> io::Result<Answer> {
        timeout(PATIENCE, async {
            loop {
                let head = self.read_head().await?;
                if head.status >= 200 {
                    return Ok(head);
                }
            }
        })
        .await?
    }

    /// The status of the next answer, be it informational, whose head is read.
    pub async fn next_status(&mut self) -> u16 {
        let head = timeout(PATIENCE, self.read_head()).await.expect("a head");
        head.expect("a head").status
    }

    /// Reads one chunk of a chunked body; `None` at its proper end. An error is
    /// a body that was cut.
    pub async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        timeout(PATIENCE, self.read_chunk()).await?
    }

    /// Reads on and compares: just these bytes come next of a chunked body.
    pub async fn hears(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut heard = Vec::new();
        while heard.len() < expected.len() {
            let chunk = self.chunk().await.expect("a stream that goes on");
            heard.extend(chunk.expect("a stream that has not ended"));
        }
        assert_eq!(String::from_utf8_lossy(&heard), String::from_utf8_lossy(expected));
    }

    /// Waits for the proper end of a chunked body; nothing else may come before.
    pub async fn ends(&mut self) {
        let next = self.chunk().await.expect("a proper end");
        assert_eq!(next.map(|chunk| String::from_utf8_lossy(&chunk).into_owned()), None);
    }

    /// Waits until a chunked body is visibly cut.
    pub async fn is_cut(&mut self) {
        let next = self.chunk().await;
        let kind = next.as_ref().map_err(io::Error::kind);
        let cut = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
        assert!(kind.is_err_and(|kind| cut.contains(&kind)), "not cut: {next:?}");
    }

    /// Reads `length` bytes of a body of known length.
    pub async fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await??;
        Ok(bytes)
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

    /// Whether the proxy has hung up by now; passes over what it said before.
    pub async fn is_over(&mut self) -> bool {
        let mut said = [0; 1024];
        let read = timeout(Duration::from_millis(1), self.stream.read(&mut said)).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }

    async fn read_head(&mut self) -> io::Result<Answer> {
        let line = self.line().await?;
        let status = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|line| line.get(..3)?.parse().ok());
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

    async fn read_body(&mut self, answer: &mut Answer) -> io::Result<()> {
        if matches!(answer.status, 204 | 304) {
            return Ok(());
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.read_chunk().await? {
                answer.body.extend(chunk);
            }
            return Ok(());
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
        Ok(())
    }

    async fn read_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line().await?;
        let size = usize::from_str_radix(&line, 16).map_err(|_| malformed("chunk size", &line))?;
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk).await?;
        let end = self.line().await?;
        if !end.is_empty() {
            return Err(malformed("end of chunk", &end));
        }
        Ok((size > 0).then_some(chunk))
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
    /// The value of a header that is sent once at most.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.headers(name);
        assert!(values.len() <= 1, "{name} was sent more than once: {values:?}");
        values.first().copied()
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// What a refusal says, in either shape: its code, its status, the facts.
    pub fn facts(&self) -> Value {
        let mut error = self.json()["error"].take();
        if error["code"].is_string() { error } else { error["data"].take() }
    }

    /// The machine code of a refusal, in either shape; empty where it is none.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let plain = &body["error"]["code"];
        let code = if plain.is_string() { plain } else { &body["error"]["data"]["code"] };
        code.as_str().unwrap_or_default().to_owned()
    }
}
