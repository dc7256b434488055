//! An MCP server that does nothing: calls get a small JSON answer, `initialize`
//! a session id, DELETE a 200, GET an event stream that is silent or ticks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::http::Input;

const BACKLOG: u32 = 4096;

#[derive(clap::Args)]
pub struct Args {
    /// The port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Seconds up and seconds away, over and over: `20,3`. While away, idle
    /// connections are closed, streams cut and new ones refused.
    #[arg(long, value_delimiter = ',')]
    flap: Vec<u64>,
}

/// How many answers were written whole, and sessions issued.
#[derive(Default)]
struct Counts {
    answers: AtomicU64,
    sessions: AtomicU64,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let counts = Rc::<Counts>::default();
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            loop {
                let away = CancellationToken::new();
                let listener = listen(args.port)?;
                let serve = serve(listener, away.clone(), &counts);
                let [up, down] = args.flap[..] else { break Ok(serve.await?) };
                let _ = tokio::time::timeout(Duration::from_secs(up), serve).await;
                away.cancel();
                let answers = counts.answers.load(Ordering::Relaxed);
                println!("{{\"answers\":{answers}}}");
                tokio::time::sleep(Duration::from_secs(down)).await;
            }
        })
        .await
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

async fn serve(
    listener: TcpListener,
    away: CancellationToken,
    counts: &Rc<Counts>,
) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (away, counts) = (away.clone(), counts.clone());
        tokio::task::spawn_local(async move {
            // A client that leaves is no matter.
            let _ = connection(stream, &away, &counts).await;
        });
    }
}

async fn connection(
    mut stream: TcpStream,
    away: &CancellationToken,
    counts: &Counts,
) -> io::Result<()> {
    let mut input = Input::default();
    loop {
        while let Some((head, body)) = input.take() {
            let opened;
            let answer: &[u8] = match head {
                [b'P', ..] if is_opening(body) => {
                    opened = opening(counts.sessions.fetch_add(1, Ordering::Relaxed));
                    opened.as_bytes()
                }
                [b'P', ..] => &RESULT,
                [b'D', ..] => EMPTY,
                _ => return events(stream, rate(head), away).await,
            };
            stream.write_all(answer).await?;
            counts.answers.fetch_add(1, Ordering::Relaxed);
        }
        tokio::select! {
            biased;
            filled = input.fill(&mut stream) => if !filled? { return Ok(()) },
            () = away.cancelled() => return Ok(()),
        }
    }
}

static RESULT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"5"}]}}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
});

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";

fn is_opening(body: &[u8]) -> bool {
    let start = &body[..body.len().min(64)];
    memchr::memmem::find(start, b"\"initialize\"").is_some()
}

/// The answer to `initialize`; ids are unique over all backends of a run.
fn opening(n: u64) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}}"#;
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: {:08x}-{n:x}\r\n\
         content-length: {}\r\n\r\n{body}",
        std::process::id(),
        body.len()
    )
}

/// Events a second that a GET asks for: `?rate=50`.
fn rate(head: &[u8]) -> u32 {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let asked = String::from_utf8_lossy(line);
    let rate = asked.split_once("rate=").map(|(_, rest)| rest.split([' ', '&']).next());
    rate.flatten().and_then(|rate| rate.parse().ok()).unwrap_or(0)
}

/// Nanoseconds since 1970.
pub fn now() -> i128 {
    jiff::Timestamp::now().as_nanosecond()
}

/// One event is one chunk: `data: <nanoseconds at which it was written>`.
async fn events(mut stream: TcpStream, rate: u32, away: &CancellationToken) -> io::Result<()> {
    stream.write_all(STREAM).await?;
    if rate == 0 {
        let mut input = Input::default();
        tokio::select! {
            _ = input.fill(&mut stream) => {}
            () = away.cancelled() => {}
        }
        return Ok(());
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = away.cancelled() => return Ok(()),
        }
        let event = format!("data: {}\n\n", now());
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
    }
}
