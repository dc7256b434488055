//! A backend on loopback that remembers every request exactly and answers by
//! script, or by the hand of the test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::PATIENCE;
use super::reply::{Reply, Request};

/// A free port of the loopback interface.
const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

type Log = Arc<Mutex<Vec<Request>>>;

/// Listens until it is dropped.
pub struct Backend {
    pub addr: SocketAddr,
    log: Log,
    accepting: JoinHandle<()>,
}

impl Backend {
    /// A well-behaved MCP server without sessions.
    pub async fn start() -> Self {
        Self::answering(Reply::to).await
    }

    /// The same at an address that stored endpoints name.
    pub async fn at(addr: SocketAddr) -> Self {
        Self::acting_at(addr, |mut visit| async move {
            while let Some(request) = visit.next().await {
                if visit.try_write(Reply::to(&request).bytes()).await.is_none() {
                    break;
                }
            }
        })
        .await
    }

    /// Answers each request, once it is whole, by `script`.
    pub async fn answering(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::writing(move |request| script(request).bytes()).await
    }

    /// Writes the same `bytes` after each request.
    pub async fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::writing(move |_| bytes.clone()).await
    }

    /// Writes what `script` says after each request, be it an answer or not.
    pub async fn writing(script: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let script = Arc::new(script);
        Self::acting(move |mut visit| {
            let script = script.clone();
            async move {
                while let Some(request) = visit.next().await {
                    if visit.try_write(script(&request)).await.is_none() {
                        break;
                    }
                }
            }
        })
        .await
    }

    /// Lets the test act on each connection, one after the other.
    pub async fn by_hand() -> (Self, Visits) {
        Self::by_hand_at(ANY).await
    }

    pub async fn by_hand_at(addr: SocketAddr) -> (Self, Visits) {
        let (sender, visits) = mpsc::unbounded_channel();
        let backend = Self::acting_at(addr, move |visit| {
            // Nobody waits for it where the test is over.
            let _ = sender.send(visit);
            async {}
        })
        .await;
        (backend, Visits(visits))
    }

    /// Lets `act` deal with each connection.
    pub async fn acting<A, F>(act: A) -> Self
    where
        A: Fn(Visit) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::acting_at(ANY, act).await
    }

    async fn acting_at<A, F>(addr: SocketAddr, act: A) -> Self
    where
        A: Fn(Visit) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(addr).await.expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let log = Log::default();
        let seen = log.clone();
        let accepting = tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                stream.set_nodelay(true).expect("an open socket");
                let stream = BufReader::new(stream);
                tokio::spawn(act(Visit { stream, log: seen.clone(), connection }));
            }
        });
        Self { addr, log, accepting }
    }

    /// All requests so far that were read whole, and the heads of the others.
    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().clone()
    }

    /// The one request that came.
    pub fn request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// How many requests called tools.
    pub fn calls(&self) -> usize {
        let needle = b"tools/call";
        let calls = |request: &&Request| request.body.windows(needle.len()).any(|at| at == needle);
        self.log.lock().iter().filter(calls).count()
    }

    /// Panics where a request came.
    pub fn got_nothing(&self) {
        assert_eq!(self.requests(), []);
    }

    pub fn url(&self) -> String {
        self.url_of("/mcp")
    }

    pub fn url_of(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An address of this machine's where nobody listens, and nobody else will.
pub struct Nobody(Socket);

impl Nobody {
    pub fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&ANY.into()).expect("a free port");
        Self(socket)
    }

    pub fn url(&self) -> String {
        let addr = self.0.local_addr().expect("its address").as_socket().expect("an IP address");
        format!("http://{addr}/mcp")
    }
}

/// The connections of a backend that the test acts for.
pub struct Visits(mpsc::UnboundedReceiver<Visit>);

impl Visits {
    /// The next connection that the proxy makes.
    pub async fn next(&mut self) -> Visit {
        let visit = timeout(PATIENCE, self.0.recv()).await.expect("the proxy connects");
        visit.expect("the backend accepts")
    }

