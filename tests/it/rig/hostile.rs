//! A backend that writes whatever bytes it likes, and remembers all it was sent.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Listens until it is dropped.
pub struct Hostile {
    pub addr: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

/// One connection from the proxy. Its methods answer `None` when that is gone.
pub struct Visit {
    stream: BufReader<TcpStream>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hostile {
    /// Answers each request, once it is whole, with `bytes`.
    pub async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into().into();
        Self::acting(move |mut visit| {
            let bytes = bytes.clone();
            async move {
                loop {
                    visit.request().await?;
                    visit.write(&bytes).await?;
                }
            }
        })
        .await
    }

    /// Lets `act` deal with each connection.
    pub async fn acting<A, F>(act: A) -> Self
    where
        A: Fn(Visit) -> F + Send + 'static,
        F: Future<Output = Option<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = requests.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = BufReader::new(stream);
                tokio::spawn(act(Visit { stream, requests: seen.clone() }));
            }
        });
        Self { addr, requests, accepting }
    }

    /// All requests so far, as text; of one that was not read whole, the head.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }

    /// How many of them call a tool.
    pub fn calls(&self) -> usize {
        self.requests.lock().iter().filter(|request| request.contains("tools/call")).count()
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.addr)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Visit {
    /// Reads the head of a request and nothing of its body.
    pub async fn head(&mut self) -> Option<String> {
        let head = self.read_head().await?;
        self.requests.lock().push(head.clone());
        Some(head)
    }

    /// Reads a whole request.
    pub async fn request(&mut self) -> Option<String> {
        let mut request = self.read_head().await?;
        let head = request.to_ascii_lowercase();
        let field = |name| head.lines().find_map(|line| line.strip_prefix(name));
        let mut body = Vec::new();
        if field("transfer-encoding:").is_some() {
            while !body.ends_with(b"0\r\n\r\n") {
                (self.stream.read_until(b'\n', &mut body).await.ok()? > 0).then_some(())?;
            }
        } else if let Some(length) = field("content-length:") {
            body.resize(length.trim().parse().ok()?, 0);
            self.stream.read_exact(&mut body).await.ok()?;
        }
        request.push_str(&String::from_utf8_lossy(&body));
        self.requests.lock().push(request.clone());
        Some(request)
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        self.stream.write_all(bytes.as_ref()).await.ok()
    }

    /// Waits until the proxy has closed the connection.
    pub async fn left(&mut self) {
        let mut rest = Vec::new();
        // A reset is as good as an end.
        let _ = self.stream.read_to_end(&mut rest).await;
    }

    async fn read_head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            (self.stream.read_until(b'\n', &mut head).await.ok()? > 0).then_some(())?;
        }
        Some(String::from_utf8_lossy(&head).into_owned())
    }
}
