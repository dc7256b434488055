//! Exchanges over streams in memory, the far end of which plays the backend. Time is paused:
//! whatever waits for something that never comes fails at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Connection, Head, IdleActivity, Incoming, Pool, SendError, Stream};
use crate::proxy::client_body::{BoxError, ClientBody, ReadError};
use crate::proxy::request_body::RequestBody;

const ORIGIN: &str = "http://backend";

/// More than any request or answer here.
const ROOMY: usize = 64 * 1024;

impl Stream for DuplexStream {
    fn idle_activity(&mut self) -> IdleActivity {
        let (mut byte, mut cx) = ([0], Context::from_waker(Waker::noop()));
        let mut read = ReadBuf::new(&mut byte);
        match Pin::new(self).poll_read(&mut cx, &mut read) {
            Poll::Pending => IdleActivity::Nothing,
            Poll::Ready(Ok(())) if !read.filled().is_empty() => IdleActivity::Bytes,
            Poll::Ready(_) => IdleActivity::Close,
        }
    }
}

/// A client's body that comes as it is sent by the other half.
struct Drip {
    chunks: UnboundedReceiver<Result<Bytes, ReadError>>,
    /// Bytes still to come, where the client has announced them.
    left: Option<u64>,
}

impl HttpBody for Drip {
    type Data = Bytes;
    type Error = ReadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
        self.chunks.poll_recv(cx).map_ok(|chunk| {
            self.left = self.left.map(|left| left - chunk.len() as u64);
            Frame::data(chunk)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}

struct Client(UnboundedSender<Result<Bytes, ReadError>>);

impl Client {
    fn sends(&self, chunk: &'static str) {
        self.0.send(Ok(Bytes::from_static(chunk.as_bytes()))).expect("somebody reads the body");
    }

    /// Whether nobody will read what is still to come.
    fn is_left_alone(&self) -> bool {
        self.0.is_closed()
    }
}

/// A client and its body, of this length or in chunks.
fn client(length: Option<u64>) -> (Client, RequestBody) {
    let (sender, chunks) = unbounded_channel();
    let body = ClientBody::new(Drip { chunks, left: length });
    (Client(sender), RequestBody::new(body, 1024 * 1024))
}

/// A new connection, and the backend's end of it. No more than `room` bytes are under way.
fn connection(pool: &Arc<Pool>, room: usize) -> (Connection, DuplexStream) {
    let (near, far) = tokio::io::duplex(room);
    (Connection::new(Box::new(near), ORIGIN.into(), pool.clone()), far)
}

/// The next connection that may be used again.
fn kept(pool: &Arc<Pool>) -> Option<Connection> {
    let (stream, _) = pool.take(ORIGIN)?;
    Some(Connection::new(stream, ORIGIN.into(), pool.clone()))
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(1), work).await.expect("it does not get stuck")
}

async fn post(connection: Connection, body: RequestBody) -> Result<Response<Incoming>, SendError> {
    let path = PathAndQuery::from_static("/mcp");
    let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("backend"))]);
    let head = Head { method: &Method::POST, path: &path, headers: &headers };
    connection.send(&head, body).await
}

/// Sends a request while the backend does its part.
async fn exchange<T>(
    connection: Connection,
    body: RequestBody,
    backend: impl Future<Output = T>,
) -> (Result<Response<Incoming>, SendError>, T) {
    soon(async { tokio::join!(post(connection, body), backend) }).await
}

fn answered(answer: Result<Response<Incoming>, SendError>) -> Incoming {
    answer.ok().expect("an answer").into_body()
}

/// The rest of an answer's body.
async fn content(incoming: &mut Incoming) -> Result<String, BoxError> {
    let mut content = Vec::new();
    while let Some(piece) = std::future::poll_fn(|cx| incoming.poll_content(cx)).await {
        content.extend_from_slice(&piece?);
    }
    Ok(String::from_utf8(content)?)
}

/// What the backend reads up to and with `end`.
async fn read_to(far: &mut DuplexStream, end: &str) -> String {
    let mut read = String::new();
    while !read.ends_with(end) {
        read.push(char::from(far.read_u8().await.expect("more of the request")));
    }
    read
}

async fn write(far: &mut DuplexStream, text: &str) {
    far.write_all(text.as_bytes()).await.expect("the proxy reads");
}

/// What comes until the proxy closes the connection.
async fn rest(mut far: DuplexStream) -> String {
    let mut rest = String::new();
    soon(far.read_to_string(&mut rest)).await.expect("text");
    rest
}

const HEAD: &str = "POST /mcp HTTP/1.1\r\nhost: backend\r\n";