    /// The next connection with the first request on it.
    pub async fn request(&mut self) -> (Visit, Request) {
        let mut visit = self.next().await;
        let request = visit.request().await;
        (visit, request)
    }
}

/// One connection from the proxy.
pub struct Visit {
    stream: BufReader<TcpStream>,
    log: Log,
    connection: usize,
}

impl Visit {
    /// Reads a whole request; `None` where the proxy hangs up instead.
    pub async fn next(&mut self) -> Option<Request> {
        let mut request = self.read_head().await?;
        if request.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.read_chunk().await? {
                request.body.extend(chunk);
            }
        } else if let Some(length) = request.header("content-length") {
            request.body = vec![0; length.parse().ok()?];
            self.stream.read_exact(&mut request.body).await.ok()?;
        }
        self.log.lock().push(request.clone());
        Some(request)
    }

    /// Reads a whole request.
    pub async fn request(&mut self) -> Request {
        timeout(PATIENCE, self.next()).await.expect("a request").expect("a whole request")
    }

    /// Reads the head of a request and nothing of its body.
    pub async fn head(&mut self) -> Request {
        let head = timeout(PATIENCE, self.read_head()).await.expect("a request").expect("a head");
        self.log.lock().push(head.clone());
        head
    }

    /// Reads a chunk of a chunked request body; `None` at its end.
    pub async fn body_chunk(&mut self) -> Option<Vec<u8>> {
        timeout(PATIENCE, self.read_chunk()).await.expect("a chunk").expect("a connection")
    }

    /// Reads `length` bytes of a request body of known length.
    pub async fn body_bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await;
        read.expect("bytes").expect("a connection");
        bytes
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_write(bytes).await.expect("the proxy reads");
    }

    pub async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        self.stream.write_all(bytes.as_ref()).await.ok()
    }

    pub async fn reply(&mut self, reply: Reply) {
        self.write(reply.bytes()).await;
    }

    /// Reads a request and answers it well.
    pub async fn serve(&mut self) -> Request {
        let request = self.request().await;
        self.reply(Reply::to(&request)).await;
        request
    }

    /// The head of an event stream whose events are still to come.
    pub async fn begin_events(&mut self) {
        let head = Reply::status(200)
            .header("content-type", "text/event-stream")
            .header("transfer-encoding", "chunked");
        self.reply(head.open()).await;
    }

    /// Writes one chunk of a chunked body; the empty one ends it.
    pub async fn chunk(&mut self, data: impl AsRef<[u8]>) {
        let data = data.as_ref();
        let framed = [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
        self.write(framed).await;
    }

    /// Whether it is the first connection that the backend got.
    pub fn is_first(&self) -> bool {
        self.connection == 0
    }

    /// Where the proxy's end of the connection is.
    pub fn peer_addr(&self) -> SocketAddr {
        self.stream.get_ref().peer_addr().expect("a connection")
    }

    /// Breaks the connection off with a reset.
    pub fn reset(self) {
        let stream = self.stream.into_inner();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an open socket");
    }

    /// Waits until the proxy has closed the connection, and says how long it took.
    pub async fn left(&mut self) -> Duration {
        let began = tokio::time::Instant::now();
        let mut rest = Vec::new();
        // A reset is as good as an end.
        let _ = timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.expect("it leaves");
        began.elapsed()
    }

    async fn read_head(&mut self) -> Option<Request> {
        let line = self.line().await?;
        let mut parts = line.split(' ').map(str::to_owned);
        let (method, target) = (parts.next()?, parts.next()?);
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                let (connection, body) = (self.connection, Vec::new());
                return Some(Request { connection, method, target, headers, body });
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// `Some(None)` at the body's end.
    async fn read_chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let size = usize::from_str_radix(&self.line().await?, 16).ok()?;
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk).await.ok()?;
        self.line().await?;
        Some((size > 0).then_some(chunk))
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await.ok()?;
        String::from_utf8(line.strip_suffix(b"\r\n")?.to_vec()).ok()
    }
}
