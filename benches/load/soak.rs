//! A day in a minute, over and over: sessions on busy connections, GET streams
//! that are opened again whenever they end, against a backend that comes and goes.
//!
//! A refusal is counted, and must be one of a backend that is away; an answer that is
//! neither ends the run. What was answered is told in the end, to be held against
//! what the backend says it answered and what the store holds.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::http::{Input, Message};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: crate::To,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long, default_value_t = 2000)]
    streams: usize,
    #[arg(long)]
    seconds: u64,
    /// Milliseconds between two requests of a connection.
    #[arg(long, default_value_t = 5)]
    pause: u64,
}

#[derive(Default)]
struct Counts {
    /// Requests that were answered by the backend, streams left out.
    answered: AtomicU64,
    /// Requests that were not, because it was away.
    away: AtomicU64,
    /// Sessions that were opened, and of these the ones that could not be ended.
    sessions: AtomicU64,
    left_open: AtomicU64,
    /// Streams that were opened.
    streams: AtomicU64,
    is_over: AtomicBool,
}

impl Counts {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

const CALLS: usize = 10;
const OPENING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"soak","version":"1"}}}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3}}}"#;

pub async fn run(args: Args) -> anyhow::Result<()> {
    let keys = Rc::new(args.to.keys()?);
    let counts = Rc::<Counts>::default();
    let tasks = LocalSet::new();
    let pause = Duration::from_millis(args.pause);
    tasks
        .run_until(async {
            let mut busy = JoinSet::new();
            for n in 0..args.connections {
                let (to, keys, counts) = (args.to.clone(), keys.clone(), counts.clone());
                busy.spawn_local(async move { visit(&to, &keys, n, pause, &counts).await });
            }
            let mut streams = JoinSet::new();
            for n in 0..args.streams {
                let (to, keys, counts) = (args.to.clone(), keys.clone(), counts.clone());
                streams
                    .spawn_local(async move { listen(&to, &keys[n % keys.len()], &counts).await });
            }
            let time = tokio::time::sleep(Duration::from_secs(args.seconds));
            tokio::select! {
                () = time => {}
                Some(ended) = busy.join_next() => { ended??; bail!("a connection stopped early") }
                Some(ended) = streams.join_next() => { ended??; bail!("a stream stopped early") }
            }
            // What is under way is heard to its end.
            counts.is_over.store(true, Ordering::Relaxed);
            while let Some(ended) = busy.join_next().await {
                ended??;
            }
            anyhow::Ok(())
        })
        .await?;
    let told = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{{\"answered\":{},\"away\":{},\"sessions\":{},\"left_open\":{},\"streams\":{}}}",
        told(&counts.answered),
        told(&counts.away),
        told(&counts.sessions),
        told(&counts.left_open),
        told(&counts.streams)
    );
    Ok(())
}

/// Sessions of one attendee after the other, on one connection.
async fn visit(
    to: &crate::To,
    keys: &[String],
    first: usize,
    pause: Duration,
    counts: &Counts,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(to.address).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let mut input = Input::default();
    for n in (first..).step_by(7) {
        if counts.is_over.load(Ordering::Relaxed) {
            break;
        }
        let key = &keys[n % keys.len()];
        let mut ask = async |method: &str, session: &str, body: &str| {
            tokio::time::sleep(pause).await;
            let request = format!(
                "{method} {} HTTP/1.1\r\nhost: localhost\r\napi-key: {key}\r\n{session}\
                 accept: application/json, text/event-stream\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                to.path,
                body.len()
            );
            stream.write_all(request.as_bytes()).await?;
            let answer = input.message(&mut stream).await.context("no answer")?;
            is_answered(&answer, counts).map(|is| is.then_some(answer))
        };
        let Some(opened) = ask("POST", "", OPENING).await? else { continue };
        Counts::add(&counts.sessions);
        let id = opened.header("mcp-session-id").context("no session was issued")?;
        let session = format!("mcp-session-id: {id}\r\n");
        for _ in 0..CALLS {
            ask("POST", &session, CALL).await?;
        }
        if ask("DELETE", &session, "").await?.is_none() {
            Counts::add(&counts.left_open);
        }
    }
    Ok(())
}

/// Whether the backend answered; else it must have been away.
fn is_answered(answer: &Message, counts: &Counts) -> anyhow::Result<bool> {
    match answer.status() {
        200 => Counts::add(&counts.answered),
        // It cannot be reached, or closed on a request that it may have seen.
        502 | 503 => Counts::add(&counts.away),
        other => bail!("answered {other}: {}", String::from_utf8_lossy(&answer.body)),
    }
    Ok(answer.status() == 200)
}

/// A GET stream, opened again when it ends.
async fn listen(to: &crate::To, key: &str, counts: &Counts) -> anyhow::Result<()> {
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: localhost\r\napi-key: {key}\r\naccept: text/event-stream\r\n\r\n",
        to.path
    );
    loop {
        let mut stream = TcpStream::connect(to.address).await.context("no connection")?;
        stream.write_all(request.as_bytes()).await?;
        let mut input = Input::default();
        let head = loop {
            if let Some(head) = input.take_head() {
                break head;
            }
            anyhow::ensure!(input.fill(&mut stream).await?, "a stream was closed before its head");
        };
        match head.status() {
            200 => {
                Counts::add(&counts.streams);
                while input.fill(&mut stream).await.unwrap_or(false) {}
            }
            502 | 503 => {}
            other => bail!("a stream was answered {other}"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