#[tokio::test(start_paused = true)]
async fn a_connection_serves_one_request_after_the_other() {
    let pool = Arc::<Pool>::default();
    let (mut connection, mut far) = connection(&pool, ROOMY);
    for (sent, said) in [("one", "a"), ("two", "b"), ("three", "c")] {
        let body = RequestBody::whole(Bytes::from_static(sent.as_bytes()));
        let (answer, read) = exchange(connection, body, async {
            let read = read_to(&mut far, sent).await;
            write(&mut far, &format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{said}")).await;
            read
        })
        .await;
        assert_eq!(read, format!("{HEAD}content-length: {}\r\n\r\n{sent}", sent.len()));
        assert_eq!(content(&mut answered(answer)).await.unwrap(), said);
        connection = kept(&pool).expect("the connection is kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_only_where_both_sides_are_done_with_it() {
    for (answer, is_kept) in [
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\na", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", false),
        ("HTTP/1.1 400 Bad\r\ncontent-length: 1\r\n\r\na", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", false),
    ] {
        let pool = Arc::<Pool>::default();
        let (connection, mut far) = connection(&pool, ROOMY);
        let body = RequestBody::whole(Bytes::from_static(b"x"));
        let backend = async {
            read_to(&mut far, "x").await;
            write(&mut far, answer).await;
        };
        let (said, ()) = exchange(connection, body, backend).await;
        assert_eq!(content(&mut answered(said)).await.unwrap(), "a", "{answer:?}");
        assert_eq!(kept(&pool).is_some(), is_kept, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_early_does_not_stop_the_upload() {
    let pool = Arc::<Pool>::default();
    let (connection, mut far) = connection(&pool, ROOMY);
    let (client, body) = client(Some(6));
    client.sends("abc");
    let (answer, ()) = exchange(connection, body, async {
        read_to(&mut far, "\r\n\r\nabc").await;
        write(&mut far, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok").await;
    })
    .await;
    let mut incoming = answered(answer);
    client.sends("def");
    let backend = async {
        assert_eq!(read_to(&mut far, "def").await, "def");
        write(&mut far, "ay").await;
    };
    let (said, ()) = soon(async { tokio::join!(content(&mut incoming), backend) }).await;
    assert_eq!(said.unwrap(), "okay");
    assert!(kept(&pool).is_none(), "the backend may not have read what came after its answer");
    assert_eq!(rest(far).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_refuses_early_is_sent_no_more() {
    let pool = Arc::<Pool>::default();
    let (connection, mut far) = connection(&pool, ROOMY);
    let (client, body) = client(Some(6));
    client.sends("abc");
    let (answer, ()) = exchange(connection, body, async {
        read_to(&mut far, "\r\n\r\nabc").await;
        write(&mut far, "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").await;
    })
    .await;
    assert!(client.is_left_alone(), "the connection of the client takes the rest");
    assert_eq!(content(&mut answered(answer)).await.unwrap(), "no");
    assert!(kept(&pool).is_none());
    assert_eq!(rest(far).await, "");
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_takes_in_pieces_arrives_whole() {
    let pool = Arc::<Pool>::default();
    // Neither a head nor a chunk fits.
    let (connection, mut far) = connection(&pool, 7);
    let (client, body) = client(None);
    let long = "0123456789abcdef";
    client.sends(long);
    client.sends("x");
    drop(client);
    let (answer, read) = exchange(connection, body, async {
        let read = read_to(&mut far, "\r\n0\r\n\r\n").await;
        write(&mut far, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x\r\nhi\r\n").await;
        read
    })
    .await;
    let chunks = format!("10\r\n{long}\r\n1\r\nx\r\n0\r\n\r\n");
    assert_eq!(read, format!("{HEAD}transfer-encoding: chunked\r\n\r\n{chunks}"));
    let mut incoming = answered(answer);
    let backend = write(&mut far, "1\r\n!\r\n0\r\nt: x\r\n\r\n");
    let (said, ()) = soon(async { tokio::join!(content(&mut incoming), backend) }).await;
    assert_eq!(said.unwrap(), "hi!");
    assert!(kept(&pool).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_request_of_which_no_byte_was_taken_can_be_sent_elsewhere() {
    let pool = Arc::<Pool>::default();
    let (connection, far) = connection(&pool, ROOMY);
    drop(far);
    let (client, mut body) = client(Some(6));
    client.sends("abc");
    body.has_content().await.unwrap();
    body = match soon(post(connection, body)).await {
        Err(SendError::Unsent(body)) => body,
        _ => panic!("the backend took nothing"),
    };
    let (connection, mut far) = self::connection(&pool, ROOMY);
    client.sends("def");
    let backend = async {
        let read = read_to(&mut far, "abcdef").await;
        write(&mut far, "HTTP/1.1 204 No Content\r\n\r\n").await;
        read
    };
    let (answer, read) = exchange(connection, body, backend).await;
    assert_eq!(read, format!("{HEAD}content-length: 6\r\n\r\nabcdef"));
    assert_eq!(content(&mut answered(answer)).await.unwrap(), "");
}

/// How a request ends whose backend reads some of it, says this and closes.
async fn cut(said: &'static str) -> Result<Response<Incoming>, SendError> {
    let (connection, mut far) = connection(&Arc::default(), ROOMY);
    let (client, body) = client(None);
    client.sends("abc");
    let (answer, ()) = exchange(connection, body, async move {
        read_to(&mut far, "abc").await;
        write(&mut far, said).await;
        drop(far);
        client.sends("def");
    })
    .await;
    answer
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_closes_amid_the_upload_is_heard_first() {
    let is_closed = |was: bool| move |answer: Result<_, SendError>| matches!(answer, Err(SendError::Closed { was_heard, .. }) if was_heard == was);
    assert!(is_closed(false)(cut("").await));
    assert!(is_closed(true)(cut("HTTP/1.1 103 Early Hints\r\n\r\n").await));
    assert!(matches!(cut("HTTP/1.1 4").await, Err(SendError::Broken(_))), "half a head");
    assert!(matches!(cut("nonsense").await, Err(SendError::Broken(_))));
    let mut said = answered(cut("HTTP/1.1 400 Bad\r\ncontent-length: 3\r\n\r\nwhy").await);
    assert_eq!(content(&mut said).await.unwrap(), "why");
    let mut said = answered(cut("HTTP/1.1 400 Bad\r\n\r\nuntil the end").await);
    assert_eq!(content(&mut said).await.unwrap(), "until the end");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    for said in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc",
    ] {
        let mut incoming = answered(cut(said).await);
        let mut next = async || std::future::poll_fn(|cx| incoming.poll_content(cx)).await;
        assert_eq!(next().await.unwrap().unwrap(), "ab", "{said:?}");
        assert!(next().await.is_some_and(|end| end.is_err()), "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_breaks_off_ends_the_request_for_the_backend() {
    let pool = Arc::<Pool>::default();
    for had_answer in [false, true] {
        let (connection, mut far) = connection(&pool, ROOMY);
        let (client, body) = client(Some(6));
        client.sends("abc");
        let breaks_off = || client.0.send(Err(ReadError::BrokeOff)).expect("the body is read");
        let (answer, ()) = exchange(connection, body, async {
            read_to(&mut far, "abc").await;
            match had_answer {
                true => write(&mut far, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok").await,
                false => breaks_off(),
            }
        })
        .await;
        let error = match answer {
            Ok(answer) => {
                let mut incoming = answer.into_body();
                breaks_off();
                let mut error = None;
                while let Some(piece) = std::future::poll_fn(|cx| incoming.poll_content(cx)).await {
                    let Err(reason) = piece else { continue };
                    error = Some(reason);
                    break;
                }
                error.expect("the answer ends with an error")
            }
            Err(SendError::Broken(error)) => error,
            Err(_) => panic!("the client broke off, not the backend"),
        };
        assert_eq!(error.downcast_ref::<ReadError>(), Some(&ReadError::BrokeOff));
        assert_eq!(rest(far).await, "", "{had_answer}");
        assert!(kept(&pool).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_closes_its_connection() {
    let pool = Arc::<Pool>::default();
    // While the request is being sent.
    let (near, mut far) = connection(&pool, ROOMY);
    let (sender, body) = client(None);
    sender.sends("abc");
    soon(async {
        tokio::select! {
            _ = post(near, body) => panic!("nobody answers"),
            read = read_to(&mut far, "abc\r\n") => assert!(read.starts_with(HEAD)),
        }
    })
    .await;
    assert!(sender.is_left_alone());
    assert_eq!(rest(far).await, "");
    // While it is answered.
    let (near, mut far) = connection(&pool, ROOMY);
    let (answer, ()) = exchange(near, RequestBody::whole(Bytes::from_static(b"x")), async {
        read_to(&mut far, "x").await;
        write(&mut far, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n").await;
    })
    .await;
    let mut incoming = answered(answer);
    let piece = std::future::poll_fn(|cx| incoming.poll_content(cx)).await;
    assert_eq!(piece.unwrap().unwrap(), "ab");
    drop(incoming);
    assert_eq!(rest(far).await, "");
    assert!(kept(&pool).is_none());
}
