//! Attendees who each call at a pace of their own, as people at work do, and how long each call took.

use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::http::Input;
use crate::times::Times;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: crate::To,
    /// Attendees, each with a key and a connection of its own.
    #[arg(long, default_value_t = 200)]
    attendees: usize,
    /// Milliseconds from one call of an attendee to the next.
    #[arg(long, default_value_t = 1000)]
    pace: u64,
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":3}}}"#;

pub async fn run(args: Args) -> anyhow::Result<()> {
    let keys = args.to.keys()?;
    anyhow::ensure!(keys.len() >= args.attendees, "--keys holds only {}", keys.len());
    let (pace, began) = (Duration::from_millis(args.pace), Instant::now());
    let until = began + Duration::from_secs(args.seconds);
    let mut clients = JoinSet::new();
    for (n, key) in keys.into_iter().take(args.attendees).enumerate() {
        let first = began + pace * u32::try_from(n)? / u32::try_from(args.attendees)?;
        clients.spawn(attendee(args.to.clone(), key, first, pace, until));
    }
    let (mut times, mut refused) = (Times::default(), 0);
    while let Some(client) = clients.join_next().await {
        let (took, no) = client??;
        times.append(took);
        refused += no;
    }
    println!("{{\"calls\":{},\"refused\":{refused},{}}}", times.len(), times.json(""));
    Ok(())
}

/// How long the calls of one attendee took, and how many were refused.
async fn attendee(
    to: crate::To,
    key: String,
    first: Instant,
    pace: Duration,
    until: Instant,
) -> anyhow::Result<(Times, usize)> {
    let mut stream = TcpStream::connect(to.address).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\napi-key: {key}\r\n\
         accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
         mcp-protocol-version: 2025-06-18\r\ncontent-length: {}\r\n\r\n{BODY}",
        to.path,
        BODY.len()
    );
    let (mut input, mut times, mut refused) = (Input::default(), Times::default(), 0);
    let mut due = first;
    while due < until {
        // A call that waits for the one before is late from when it was due; timers are late by themselves.
        let is_late = Instant::now() > due;
        sleep_until(due).await;
        let began = if is_late { due } else { Instant::now() };
        stream.write_all(request.as_bytes()).await?;
        let answer = input.message(&mut stream).await?;
        times.push(began.elapsed());
        refused += usize::from(answer.status() != 200);
        due += pace;
    }
    Ok((times, refused))
}
