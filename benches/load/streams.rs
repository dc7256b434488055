//! Many GET streams at once: how long each event took from the backend's write
//! to here, or, without `--rate`, nothing but being open.

use std::time::Duration;

use anyhow::{Context, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::backend::now;
use crate::http::Input;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: crate::To,
    #[arg(long)]
    streams: usize,
    /// Events a second on each stream; 0 for silent ones, held until standard
    /// input ends.
    #[arg(long, default_value_t = 0)]
    rate: u32,
    /// How long to measure; a second before that is not counted.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// Streams that are being opened at once.
const OPENING: usize = 32;

pub async fn run(args: Args) -> anyhow::Result<()> {
    let keys = args.to.keys()?;
    let mut open = Vec::with_capacity(args.streams);
    while open.len() < args.streams {
        let mut opening = JoinSet::new();
        for n in open.len()..args.streams.min(open.len() + OPENING) {
            let (to, key) = (args.to.clone(), keys[n % keys.len()].clone());
            opening.spawn(async move { open_stream(&to, &key, args.rate).await });
        }
        while let Some(opened) = opening.join_next().await {
            open.push(opened??);
        }
    }
    if args.rate == 0 {
        return hold(open).await;
    }
    let from = now() + 1_000_000_000;
    let until = from + i128::from(args.seconds) * 1_000_000_000;
    let mut reading = JoinSet::new();
    for (stream, _) in open {
        reading.spawn(read_events(stream, from, until));
    }
    let mut delays = Vec::new();
    while let Some(read) = reading.join_next().await {
        delays.append(&mut read??);
    }
    ensure!(!delays.is_empty(), "no event came");
    delays.sort_unstable();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    println!(
        "{{\"events\":{},\"p50_us\":{:.1},\"p99_us\":{:.1}}}",
        delays.len(),
        at(0.5),
        at(0.99)
    );
    Ok(())
}

async fn open_stream(to: &crate::To, key: &str, rate: u32) -> anyhow::Result<(TcpStream, Input)> {
    let mut stream = TcpStream::connect(to.address).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let query = if rate > 0 { format!("?rate={rate}") } else { String::new() };
    let request = format!(
        "GET {}{query} HTTP/1.1\r\nhost: localhost\r\napi-key: {key}\r\n\
         accept: text/event-stream\r\nmcp-protocol-version: 2025-06-18\r\n\r\n",
        to.path
    );
    stream.write_all(request.as_bytes()).await?;
    let mut input = Input::default();
    loop {
        if let Some(head) = input.take_head() {
            ensure!(head.status() == 200, "a stream was answered {}", head.status());
            return Ok((stream, input));
        }
        ensure!(input.fill(&mut stream).await?, "a stream was closed before its head");
    }
}

/// Says that all are open, waits for the end of standard input, and says how
/// many of them still are.
async fn hold(open: Vec<(TcpStream, Input)>) -> anyhow::Result<()> {
    println!("{{\"open\":{}}}", open.len());
    let waiting = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    waiting.await??;
    let mut byte = [0];
    let still = |stream: &TcpStream| match stream.try_read(&mut byte) {
        Ok(n) => n > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    };
    let mut still = still;
    let open = open.iter().filter(|(stream, _)| still(stream)).count();
    println!("{{\"still_open\":{open}}}");
    Ok(())
}

/// How many nanoseconds each event took that was written in `from..until`.
async fn read_events(mut stream: TcpStream, from: i128, until: i128) -> anyhow::Result<Vec<u64>> {
    let mut delays = Vec::new();
    let mut bytes = Vec::with_capacity(4096);
    loop {
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_buf(&mut bytes));
        ensure!(read.await.context("a stream stood still")?? > 0, "a stream ended");
        let arrived = now();
        let mut used = 0;
        while let Some((written, end)) = event(&bytes[used..]) {
            used += end;
            if written >= until {
                return Ok(delays);
            }
            if written >= from {
                delays.push(u64::try_from(arrived - written).unwrap_or(0));
            }
        }
        bytes.drain(..used);
    }
}

/// The first whole event: when it was written, and where it ends.
fn event(bytes: &[u8]) -> Option<(i128, usize)> {
    let start = memmem::find(bytes, b"data: ")? + 6;
    let end = start + memchr::memchr(b'\n', &bytes[start..])?;
    let written = std::str::from_utf8(&bytes[start..end]).ok()?.parse().ok()?;
    Some((written, end))
}
